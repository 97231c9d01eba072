"""The SC-Depth losses (Bian et al., IJCV 2021), from pixels to the total."""

from scdepth_tf.config import LossConfig
from scdepth_tf.losses.consistency import depth_inconsistency, self_mask
from scdepth_tf.losses.masks import auto_mask, masked_mean, region_auto_mask
from scdepth_tf.losses.photometric import (
    IMAGE_MEAN,
    IMAGE_STD,
    photometric_error,
    ssim_distance,
    standardise,
)
from scdepth_tf.losses.smoothness import smoothness
from scdepth_tf.losses.terms import (
    LossTerms,
    ViewComparison,
    compare_views,
    count_pixels,
    loss_terms,
    view_synthesis_error,
)

__all__ = [
    "loss_terms",
    "LossTerms",
    "count_pixels",
    "LossConfig",
    "compare_views",
    "ViewComparison",
    "view_synthesis_error",
    "ssim_distance",
    "photometric_error",
    "standardise",
    "IMAGE_MEAN",
    "IMAGE_STD",
    "depth_inconsistency",
    "self_mask",
    "auto_mask",
    "region_auto_mask",
    "masked_mean",
    "smoothness",
]
