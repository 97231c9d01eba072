"""The comparison of a file with its network."""

import pytest

from scdepth_tf.export import verify
from tests.export.conftest import IMAGE_SIZE
from tests.small_depth_net import SmallDepthNet, frames


def test_report_of_a_float_file(depth_net, float_file):
    report = verify(float_file, depth_net, frames(2, (90, 150), seed=1))
    assert report.scheme == "float32"
    assert report.size_bytes == float_file.stat().st_size
    assert report.frames == 2
    assert report.log_depth_ratio < 1e-5
    assert report.abs_rel < 1e-5
    assert report.scale == pytest.approx(1, abs=1e-5)
    assert report.distinct_depths > 1000
    assert report.latency_ms > 0
    assert report.operators["RESIZE_BILINEAR"] == 5
    assert report.tensor_types.keys() == {"FLOAT32"}
    assert report.to_json()["frames"] == 2
    assert "float32" in str(report)


def test_file_of_another_network_is_found_out(float_file):
    report = verify(float_file, SmallDepthNet(), frames(2, IMAGE_SIZE, seed=1))
    assert report.log_depth_ratio > 0.5


def test_no_frames_is_an_error(depth_net, float_file):
    with pytest.raises(ValueError, match="at least one frame"):
        verify(float_file, depth_net, [])
