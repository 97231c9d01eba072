"""The Python of export/README.md runs as it stands."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from tests.export.conftest import IMAGE_SIZE
from tests.small_depth_net import SmallDepthNet, frames

README = Path(__file__).parents[2] / "export" / "README.md"


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {
        "depth_net": SmallDepthNet(),
        "training_frames": frames(3, IMAGE_SIZE),
        "other_frames": frames(2, IMAGE_SIZE, seed=1),
    }
    Image.fromarray(next(frames(1, (100, 150)))).save("photo.jpg")
    on_device, on_server = README.read_text().split("\n# Depth on a server\n")
    assert "```python" in on_server  # tests/export/test_saved_model.py has that
    blocks = re.findall(r"```python\n(.*?)```", on_device, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert names["depth"].shape == IMAGE_SIZE
    assert np.isfinite(names["depth"]).all()


def test_recipe_for_other_languages_gives_the_same_depth(
    int8_file,
):
    """The five steps by hand, on an image of the network's size."""
    from ai_edge_litert.interpreter import Interpreter

    from scdepth_tf.lite import DepthPredictor

    predict = DepthPredictor(int8_file)
    frame = next(frames(1, IMAGE_SIZE, seed=2))
    run = Interpreter(model_path=str(int8_file)).get_signature_runner()
    codes = run(image=frame[np.newaxis])["logits"]
    scale, zero_point = run.get_output_details()["logits"]["quantization"]
    logits = (codes[0, ..., 0].astype(float) - zero_point) * scale
    head = predict.metadata["output"]
    disparity = head["alpha"] / (1 + np.exp(-logits)) + head["beta"]
    np.testing.assert_allclose(predict(frame), 1 / disparity, rtol=1e-5)
