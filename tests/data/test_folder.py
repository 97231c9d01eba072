import numpy as np
import pytest
from PIL import Image

from scdepth_tf.data import intrinsics_are_a_guess, open_scenes


def names(scenes):
    return [scene.name for scene in scenes]


def test_scene_holds_what_the_files_say(make_scene):
    folder = make_scene(frames=4, size=(20, 30))
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 2, 3] = range(4)
    np.savetxt(folder / "poses.txt", poses[:, :3].reshape(4, 12))
    (folder / "depth").mkdir()
    depth = np.full((20, 30), 7.0)
    np.savez(folder / "depth" / "000002.npz", depth=depth, instance=depth > 0)
    (scene,) = open_scenes(folder)
    assert scene.name == "street"
    assert len(scene) == 4
    assert scene.image_size == (20, 30)
    np.testing.assert_array_equal(
        scene.intrinsics, [[50, 0, 31.5], [0, 50, 15.5], [0, 0, 1]]
    )
    np.testing.assert_allclose(scene.poses, poses)
    np.testing.assert_array_equal(scene.depth(2), depth)
    assert scene.instance(2).all()
    assert scene.depth(1) is None
    assert scene.instance(1) is None
    np.testing.assert_array_equal(scene.image(3), np.full((20, 30, 3), 9))


def test_frames_are_in_natural_order(make_scene):
    folder = make_scene(frames=0)
    for number in (10, 9, 1, 100):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.png")
    (scene,) = open_scenes(folder)
    stems = [frame.stem for frame in scene.frames]
    assert stems == ["1", "9", "10", "100"]


def test_lists_decide_the_split(make_scene):
    for name in ("a", "b", "c", "d"):
        data = make_scene(name).parent
    (data / "train.txt").write_bytes(b"b\r\n\r\n  a  \r\n")
    (data / "val.txt").write_bytes(b"\nd")  # no newline at the end
    assert names(open_scenes(data, "train")) == ["a", "b"]
    assert names(open_scenes(data, "val")) == ["d"]
    assert names(open_scenes(data, "all")) == ["a", "b", "c", "d"]


def test_val_list_alone_leaves_the_rest_for_training(make_scene):
    for name in ("a", "b", "c"):
        data = make_scene(name).parent
    (data / "val.txt").write_text("b\n")
    assert names(open_scenes(data, "train")) == ["a", "c"]
    assert names(open_scenes(data, "val")) == ["b"]


def test_test_scenes_are_opened_by_nothing_else(make_scene):
    for name in ("a", "b", "c", "d"):
        data = make_scene(name).parent
    (data / "test.txt").write_text("b\n")
    assert names(open_scenes(data, "test")) == ["b"]
    assert names(open_scenes(data, "all")) == ["a", "c", "d"]
    train, val = (names(open_scenes(data, side)) for side in ("train", "val"))
    assert sorted(train + val) == ["a", "c", "d"]


def test_without_a_test_list_there_is_no_test_split(make_scene):
    data = make_scene("a").parent
    with pytest.raises(ValueError, match=r"no test split.*test\.txt"):
        open_scenes(data, "test")


def test_train_list_alone_is_split_further(make_scene):
    for name in ("a", "b", "c", "d"):
        data = make_scene(name).parent
    (data / "train.txt").write_text("a\nb\nc\n")
    train, val = (names(open_scenes(data, side)) for side in ("train", "val"))
    assert sorted(train + val) == ["a", "b", "c"]
    assert len(val) == 1


def test_list_with_a_missing_scene_is_named(make_scene):
    data = make_scene("a").parent
    (data / "train.txt").write_text("a\nghost\n")
    with pytest.raises(FileNotFoundError, match=r"train\.txt.*scene ghost"):
        open_scenes(data, "train")


@pytest.mark.parametrize(
    ("train", "val", "complaint"),
    [
        ("\n\n", "a\n", r"train\.txt: names no scene"),
        ("a\na\n", "b\n", r"train\.txt: names the scene a twice"),
        ("a\nb\n", "b\n", r"val\.txt: the scene b is in train\.txt too"),
    ],
)
def test_contradictory_lists_are_refused(train, val, complaint, make_scene):
    for name in ("a", "b"):
        data = make_scene(name).parent
    (data / "train.txt").write_text(train)
    (data / "val.txt").write_text(val)
    with pytest.raises(ValueError, match=complaint):
        open_scenes(data, "train")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n", "3x3.*got 3 rows of 4"),
        ("50 0 31.5\n0 50 15.5\n", "3x3.*got 2 rows of 3"),
        ("50 0 31.5\n0 50\n0 0 1\n", "rows of equally many numbers"),
        ("", "rows of equally many numbers, got none"),
        ("fx 0 31.5\n0 50 15.5\n0 0 1\n", "expected numbers.*fx"),
        ("-50 0 31.5\n0 50 15.5\n0 0 1\n", "fx -50 .* must be positive"),
        ("50 0 31.5\n0 0 15.5\n0 0 1\n", "fy 0 must be positive"),
        ("nan 0 31.5\n0 50 15.5\n0 0 1\n", "not finite"),
        ("50 0 31.5\n0 inf 15.5\n0 0 1\n", "not finite"),
        ("50 0 0\n0 50 0\n31.5 15.5 1\n", "transposed"),
    ],
)
def test_impossible_intrinsics_are_refused(text, complaint, make_scene):
    folder = make_scene()
    (folder / "cam.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"cam\.txt: .*{complaint}"):
        open_scenes(folder.parent)


def test_intrinsics_may_be_separated_by_commas(make_scene):
    folder = make_scene()
    (folder / "cam.txt").write_text("50, 0, 31\r\n0, 51, 15\r\n0, 0, 1")
    (scene,) = open_scenes(folder)
    np.testing.assert_array_equal(
        scene.intrinsics, [[50, 0, 31], [0, 51, 15], [0, 0, 1]]
    )


def test_missing_intrinsics_are_asked_for(make_scene):
    folder = make_scene()
    (folder / "cam.txt").unlink()
    for path in (folder, folder.parent):
        with pytest.raises(
            FileNotFoundError, match=r"cam\.txt: not found; wri"
        ):
            open_scenes(path)


@pytest.mark.parametrize("frames", [0, 2])
def test_scene_of_fewer_than_three_frames_is_refused(frames, make_scene):
    data = make_scene(frames=frames).parent
    with pytest.raises(ValueError, match=f"street: {frames} frames.*least 3"):
        open_scenes(data)


def test_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(ValueError, match=r"holds no scenes; expected SCENE/"):
        open_scenes(tmp_path)
    with pytest.raises(FileNotFoundError, match="ghost: no such folder"):
        open_scenes(tmp_path / "ghost")


def test_damaged_frames_are_found_when_opening(make_scene, truncate):
    data = make_scene().parent
    truncate(data / "street" / "000003.png")
    with pytest.raises(ValueError, match=r"000003\.png.*truncated"):
        open_scenes(data)


def test_sizes_must_agree_within_a_scene_only(make_scene):
    make_scene("wide", size=(32, 96))
    data = make_scene("small").parent
    assert [scene.image_size for scene in open_scenes(data)] == [
        (32, 64),
        (32, 96),
    ]
    Image.new("RGB", (65, 32)).save(data / "small" / "000001.png")
    with pytest.raises(ValueError, match=r"000001\.png: 65x32 pixels, but"):
        open_scenes(data)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (["1 0 0 0 0 1 0 0 0 0 1 0"] * 4, "4 poses for 5 frames"),
        (["1 0 0 0 1 0 0 0 1"] * 5, "12 finite numbers a row.*got 9"),
        (["1 0 0 nan 0 1 0 0 0 0 1 0"] * 5, "12 finite numbers"),
    ],
)
def test_unusable_poses_are_refused(rows, complaint, make_scene):
    folder = make_scene(frames=5)
    (folder / "poses.txt").write_text("\n".join(rows))
    with pytest.raises(ValueError, match=rf"poses\.txt: .*{complaint}"):
        open_scenes(folder)


def test_depth_that_belongs_to_no_frame_is_refused(make_scene):
    folder = make_scene()
    (folder / "depth").mkdir()
    np.save(folder / "depth" / "7.npy", np.ones((32, 64)))
    with pytest.raises(ValueError, match=r"depth: no depth file .*000000\.npz"):
        open_scenes(folder)


def test_frame_that_exists_twice_is_refused(make_scene):
    folder = make_scene()
    Image.new("RGB", (64, 32)).save(folder / "000001.jpg")
    with pytest.raises(ValueError, match=r"000001\.png: 000001\.jpg is the sa"):
        open_scenes(folder)


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ('{"assumed": true}', True),
        ('{"assumed": false}', False),
        ("[1]", False),
        ("torn {", False),
        (None, False),
    ],
)
def test_guessed_intrinsics_are_known_from_prepare(text, guess, tmp_path):
    if text is not None:
        (tmp_path / "prepare.json").write_text(text)
    assert intrinsics_are_a_guess(tmp_path) is guess
