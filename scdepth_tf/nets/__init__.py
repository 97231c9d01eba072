"""Networks: depth from one image, pose from two."""

from scdepth_tf.nets.depth_net import DepthNet
from scdepth_tf.nets.layers import check_image_size
from scdepth_tf.nets.pose_net import PoseNet
from scdepth_tf.nets.published import load_encoder, load_torch_weights

__all__ = [
    "DepthNet",
    "PoseNet",
    "check_image_size",
    "load_encoder",
    "load_torch_weights",
]
