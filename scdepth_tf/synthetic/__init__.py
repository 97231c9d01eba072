"""Rendered driving streets with exact depth, poses and labels (numpy).

`write_streets` makes a folder that training reads; `make_street` and
`render_frame` make single frames. A street is a function of its seed.

- `plan` draws a street from a seed, in the `styles` of neighbourhoods and
  weathers, out of `houses`, `plants`, `cars` and `furniture`;
- `shapes` are the two kinds of surface these are made of, `materials` paints
  them and `textures` filters the paint;
- `visibility` finds what each ray meets, `shadows` what the sun reaches,
  `shading` the colour, and `frame` puts the image together;
- `path` is the drive, `street` the moment, `dataset` the folder.
"""

from scdepth_tf.synthetic.dataset import street_name, write_streets
from scdepth_tf.synthetic.frame import Frame, kitti_intrinsics, render_frame
from scdepth_tf.synthetic.plan import make_street
from scdepth_tf.synthetic.street import Street

__all__ = [
    "Frame",
    "Street",
    "kitti_intrinsics",
    "make_street",
    "render_frame",
    "street_name",
    "write_streets",
]
