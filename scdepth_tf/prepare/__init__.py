"""Own footage becomes training data: frames, scenes and intrinsics.

Needs the extra `video` (PyAV, OpenCV, PyYAML), no TensorFlow.
"""

from scdepth_tf.prepare.calibration import Calibration, read_calibration
from scdepth_tf.prepare.job import prepare
from scdepth_tf.prepare.summary import Summary

__all__ = ["prepare", "Summary", "Calibration", "read_calibration"]
