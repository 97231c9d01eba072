import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import tfds_kitti
from scdepth_tf import data
from scdepth_tf.data import kitti
from tests.tfds_kitti import dummies
from tfds_kitti import splits
from tfds_kitti.kitti_raw import kitti_raw_dataset_builder as raw_builder

SMALL = "128x416"


@pytest.fixture(scope="module")
def full(build, raw_root, tmp_path_factory):
    return build(tfds_kitti.KittiRaw, raw_root, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def small(build, raw_root, tmp_path_factory):
    return build(
        tfds_kitti.KittiRaw,
        raw_root,
        tmp_path_factory.mktemp("data"),
        config=SMALL,
    )


def open_split(builder, split):
    return data.open_scenes(f"tfds:{builder.data_dir}", split)


def drive(scene):
    return scene.name.rpartition("/")[0]


def all_bytes(folder):
    """Every file of a dataset by its path in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def build_in_new_process(code, **environment):
    """Runs `code` where no address or hash is as in this process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_eigen_lists_are_the_published_ones():
    frames = splits.eigen_test_frames()
    assert len(frames) == len(set(frames)) == 697
    assert len(splits.eigen_test_drives()) == 28
    assert {frame.drive for frame in frames} == splits.eigen_test_drives()


def test_nothing_of_a_test_drive_trains_or_validates(full, small):
    for builder in (full, small):
        for split in ("train", "val"):
            scenes = open_split(builder, split)
            assert scenes
            for scene in scenes:
                assert drive(scene) not in splits.eigen_test_drives()


def test_each_other_drive_is_on_one_side_with_both_cameras(full):
    sides = {
        split: {scene.name for scene in open_split(full, split)}
        for split in ("train", "val")
    }
    assert not {n.split("/")[1] for n in sides["train"]} & {
        n.split("/")[1] for n in sides["val"]
    }
    assert sides["train"] | sides["val"] == {
        f"{dummies.DAY}/{name}/image_{camera}"
        for name in dummies.TRAIN_DRIVES
        for camera in ("02", "03")
    }


def test_test_split_is_eigens_frames_alone_at_full_size(full, small, raw_root):
    for builder in (full, small):
        (scene,) = open_split(builder, "test")
        assert scene.frame_numbers == (0, 3, 42, 54)
        folder = raw_root / dummies.DAY / dummies.TEST_DRIVE / "image_02/data"
        for number, frame in zip(
            scene.frame_numbers, scene.frames, strict=True
        ):
            file = folder / f"{number:010d}.png"
            assert frame.read_bytes() == file.read_bytes()


def test_test_depth_is_the_published_rounding_and_train_depth_exact(
    full, raw_root
):
    for split, rounding in (("test", "eigen"), ("train", "exact")):
        scene = open_split(full, split)[0]
        original = kitti.open_camera(
            raw_root / scene.name, scene.name, rounding
        )
        for index, number in enumerate(scene.frame_numbers):
            expected = original.depth(original.frame_numbers.index(number))
            np.testing.assert_allclose(
                scene.depth(index), expected, atol=0.5 / 256 + 1e-6
            )
            assert (scene.depth(index) > 0).sum() > 50


def test_frames_poses_and_times_are_those_of_the_files(full, raw_root):
    for scene in open_split(full, "train"):
        original = kitti.open_camera(raw_root / scene.name, scene.name)
        assert scene.frame_numbers == original.frame_numbers
        np.testing.assert_array_equal(scene.poses, original.poses)
        np.testing.assert_array_equal(scene.timestamps, original.timestamps)
        np.testing.assert_array_equal(scene.intrinsics, original.intrinsics)
        for packed, file in zip(scene.frames, original.frames, strict=True):
            assert packed.read_bytes() == file.read_bytes()


def test_frames_are_stored_once(build, tmp_path):
    """Bytes on disk against encoded frames, of frames as large as KITTI's."""
    root = dummies.write_scenes(tmp_path / "scenes", scenes=2, frames=34)
    noise = np.random.default_rng(0).integers(0, 256, (32, 96, 3), np.uint8)
    for file in root.glob("*/*.jpg"):
        Image.fromarray(noise).resize((416, 128)).save(file, quality=95)
        encoded = file.stat().st_size
    for folder in root.glob("*/depth"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    builder = build(tfds_kitti.VideoSequences, root, tmp_path / "data")
    stored = sum(len(part) for part in all_bytes(builder.data_dir).values())
    assert stored <= 1.2 * 2 * 34 * encoded


def test_small_frames_agree_with_their_intrinsics_and_depth(small, raw_root):
    scene = open_split(small, "train")[0]
    original = kitti.open_camera(raw_root / scene.name, scene.name, "exact")
    assert scene.image_size == scene.image(0).shape[:2] == (128, 416)
    u, v = 416 / 96, 128 / 32
    np.testing.assert_allclose(
        scene.intrinsics,
        [
            [60 * u, 0, 47.8 * u - 0.5],
            [0, 50 * v, 16.3 * v - 0.5],
            [0, 0, 1],
        ],
    )
    # Each return of the original is where the new intrinsics see it.
    depth, expected = scene.depth(0), original.depth(0)
    rows, columns = np.nonzero(expected)
    found = depth[
        np.round((rows + 0.5) * v - 0.5).astype(int),
        np.round((columns + 0.5) * u - 0.5).astype(int),
    ]
    np.testing.assert_allclose(found, expected[rows, columns], atol=0.002)
    assert (depth > 0).sum() == (expected > 0).sum()


def test_same_build_in_another_process_gives_the_same_bytes(
    small, raw_root, tmp_path
):
    done = build_in_new_process(
        f"""
        import tfds_kitti.__main__ as command
        raise SystemExit(command.main([
            "kitti_raw/{SMALL}", "--manual-dir", {str(raw_root)!r},
            "--data-dir", {str(tmp_path)!r}]))
        """,
        PYTHONHASHSEED="7",
    )
    assert done.returncode == 0, done.stderr
    assert "test: 4 frames, 4 with depth" in done.stdout
    assert all_bytes(tmp_path / "kitti_raw" / SMALL / "1.0.0") == all_bytes(
        small.data_dir
    )


def test_beam_gives_the_same_bytes(small, build, raw_root, tmp_path):
    options = pytest.importorskip("apache_beam.options.pipeline_options")
    builder = build(
        tfds_kitti.KittiRaw,
        raw_root,
        tmp_path,
        config=SMALL,
        beam_options=options.PipelineOptions(["--direct_num_workers=1"]),
    )
    assert all_bytes(builder.data_dir) == all_bytes(small.data_dir)


def test_killed_build_leaves_nothing_that_loads(small, raw_root, tmp_path):
    done = build_in_new_process(
        f"""
        import os
        import tfds_kitti.__main__ as command
        from tfds_kitti import sequences
        encode, made = sequences.encode, []
        def dying(chunk):
            made.append(chunk)
            if len(made) == 3:
                os._exit(9)
            return encode(chunk)
        sequences.encode = dying
        command.main([
            "kitti_raw/{SMALL}", "--manual-dir", {str(raw_root)!r},
            "--data-dir", {str(tmp_path)!r}])
        """
    )
    assert done.returncode == 9
    folder = tmp_path / "kitti_raw" / SMALL / "1.0.0"
    with pytest.raises(FileNotFoundError, match="no such dataset"):
        data.open_scenes(f"tfds:{folder}")
    builder = tfds_kitti.KittiRaw(data_dir=tmp_path, config=SMALL)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=raw_root)
    )
    for name, content in all_bytes(small.data_dir).items():
        assert (folder / name).read_bytes() == content


def test_corrupt_frame_stops_the_build_by_name(
    build, own_raw_root, tmp_path, truncate_file
):
    frame = _third_frame(own_raw_root)
    truncate_file(frame)
    with pytest.raises(ValueError, match=r"0000000002\.png: not a readable"):
        build(tfds_kitti.KittiRaw, own_raw_root, tmp_path / "data")
    assert not list((tmp_path / "data").rglob("dataset_info.json"))


def test_corrupt_frame_is_skipped_and_listed_when_asked(
    own_raw_root, tmp_path, truncate_file, capsys
):
    from tfds_kitti import __main__ as command

    truncate_file(_third_frame(own_raw_root))
    arguments = ["kitti_raw/full", "--manual-dir", str(own_raw_root)]
    arguments += ["--data-dir", str(tmp_path / "data"), "--skip-corrupt"]
    assert command.main(arguments) == 0
    output = capsys.readouterr().out
    assert "left out as unreadable (1):" in output
    assert "0000000002.png: not a readable image" in output
    name = f"{dummies.DAY}/{dummies.TRAIN_DRIVES[0]}/image_02"
    (scene,) = data.open_scenes(
        f"tfds:{tmp_path}/data/kitti_raw/full/1.0.0", scenes=(name,)
    )
    assert scene.frame_numbers == (0, 1, 3, 4, 5)
    # No triplet spans the gap.
    assert [item.target for item in data.triplets([scene])] == [3]


def _third_frame(root):
    folder = root / dummies.DAY / dummies.TRAIN_DRIVES[0] / "image_02/data"
    return folder / "0000000002.png"


@pytest.fixture
def truncate_file():
    def cut(path):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    return cut


LISTED = f"{dummies.DAY}/{dummies.TRAIN_DRIVES[1]}"


@pytest.mark.parametrize(
    "lines",
    [
        f"{LISTED} 2 l\n{LISTED} 0000000003 r\n",
        f"{LISTED}/image_02/data/0000000002.png\n"
        f"/disk/kitti/{LISTED}/image_03/data/0000000003.jpg\n",
        f"{dummies.TRAIN_DRIVES[1]}_02 0000000002\n"
        f"{dummies.TRAIN_DRIVES[1]}_03 0000000003\n",
    ],
)
def test_split_file_names_targets_whose_neighbours_are_stored(
    lines, build, raw_root, tmp_path
):
    (tmp_path / "train.txt").write_text(lines)
    config = raw_builder.KittiRawConfig(
        name="mine", train_files=str(tmp_path / "train.txt")
    )
    builder = build(tfds_kitti.KittiRaw, raw_root, tmp_path, config=config)
    assert "val" not in builder.info.splits
    left, right = data.open_scenes(f"tfds:{builder.data_dir}", "all")
    assert left.frame_numbers == (1, 2, 3)
    assert right.frame_numbers == (2, 3, 4)
    assert left.targets == right.targets == (False, True, False)
    assert len(data.triplets([left, right])) == 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (f"{dummies.DAY}/{dummies.TEST_DRIVE} 3 l", "drive of the test split"),
        ("drive 1, frame 3", r"train.txt, line 1: expected `DATE/DRIVE FRAME"),
        ("", "names no frame"),
    ],
)
def test_unusable_split_file_is_refused(
    line, complaint, build, raw_root, tmp_path
):
    (tmp_path / "train.txt").write_text(line)
    config = raw_builder.KittiRawConfig(
        name="mine", train_files=str(tmp_path / "train.txt")
    )
    with pytest.raises(ValueError, match=complaint):
        build(tfds_kitti.KittiRaw, raw_root, tmp_path, config=config)


def test_drive_of_an_own_test_list_does_not_train(build, raw_root, tmp_path):
    (tmp_path / "test.txt").write_text(f"{LISTED} 2 l\n")
    config = raw_builder.KittiRawConfig(
        name="mine", test_files=str(tmp_path / "test.txt"), cameras=("02",)
    )
    builder = build(tfds_kitti.KittiRaw, raw_root, tmp_path, config=config)
    (scene,) = open_split(builder, "test")
    assert (scene.name, scene.frame_numbers) == (f"{LISTED}/image_02", (2,))
    others = {drive(scene) for scene in open_split(builder, "all")}
    assert others == {
        f"{dummies.DAY}/{dummies.TRAIN_DRIVES[index]}" for index in (0, 2)
    }


def test_folder_without_drives_is_refused(build, tmp_path):
    (tmp_path / "other" / "things").mkdir(parents=True)
    with pytest.raises(ValueError, match="nothing to build kitti_raw from"):
        build(tfds_kitti.KittiRaw, tmp_path / "other", tmp_path)


def test_command_says_what_is_wrong(capsys, tmp_path):
    from tfds_kitti import __main__ as command

    for arguments, complaint in (
        (["kitti"], "no dataset 'kitti'; there are kitti_raw"),
        (["kitti_raw/9x9"], "no configuration '9x9'; it has full"),
        (["kitti_raw", "--name", "mine"], "needs both: --name and at least"),
    ):
        assert command.main([*arguments, "--manual-dir", str(tmp_path)]) == 1
        assert complaint in capsys.readouterr().err
    missing = str(tmp_path / "nowhere")
    assert command.main(["kitti_raw/full", "--manual-dir", missing]) == 1
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_real_projection_agrees_with_the_published_one(shared_data):
    """Drive 9001: the raw scans against their reference projection."""
    root = shared_data / "kitti_raw/2011_09_26"
    path = root / "2011_09_26_drive_9001_sync"
    camera = kitti.read_calibration(root, "02")
    for number in range(6):
        scan = kitti.load_scan(path / f"velodyne_points/data/{number:010d}.bin")
        published = path / f"proj_depth/velodyne/image_02/{number:010d}.npz"
        for rounding, reference in (
            ("eigen", data.load_depth(published)),
            (
                "exact",
                kitti.open_camera(path / "image_02", "9001", "exact").depth(
                    number
                ),
            ),
        ):
            ours = kitti.project_scan(scan, camera, rounding)
            either = (ours > 0) | (reference > 0)
            assert either.sum() > 10_000
            close = np.abs(ours - reference) <= 0.01 * reference
            assert close[either].mean() >= 0.99
