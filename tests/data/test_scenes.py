import os
import subprocess
import sys

import pytest

from scdepth_tf.data import open_scenes, triplets


def names(scenes):
    return [scene.name for scene in scenes]


@pytest.fixture
def ten_streets(make_scene):
    for number in range(10):
        data = make_scene(f"street_{number}", frames=3).parent
    return data


def test_split_is_this_one_for_ever(ten_streets):
    assert names(open_scenes(ten_streets, "val", validation_fraction=0.3)) == [
        "street_1",
        "street_2",
        "street_7",
    ]


def test_split_does_not_depend_on_the_hash_seed(ten_streets):
    code = (
        "from scdepth_tf.data import open_scenes; "
        f"print([scene.name for scene in open_scenes({str(ten_streets)!r}, "
        "'train', validation_fraction=0.5)])"
    )
    splits = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "2")
    }
    assert splits == {f"{names(open_scenes(ten_streets, 'train', (), 0.5))}\n"}


def test_opening_scenes_needs_no_tensorflow(ten_streets):
    code = (
        "import sys; from scdepth_tf import data; "
        f"data.triplets(data.open_scenes({str(ten_streets)!r})); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_every_scene_is_on_exactly_one_side(fraction, ten_streets):
    train = names(open_scenes(ten_streets, "train", (), fraction))
    val = names(open_scenes(ten_streets, "val", (), fraction))
    assert sorted(train + val) == [f"street_{number}" for number in range(10)]
    assert len(val) == min(max(round(10 * fraction), 1), 9)


def test_another_seed_gives_another_split(ten_streets):
    splits = {
        tuple(names(open_scenes(ten_streets, "val", (), 0.3, seed)))
        for seed in range(5)
    }
    assert len(splits) > 1


@pytest.mark.parametrize("fraction", [0.05, 0.4])
def test_single_scene_is_split_in_time_without_shared_frames(
    fraction, make_scene
):
    folder = make_scene(frames=20)
    everything = open_scenes(folder)[0].frames
    (train,) = open_scenes(folder, "train", (), fraction)
    (val,) = open_scenes(folder, "val", (), fraction)
    assert train.frames + val.frames == everything
    assert len(val) == max(3, round(20 * fraction))
    assert triplets([train])
    assert triplets([val])


def test_parts_of_a_scene_keep_their_poses(make_scene):
    folder = make_scene(frames=10)
    rows = [f"1 0 0 {x} 0 1 0 0 0 0 1 0" for x in range(10)]
    (folder / "poses.txt").write_text("\n".join(rows))
    (val,) = open_scenes(folder, "val", validation_fraction=0.3)
    assert [frame.stem for frame in val.frames] == [
        "000007",
        "000008",
        "000009",
    ]
    assert val.poses[:, 0, 3].tolist() == [7, 8, 9]


def test_single_short_scene_cannot_be_split(make_scene):
    folder = make_scene(frames=5)
    with pytest.raises(ValueError, match=r"street: 5 frames.*give 6 frames"):
        open_scenes(folder, "train")


def test_both_cameras_of_a_drive_stay_on_one_side(make_drive):
    for number in range(4):
        root = make_drive(f"2011_09_26_drive_000{number}_sync")
    for seed in range(5):
        train = names(open_scenes(root, "train", (), 0.25, seed))
        val = names(open_scenes(root, "val", (), 0.25, seed))
        assert len(val) == 2
        assert len({name.rsplit("/", 1)[0] for name in val}) == 1
        assert len({*train, *val}) == 8


def test_both_cameras_of_a_single_drive_are_cut_at_one_time(make_drive):
    root = make_drive(numbers=tuple(range(20)))
    parts = open_scenes(root, "train", validation_fraction=0.25)
    assert [part.frame_numbers for part in parts] == [tuple(range(15))] * 2


def test_filter_prefers_equal_names_to_patterns(make_scene):
    for name in ("street_1", "street_10", "alley"):
        data = make_scene(name).parent
    assert names(open_scenes(data, scenes=("street_1",))) == ["street_1"]
    assert names(open_scenes(data, scenes="street")) == [
        "street_1",
        "street_10",
    ]
    assert names(open_scenes(data, scenes=("al?ey", "10"))) == [
        "alley",
        "street_10",
    ]
    with pytest.raises(ValueError, match=r"no scene matches 'lane'.*alley"):
        open_scenes(data, scenes=("street", "lane"))


def test_filter_that_leaves_a_side_empty_is_refused(make_scene):
    for name in ("a", "b"):
        data = make_scene(name).parent
    (data / "train.txt").write_text("a")
    (data / "val.txt").write_text("b")
    with pytest.raises(ValueError, match="no scene is left for val"):
        open_scenes(data, "val", scenes=("a",))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_fraction_is_refused(fraction, ten_streets):
    with pytest.raises(ValueError, match=r"validation_fraction is .*between 0"):
        open_scenes(ten_streets, "val", (), fraction)


def test_unknown_split_is_refused(ten_streets):
    with pytest.raises(ValueError, match="split is 'tests'; give train, val"):
        open_scenes(ten_streets, "tests")
