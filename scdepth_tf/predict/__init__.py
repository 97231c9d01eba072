"""From footage to depth, a trajectory and 3-D with a trained model.

- `networks` asks the networks;
- `sources` opens videos, pictures and scenes as streams of frames;
- `store` keeps what the networks said until the outputs are written;
- `description` is predict.json: whose job a folder holds, and what is written;
- `job` does `scdepth predict` from end to end: all of the networks' work
  first, a few frames a file, then the trajectory, then every output in one
  pass over frames and stored depth;
- `files`, `video`, `rgbd`, `fusion`, `cloud`, `mesh` and `recording` write
  the outputs; `panels` draws what pictures and video show.

Depth and positions have one unknown unit for the whole footage, the scene
unit. Everything but `networks` works without TensorFlow.
"""

from __future__ import annotations

_NEED_TENSORFLOW = (
    "depth_predictor",
    "motion_predictor",
    "resize_image",
    "sequence_predictor",
)

__all__ = ["predict", *_NEED_TENSORFLOW]


def __getattr__(name: str) -> object:
    if name in _NEED_TENSORFLOW:
        from scdepth_tf.predict import networks

        return getattr(networks, name)
    if name == "predict":
        from scdepth_tf.predict.job import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
