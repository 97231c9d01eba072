"""Errors against ground truth, and baselines to read them by (numpy only)."""

from scdepth_tf.metrics import baselines
from scdepth_tf.metrics.depth import (
    DDAD,
    EIGEN,
    EIGEN_IMPROVED,
    EIGEN_LIGHTNING,
    GENERIC,
    NYU,
    NYU_RELEASE,
    PROTOCOLS,
    DepthErrors,
    Protocol,
    depth_errors,
)
from scdepth_tf.metrics.odometry import (
    ALIGNMENTS,
    SnippetErrors,
    TrajectoryErrors,
    chain,
    segment_errors,
    snippet_errors,
    trajectory_errors,
    umeyama,
)
from scdepth_tf.metrics.trajectory_files import (
    Trajectory,
    read_trajectory,
    write_kitti,
    write_tum,
)

__all__ = [
    "depth_errors",
    "DepthErrors",
    "Protocol",
    "EIGEN",
    "EIGEN_LIGHTNING",
    "EIGEN_IMPROVED",
    "GENERIC",
    "NYU",
    "NYU_RELEASE",
    "DDAD",
    "PROTOCOLS",
    "baselines",
    "trajectory_errors",
    "TrajectoryErrors",
    "segment_errors",
    "snippet_errors",
    "SnippetErrors",
    "umeyama",
    "chain",
    "ALIGNMENTS",
    "read_trajectory",
    "Trajectory",
    "write_kitti",
    "write_tum",
]
