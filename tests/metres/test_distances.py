"""Lengths that somebody measured."""

import numpy as np
import pytest

from scdepth_tf.metres import (
    parse_distance,
    read_distances,
    scale_of_distance,
)

INTRINSICS = np.array([[100.0, 0, 60], [0, 110.0, 30], [0, 0, 1]])
SIZE = (64, 128)


def test_points_on_a_slanted_wall_give_the_exact_scale():
    """Disparity is linear over a plane: no interpolation error."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    disparity = 0.05 + 0.0004 * u + 0.0001 * v
    depth = (1 / disparity).astype(np.float64)
    ends = np.array([[10.25, 20.5], [90.75, 50.0]])
    points = [
        np.linalg.inv(INTRINSICS) @ [x, y, 1] / (0.05 + 0.0004 * x + 0.0001 * y)
        for x, y in ends
    ]
    metres = 7.5 * float(np.linalg.norm(points[1] - points[0]))
    distance = parse_distance(f"a,10.25,20.5,90.75,50,{metres!r}")
    scale = scale_of_distance(distance, depth, INTRINSICS, SIZE)
    assert scale == pytest.approx(7.5, rel=1e-6)


def test_both_files_say_the_same(tmp_path):
    rows = tmp_path / "d.csv"
    rows.write_text("frame,x1,y1,x2,y2,metres\n0007,1,2,3,4,5.5\n")
    objects = tmp_path / "d.json"
    objects.write_text(
        '[{"frame": "0007", "x1": 1, "y1": 2, "x2": 3, "y2": 4, "metres": 5.5}]'
    )
    one = parse_distance("0007,1,2,3,4,5.5")
    assert read_distances(rows) == read_distances(objects) == [one]


@pytest.mark.parametrize(
    "text",
    ["", "a,1,2,3,4", "a,1,2,3,4,far", "a,1,2,3,4,-1", "a,1,2,3,nan,4"],
)
def test_what_is_no_distance_is_one_line(text):
    with pytest.raises(ValueError, match="expected a"):
        parse_distance(text)


@pytest.mark.parametrize("text", ["", "{}", "[]", "[3]", "frame,x\na,1\n"])
def test_bad_files_are_one_line(tmp_path, text):
    for name in ("d.csv", "d.json"):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=name):
            read_distances(tmp_path / name)


def test_a_point_outside_of_the_image_is_refused():
    distance = parse_distance("a,1,2,300,4,5")
    with pytest.raises(ValueError, match=r"\(300, 4\).*128x64"):
        scale_of_distance(distance, np.ones(SIZE), INTRINSICS, SIZE)


def test_a_point_has_no_distance_to_itself():
    distance = parse_distance("a,1,2,1,2,5")
    with pytest.raises(ValueError, match="itself"):
        scale_of_distance(distance, np.ones(SIZE), INTRINSICS, SIZE)
