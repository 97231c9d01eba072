"""Rendered driving streets with exact depth, poses and labels (numpy).

`write_streets` makes a folder that training reads; `make_street` and
`render_frame` make single frames. A street is a function of its seed.
"""

from scdepth_tf.synthetic.dataset import street_name, write_streets
from scdepth_tf.synthetic.frame import Frame, kitti_intrinsics, render_frame
from scdepth_tf.synthetic.street import Street, make_street

__all__ = [
    "Frame",
    "Street",
    "kitti_intrinsics",
    "make_street",
    "render_frame",
    "street_name",
    "write_streets",
]
