"""The program for devices, in environments that hold NumPy and a runtime.

Slow, and it installs from PyPI: set SCDEPTH_SLOW_TESTS=1. The interpreters
are python3.11 to python3.14 on PATH and those that SCDEPTH_PYTHONS names
(paths, separated by os.pathsep).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scdepth_tf import lite
from scdepth_tf.export.metadata import describe, read_model, write_metadata
from scdepth_tf.export.quantize import SCHEMES, quantize
from tests.export.conftest import IMAGE_SIZE
from tests.small_depth_net import frames

PROGRAM = Path(__file__).parents[2] / "export" / "on_device.py"
RUNTIMES = {
    "tflite-runtime": ("tflite-runtime==2.14.0", "numpy<2"),
    "ai-edge-litert": ("ai-edge-litert>=2.3", "numpy>=2"),
}
NEWEST = {"tflite-runtime": (3, 11), "ai-edge-litert": (3, 14)}
"""Python versions that the runtimes have wheels for."""
TOLERANCE = {"float32": 1e-4, "float16": 1e-3}
"""Of depth; the kernels of the two runtimes round integers differently, which
random weights show more than trained ones (there it is 1 %).
"""

pytestmark = pytest.mark.skipif(
    not os.environ.get("SCDEPTH_SLOW_TESTS"),
    reason="makes environments: set SCDEPTH_SLOW_TESTS=1",
)


def pythons() -> dict[tuple[int, int], str]:
    """Paths of the interpreters that there are, by version."""
    named = os.environ.get("SCDEPTH_PYTHONS", "").split(os.pathsep)
    wanted = [*named, *(f"python3.{minor}" for minor in range(11, 15))]
    found = {}
    for name in filter(None, wanted):
        done = (
            subprocess.run(
                [name, "-c", "import sys; print(*sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if shutil.which(name)
            else None
        )
        if done and done.returncode == 0:  # the shim of an absent one is not
            found.setdefault(tuple(map(int, done.stdout.split())), name)
    return found


@pytest.fixture(scope="module", params=RUNTIMES)
def device(request, tmp_path_factory) -> Path:
    """A folder with the newest fitting Python in `bin`, on its own."""
    newest = NEWEST[request.param]
    fitting = {v: p for v, p in pythons().items() if (3, 11) <= v <= newest}
    if request.param == "tflite-runtime":
        fitting = {v: p for v, p in fitting.items() if v == newest}
    if not fitting:
        pytest.skip(f"no Python {newest} for {request.param}")
    version = max(fitting)
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([fitting[version], "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip"]
    installed = subprocess.run(
        [*pip, "install", "--quiet", *RUNTIMES[request.param]],
        capture_output=True,
        text=True,
        check=False,
    )
    # No skip: whoever sets SCDEPTH_SLOW_TESTS asks whether they install.
    assert installed.returncode == 0, installed.stderr
    listed = subprocess.run(
        [*pip, "list", "--format=json"], capture_output=True, check=True
    )
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert not names & {"tensorflow", "keras", "pillow", "opencv-python"}
    shutil.copy(PROGRAM, folder / "on_device.py")
    shutil.copy(lite.__file__, folder / "lite.py")
    return folder


def run(folder: Path, *arguments: object, **options) -> str:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON")
    }
    done = subprocess.run(
        [folder / "bin" / "python", "on_device.py", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module", params=SCHEMES)
def model_file(request, float_file, depth_net, tmp_path_factory) -> Path:
    model, made = quantize(
        read_model(float_file), request.param, frames(4, IMAGE_SIZE), "uint8"
    )
    path = tmp_path_factory.mktemp("model") / f"{request.param}.tflite"
    path.write_bytes(model)
    extra = {"scale": {"metres_per_unit": 20.0}}
    write_metadata(path, describe(depth_net, IMAGE_SIZE, made, extra))
    return path


def test_photo_and_video_on_a_device(device, model_file, tmp_path):
    video = [next(frames(1, (80, 120), seed=seed)) for seed in range(3)]
    predict = lite.DepthPredictor(model_file)
    expected = [predict(frame) for frame in video]
    Image.fromarray(video[0]).save(tmp_path / "photo.ppm")
    said = run(device, model_file, tmp_path / "photo.ppm")
    assert "photo: " in said and " m (near" in said
    raw = b"".join(frame.tobytes() for frame in video)
    out = tmp_path / "video"
    said = run(
        device, model_file, "-", "--size", 80, 120, "--out", out, input=raw
    )
    assert "3 frames" in said
    found = [np.load(tmp_path / "photo.depth.npy")]
    found += [np.load(out / f"{index:06d}.depth.npy") for index in range(3)]
    scheme = predict.metadata["quantization"]["scheme"]
    for depth, answer in zip(found, [expected[0], *expected], strict=True):
        ratio = np.abs(np.log(depth / answer)).mean()
        assert ratio < TOLERANCE.get(scheme, 0.1)
    with Image.open(out / "000000.depth.png") as image:
        grey = np.asarray(image)
    assert grey.shape == IMAGE_SIZE
    assert np.corrcoef(grey.ravel(), 1 / found[1].ravel())[0, 1] > 0.95
