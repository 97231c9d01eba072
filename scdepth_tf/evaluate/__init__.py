"""One evaluator for training, command line and Python.

Free of TensorFlow: predictors are plain functions, and whatever made them is
none of its business.
"""

from scdepth_tf.evaluate.consistency import (
    ConsistencyReport,
    evaluate_consistency,
)
from scdepth_tf.evaluate.depth import (
    DepthReport,
    DepthTally,
    ImageErrors,
    evaluate_depth,
)
from scdepth_tf.evaluate.flip import flip_merged
from scdepth_tf.evaluate.masks import MaskReport, evaluate_masks
from scdepth_tf.evaluate.odometry import (
    OdometryReport,
    evaluate_odometry,
    predict_trajectory,
)
from scdepth_tf.evaluate.samples import (
    Sample,
    contiguous_parts,
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
    "flip_merged",
    "evaluate_consistency",
    "ConsistencyReport",
    "evaluate_odometry",
    "predict_trajectory",
    "OdometryReport",
    "evaluate_masks",
    "MaskReport",
    "Sample",
    "contiguous_parts",
    "depth_samples",
    "read_sample",
    "read_frame_list",
    "training_baselines",
]
