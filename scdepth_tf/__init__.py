"""Self-supervised, scale-consistent depth and ego-motion from plain video.

SC-Depth (Bian et al., *Unsupervised Scale-consistent Depth Learning from
Video*, IJCV 2021) for TensorFlow 2 and Keras 3.

    import scdepth_tf as sd
    model = sd.SCDepth(sd.DepthNet("resnet18"), sd.PoseNet("resnet18"))

Importing the package loads no TensorFlow; using a network or a loss does.
"""

import importlib

__version__ = "0.1.0.dev0"

_HOME = {
    "SCDepth": "scdepth_tf.model",
    "DepthNet": "scdepth_tf.nets",
    "PoseNet": "scdepth_tf.nets",
    "LossConfig": "scdepth_tf.config",
    "ModelConfig": "scdepth_tf.config",
    "DataConfig": "scdepth_tf.config",
    "PrepareConfig": "scdepth_tf.config",
    "TrainConfig": "scdepth_tf.config",
    "evaluate_depth": "scdepth_tf.evaluate",
    "import_checkpoints": "scdepth_tf.published",
    "load_torch_weights": "scdepth_tf.nets",
}
_MODULES = (
    "averaging",
    "boards",
    "callbacks",
    "config",
    "data",
    "evaluate",
    "export",
    "geometry",
    "lite",
    "losses",
    "metrics",
    "nets",
    "predict",
    "prepare",
    "presets",
    "published",
    "runs",
    "synthetic",
    "train",
)

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> object:
    """Import public names when they are first used (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"scdepth_tf.{name}")
    if name in _HOME:
        return getattr(_import_home(name), name)
    raise AttributeError(f"module 'scdepth_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _import_home(name: str) -> object:
    try:
        return importlib.import_module(_HOME[name])
    except ModuleNotFoundError as error:
        if error.name not in ("tensorflow", "keras"):
            raise
        raise ModuleNotFoundError(
            f"scdepth_tf.{name} needs TensorFlow: "
            "pip install 'scdepth-tf[cpu]' (or [gpu])",
            name=error.name,
        ) from error
