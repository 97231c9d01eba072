"""One evaluator for training, command line and Python.

Free of TensorFlow: predictors are plain functions, and whatever made them is
none of its business.
"""

from scdepth_tf.evaluate.depth import (
    DepthReport,
    DepthTally,
    ImageErrors,
    evaluate_depth,
)
from scdepth_tf.evaluate.samples import (
    Sample,
    depth_samples,
    read_frame_list,
    read_sample,
    training_baselines,
)

__all__ = [
    "evaluate_depth",
    "DepthReport",
    "DepthTally",
    "ImageErrors",
    "Sample",
    "depth_samples",
    "read_sample",
    "read_frame_list",
    "training_baselines",
]
