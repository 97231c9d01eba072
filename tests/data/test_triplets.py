import dataclasses

import pytest

from scdepth_tf.data import open_scenes, triplets


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_triplets_are_neighbours_within_one_scene(stride, make_scene):
    make_scene("a", frames=9)
    data = make_scene("b", frames=7).parent
    found = triplets(open_scenes(data), stride)
    assert len(found) == (9 - 2 * stride) + (7 - 2 * stride)
    for scene, target, (earlier, later) in found:
        assert (earlier, later) == (target - stride, target + stride)
        assert earlier >= 0
        assert later < (9, 7)[scene]


def test_triplets_never_span_a_gap_in_frame_numbers(make_drive):
    numbers = (0, 1, 2, 3, 5, 6, 7, 20, 21)
    scene = open_scenes(make_drive(numbers=numbers))[0]
    centres = [numbers[item.target] for item in triplets([scene])]
    assert centres == [1, 2, 6]
    with pytest.raises(ValueError, match="without gaps in their frame numb"):
        triplets([scene], stride=2)


def test_scene_shorter_than_the_stride_needs_is_named(make_scene):
    scenes = open_scenes(make_scene(frames=5))
    assert len(triplets(scenes, stride=2)) == 1
    with pytest.raises(ValueError, match=r"street: 5 frames.*stride of 3.* 7"):
        triplets(scenes, stride=3)


def test_nothing_to_train_on_is_an_error(make_scene):
    (scene,) = open_scenes(make_scene(frames=3))
    gaps = dataclasses.replace(scene, frame_numbers=(0, 2, 9))
    with pytest.raises(ValueError, match="no frame of street has neighbours"):
        triplets([gaps])
    with pytest.raises(ValueError, match="no scenes given"):
        triplets([])
    with pytest.raises(ValueError, match="stride is 0"):
        triplets([scene], stride=0)
