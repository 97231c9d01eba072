"""GPX and CSV, and what is wrong with them."""

import numpy as np
import pytest

from scdepth_tf.metres import read_track
from scdepth_tf.metres.tracks import level_positions, seconds

GPX = """<?xml version="1.0"?>
<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="49.0" lon="8.4"><ele>110</ele>
<time>2024-05-01T10:00:00Z</time></trkpt>
<trkpt lat="49.001" lon="8.4"><time>2024-05-01T10:00:05.5Z</time></trkpt>
</trkseg></trk></gpx>"""


def written(tmp_path, text, name="track.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_gpx_gives_times_and_metres(tmp_path):
    track = read_track(written(tmp_path, GPX, "drive.gpx"))
    assert track.times[0] == seconds("2024-05-01T12:00:00+02:00")
    assert np.diff(track.times) == pytest.approx([5.5])
    # A thousandth of a degree of latitude at 49 degrees (WGS 84): 111.21 m.
    np.testing.assert_allclose(track.positions[1], [0, -111.21, 0], atol=0.01)


def test_csv_with_places_is_gpx_by_another_name(tmp_path):
    text = "lat,time,lon\n49.0,0,8.4\n\n49.001,5.5,8.4\n"
    track = read_track(written(tmp_path, text))
    np.testing.assert_allclose(track.positions[1, 1], -111.21, atol=0.01)


def test_speeds_add_up_to_distances(tmp_path):
    text = "Time, Speed\n0,0\n10,20\n20,20\n"
    track = read_track(written(tmp_path, text))
    np.testing.assert_allclose(track.distances, [0, 100, 300])
    assert track.positions is None


def test_metres_east_shrink_with_latitude():
    for latitude, metres in ((0.0, 111319.49), (60.0, 55800.0)):
        found = level_positions(np.full(2, latitude), np.array([7.0, 8.0]))
        assert found[1, 0] == pytest.approx(metres, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must name the columns"),
        ("time,altitude\n0,1\n", "must name the columns"),
        ("time,speed\n0,fast\n", "line 2 holds no speed"),
        ("time,speed\nnoon,3\n", "line 2"),
        ("time,speed\n0,3\n", "1 points"),
        ("time,speed\n0,3\n0,4\n", "point 2 is not later"),
        ("time,speed\n0,3\n1,-4\n", "speed of point 2 is -4"),
        ("time,lat,lon\n0,49,8\n1,490,8\n", "lat of point 2 is 490"),
        ("time,lat,lon\n0,49,8\n1,nan,8\n", "lat of point 2 is nan"),
    ],
)
def test_bad_csv_is_one_line(tmp_path, text, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        read_track(written(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<gpx>", "not a GPX file"),
        ("<gpx></gpx>", "no track points"),
        ('<gpx><trkpt lat="1" lon="2"/></gpx>', "no time"),
        ("<gpx><trkpt><time>5</time></trkpt></gpx>", "no lat and lon"),
    ],
)
def test_bad_gpx_is_one_line(tmp_path, text, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_track(written(tmp_path, text, "drive.gpx"))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"gpx or \.csv"):
        read_track(written(tmp_path, "", "drive.fit"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_track(tmp_path / "absent.gpx")
