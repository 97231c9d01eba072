"""Errors against ground truth, and baselines to read them by (numpy only)."""

from scdepth_tf.metrics import baselines
from scdepth_tf.metrics.depth import (
    EIGEN,
    GENERIC,
    NYU,
    PROTOCOLS,
    DepthErrors,
    Protocol,
    depth_errors,
)

__all__ = [
    "depth_errors",
    "DepthErrors",
    "Protocol",
    "EIGEN",
    "GENERIC",
    "NYU",
    "PROTOCOLS",
    "baselines",
]
