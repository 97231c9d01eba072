import json

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import planes
from tests.predict.oracle import Drive, predict


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("rgbd") / "out"
    drive = Drive()
    (sequence,) = predict(drive, out, "rgbd")
    return drive, sequence, out / "rgbd"


def test_associations_pair_each_frame_with_its_depth(written):
    drive, sequence, folder = written
    rows = (folder / "associations.txt").read_text().splitlines()
    assert len(rows) == 6
    for index, row in enumerate(rows):
        time, color, same_time, depth = row.split()
        assert float(time) == float(same_time) == index / 10
        with Image.open(folder / color) as file:
            pixels = np.asarray(file).astype(int)
        assert np.abs(pixels - drive.images[index]).mean() < 3
        with Image.open(folder / depth) as file:
            codes = np.asarray(file)
        known = codes > 0
        assert known.mean() > 0.9
        np.testing.assert_allclose(
            codes[known] / sequence.codes_per_unit,
            drive.depths[index][known],
            rtol=1e-3,
            atol=1 / sequence.codes_per_unit,
        )
    colors = (folder / "rgb.txt").read_text().split()
    assert colors[1::2] == [row.split()[1] for row in rows]


def test_orbslam3_settings_are_the_camera(written):
    _, sequence, folder = written
    text = (folder / "orbslam3.yaml").read_text()
    assert text.startswith("%YAML:1.0\n")
    settings = yaml.safe_load(text.split("\n", 1)[1])
    camera = planes.INTRINSICS
    assert settings["Camera1.fx"] == camera[0, 0]
    assert settings["Camera1.cy"] == camera[1, 2]
    assert settings["Camera.width"] == planes.WIDTH
    assert settings["RGBD.DepthMapFactor"] == sequence.codes_per_unit
    close = settings["Stereo.ThDepth"] * settings["Stereo.b"]
    assert close == pytest.approx(2 * sequence.depth.median)
    # Its reader aborts on 100 where a real number is expected, and on 10.0
    # where an integer is.
    whole = {
        "Camera.width",
        "Camera.height",
        "Camera.fps",
        "Camera.RGB",
        "ORBextractor.nFeatures",
        "ORBextractor.nLevels",
        "ORBextractor.iniThFAST",
        "ORBextractor.minThFAST",
    }
    for name, value in settings.items():
        if not isinstance(value, str):
            assert isinstance(value, int) == (name in whole), name


def test_open3d_camera_is_column_by_column(written):
    _, _, folder = written
    camera = json.loads((folder / "open3d_intrinsic.json").read_text())
    matrix = np.reshape(camera["intrinsic_matrix"], (3, 3), order="F")
    np.testing.assert_array_equal(matrix, planes.INTRINSICS)
    assert (camera["height"], camera["width"]) == (planes.HEIGHT, planes.WIDTH)
    system = json.loads((folder / "open3d.json").read_text())
    assert system["path_intrinsic"] == str(folder / "open3d_intrinsic.json")
