"""Every choice a run depends on, as frozen dataclasses (stdlib only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The training loss: design choices on which the published codes differ.

    `release()` reproduces SC-SfMLearner-Release, the code behind the IJCV
    numbers; `lightning()` reproduces sc_depth_pl. The defaults are
    `release()`.
    """

    combine_views: Literal["sum", "minimum"] = "sum"
    """`sum`: each directed pair has its own masked mean and they are added
    (release). `minimum`: per target pixel only the valid view with the
    smallest L1 error counts, then one mean (lightning)."""

    ssim_window: int = 3
    """Side of the SSIM box window in pixels: 3 (release) or 7 (lightning)."""

    ssim_weight: float = 0.85
    """Weight of SSIM against L1 in the photometric error (paper: λ_s 0.85,
    λ_i 0.15). 0 leaves plain L1."""

    auto_mask: bool = True
    """Drop pixels that the unwarped neighbour explains better (M_a)."""

    self_mask: bool = True
    """Weight the photometric error by M_s = 1 − D_diff."""

    self_mask_gradient: bool = True
    """Let gradients pass through M_s (release) or stop them (lightning)."""

    smooth_sources: bool = True
    """Smooth the depth of target and sources (release) or of the target
    alone (lightning)."""

    photometric_weight: float = 1.0
    """α of L = α·L_P + γ·L_G + β·L_S."""

    geometry_weight: float = 0.5
    """γ: 0.5 (release, paper) or 0.1 (lightning)."""

    smoothness_weight: float = 0.1
    """β."""

    minimum_valid_fraction: float = 0.01
    """An image whose mask keeps a smaller fraction of its pixels is left out
    of the masked means (and counted). The published codes return a constant
    for the whole batch below 10 000 (release) or 100 (lightning) pixels,
    which silently stops learning on small images."""

    @classmethod
    def release(cls) -> LossConfig:
        """Loss of SC-SfMLearner-Release (IJCV 2021 numbers)."""
        return cls()

    @classmethod
    def lightning(cls) -> LossConfig:
        """Loss of sc_depth_pl (2022–23)."""
        return cls(
            combine_views="minimum",
            ssim_window=7,
            self_mask_gradient=False,
            smooth_sources=False,
            geometry_weight=0.1,
        )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The two networks."""

    depth_encoder: Literal["resnet18", "resnet50", "efficientnet_lite0"] = (
        "resnet18"
    )
    decoder: Literal["reference", "mobile"] = "reference"
    pose_encoder: Literal["resnet18", "resnet50", "efficientnet_lite0"] = (
        "resnet18"
    )
    encoder_weights: Literal["imagenet", "none"] = "none"
    """Start the encoders from ImageNet weights, where a package has them."""

    reverse_pose: Literal["inverse", "network"] = "inverse"
    """Pose of the reverse direction: SE(3) inverse of the forward one (half
    the cost) or a second run of the network on the swapped pair (both
    published codes)."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """How frames become training triplets."""

    image_size: tuple[int, int] = (256, 832)
    """Height and width the networks see; each divisible by 32."""

    stride: int = 1
    """Frames between the target and its neighbours."""

    drop_static: bool = False
    """Leave triplets out whose frames differ by noise alone: the camera
    stands, or a frame is repeated. Reads all frames once at the start."""

    cache: bool = False
    """Hold all encoded frames in memory: for slow or remote disks."""

    flip: bool = True
    """Mirror half of the triplets (image, intrinsics)."""

    zoom: float = 1.15
    """Largest random zoom-and-crop, drawn per axis from [1, zoom]; 1 is
    off."""

    color_jitter: float = 0.2
    """Largest relative change of brightness, contrast and saturation of what
    the networks see; the loss always compares clean images. 0 is off."""

    validation_fraction: float = 0.1
    """Share of scenes kept for validation where the data has no val.txt."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run."""

    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()

    batch_size: int = 4
    """Triplets in a step."""

    epochs: int = 100
    """Epochs; validation and a line of history.csv after each."""

    steps_per_epoch: int = 1000
    """Steps in an epoch, however many triplets there are."""

    learning_rate: float = 1e-4
    """Peak learning rate of Adam."""

    schedule: Literal["constant", "cosine"] = "constant"
    """`constant` (both published codes), or `cosine`: a short warm-up, then
    falling to a twentieth, which suits short runs."""

    clip_norm: float | None = None
    """Largest global norm of the gradient; None is off."""

    seed: int = 0
    """Weights, data order, augmentation and split."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The config of a run's config.json.

        Raises:
            ValueError: a key that this version does not know.
        """
        sections = {
            "model": ModelConfig,
            "loss": LossConfig,
            "data": DataConfig,
        }
        fields = {
            key: _section(sections[key], value) if key in sections else value
            for key, value in values.items()
        }
        return _section(cls, fields)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for JSON."""
        return dataclasses.asdict(self)


def _section(kind: type, values: Mapping[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise ValueError(
                f"{kind.__name__} has no field {key!r}; it has "
                f"{', '.join(sorted(known))}"
            )
    return kind(
        **{
            key: tuple(value) if isinstance(value, list) else value
            for key, value in values.items()
        }
    )
