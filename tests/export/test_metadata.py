"""The description in a file's zip tail."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from scdepth_tf.export import add_metadata, export_tflite, write_metadata
from scdepth_tf.export.metadata import read_model
from scdepth_tf.lite import METADATA_NAME, DepthPredictor, read_metadata
from tests.export.conftest import IMAGE_SIZE
from tests.small_depth_net import SmallDepthNet, frames


@pytest.fixture
def model_file(tmp_path):
    return export_tflite(SmallDepthNet(), tmp_path / "d.tflite", IMAGE_SIZE)


def test_description_comes_back_as_it_was_written(model_file):
    metadata = {**read_metadata(model_file), "größe": [1, 2.5, None, "ü"]}
    write_metadata(model_file, metadata)
    assert read_metadata(model_file) == metadata


def test_rewriting_keeps_the_model_and_does_not_grow_the_file(model_file):
    image = next(frames(1, IMAGE_SIZE))
    before = model_file.read_bytes()
    depth = DepthPredictor(model_file)(image)
    write_metadata(model_file, read_metadata(model_file))
    assert model_file.read_bytes() == before
    add_metadata(model_file, metrics={"abs_rel": 0.12})
    assert read_metadata(model_file)["metrics"] == {"abs_rel": 0.12}
    np.testing.assert_array_equal(DepthPredictor(model_file)(image), depth)


def test_any_unzip_tool_reads_the_description(model_file):
    with zipfile.ZipFile(model_file) as tail:
        assert tail.namelist() == [METADATA_NAME]
        assert tail.testzip() is None
        # No clock inside: equal exports are equal files.
        assert tail.getinfo(METADATA_NAME).date_time == (1980, 1, 1, 0, 0, 0)


def test_model_without_its_tail_is_the_flatbuffer_alone(model_file):
    content = model_file.read_bytes()
    model = read_model(model_file)
    assert model == content[: len(model)]
    assert content[len(model) : len(model) + 4] == b"PK\x03\x04"
    model_file.write_bytes(model)
    assert read_model(model_file) == model


def test_failed_rewrite_leaves_the_file_alone(model_file):
    before = model_file.read_bytes()
    with pytest.raises(ValueError, match="must be JSON"):
        write_metadata(model_file, {"depth": np.ones(3)})
    assert model_file.read_bytes() == before
    assert list(model_file.parent.iterdir()) == [model_file]


def test_describing_and_quantizing_load_no_tensorflow():
    program = (
        "import sys; import scdepth_tf.export, scdepth_tf.export.quantize;"
        " sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
