"""The program for devices: it harms no file, and says what is wrong."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest

from scdepth_tf import lite
from scdepth_tf.export import export_tflite
from tests.small_depth_net import SmallDepthNet, frames

PROGRAM = Path(__file__).parents[2] / "export" / "on_device.py"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("on_device") / "depth.tflite"
    return export_tflite(SmallDepthNet(), path, SIZE)


@pytest.fixture
def run(model_file, monkeypatch):
    spec = importlib.util.spec_from_file_location("on_device", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)

    def run(*arguments, stdin=b"") -> None:
        command = ["on_device.py", str(model_file), *map(str, arguments)]
        monkeypatch.setattr("sys.argv", command)
        standard_input = io.TextIOWrapper(io.BytesIO(stdin))
        monkeypatch.setattr("sys.stdin", standard_input)
        program.main()

    return run


@pytest.fixture
def image():
    return next(frames(1, SIZE))


@pytest.mark.parametrize("ending", ["npy", "ppm"])
def test_image_stays_and_depth_lies_beside_it(
    run, model_file, image, tmp_path, ending
):
    path = tmp_path / f"photo.{ending}"
    if ending == "npy":
        np.save(path, image)
    else:
        path.write_bytes(b"P6 96 64 255\n" + image.tobytes())
    before = path.read_bytes()
    run(path)
    assert path.read_bytes() == before
    np.testing.assert_array_equal(
        np.load(tmp_path / "photo.depth.npy"),
        lite.DepthPredictor(model_file)(image),
    )
    assert (tmp_path / "photo.depth.png").read_bytes()[1:4] == b"PNG"


def test_frames_on_standard_input_are_taken_in_turn(
    run, image, tmp_path, capsys
):
    run("-", "--size", 64, 96, "--out", tmp_path, stdin=2 * image.tobytes())
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 frames, ")
    assert len(list(tmp_path.glob("*.depth.npy"))) == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["-", "--size", 64, 96], 18433, "last frame is cut: 1 of its 18432"),
        (["-", "--size", 64, 96], 0, "there are no frames in -"),
        (["-"], 0, "raw frames need --size H W"),
        (["nowhere.jpg"], 0, "there is no file nowhere.jpg"),
        (["nowhere.mp4"], 0, "there is no file nowhere.mp4"),
        (["cut.ppm"], 0, "cut.ppm is cut: its header promises more"),
        (["text.ppm"], 0, "text.ppm is no binary PPM"),
        (["a.npy", "--out", "text.ppm"], 0, "cannot make the folder text.ppm"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    run, image, tmp_path, monkeypatch, arguments, stdin, message
):
    monkeypatch.chdir(tmp_path)
    Path("cut.ppm").write_bytes(b"P6 96 64 255\n" + image.tobytes()[:-1])
    Path("text.ppm").write_text("a text")
    np.save("a.npy", image)
    with pytest.raises(SystemExit) as end:
        run(*arguments, stdin=bytes(stdin))
    assert message in end.value.code and "\n" not in end.value.code


@pytest.mark.parametrize("option", [["--size", "0", "96"], ["--threads", "-1"]])
def test_numbers_have_to_be_above_zero(run, option, capsys):
    with pytest.raises(SystemExit):
        run("-", *option)
    assert "is no number above 0" in capsys.readouterr().err
