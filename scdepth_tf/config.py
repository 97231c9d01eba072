"""Every choice a run depends on, as frozen dataclasses (stdlib only)."""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
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

    auto_mask_by: Literal["pixel", "region"] = "pixel"
    """What M_a compares, where `auto_mask` is on: the L1 error of each pixel,
    of which any gain counts (both published codes), or the photometric error
    of the 5x5 pixels around it, which must fall by 40 %, or as much as that
    of the image. `region` drops most of what drives along and takes longer
    to learn what stands (docs/recipe.md)."""

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

    sampler: Literal["gather", "addons"] = "gather"
    """What reads images between their pixels, with the same result:
    TensorFlow's own operations, compiled, or the kernel of
    tensorflow-addons, which needs TensorFlow 2.15."""

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
    decoder: Literal["reference", "mobile", "slim"] = "reference"
    """`reference`: reflection padding and ELU (both published codes);
    `mobile`: zero padding and ReLU, for int8; `slim`: mobile, narrower,
    with a quarter of the decoder's multiplications."""

    upsampling: Literal["nearest", "bilinear"] | None = None
    """In the decoder; None is nearest for `reference` (release) and bilinear
    for the others. Lightning: reference, bilinear."""

    alpha: float = 10.0
    """disparity = alpha · sigmoid + beta: depth lies between 1 / (alpha +
    beta) and 1 / beta scene units."""

    beta: float = 0.01
    """Smallest disparity."""

    pose_encoder: Literal[
        "resnet18", "resnet50", "efficientnet_lite0", "optical_flow"
    ] = "resnet18"
    """`optical_flow` measures motion instead of learning to: for runs of
    minutes and for little footage."""

    encoder_weights: str = "none"
    """Start the encoders from weights: `imagenet`, where a package has them
    (Lite0), or a PyTorch file with a ResNet's: torchvision's, a monodepth2
    encoder.pth, a checkpoint of the published codes."""

    pose_encoder_weights: str | None = None
    """The same for the pose encoder, where its file is another."""

    weights: str | None = None
    """Start both networks from a run or a preset."""

    reverse_pose: Literal["inverse", "network"] = "inverse"
    """Pose of the reverse direction: SE(3) inverse of the forward one (half
    the cost) or a second run of the network on the swapped pair (both
    published codes)."""

    learn_focal_length: Literal["off", "camera", "scene"] = "off"
    """Learn a factor on the focal lengths of cam.txt, at most 2 either way,
    where they are a guess: one for all scenes with the same cam.txt
    (`camera`) or one for each scene (`scene`). Needs footage with turns."""

    def without_weights(self) -> ModelConfig:
        """The same networks, to be filled with weights of their own."""
        return dataclasses.replace(
            self,
            encoder_weights="none",
            pose_encoder_weights=None,
            weights=None,
        )


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
class CalibrateConfig:
    """What is known in metres. One thing is enough; of several the surest
    (in the order of this list) gives the scale, and the others check it.
    """

    depth: bool = False
    """The data has depth maps (lidar, depth camera)."""

    poses: bool = False
    """The data has poses (poses.txt, KITTI's oxts)."""

    right: Path | None = None
    """Folder with the pictures of a second, rectified camera, named as those
    of the first."""

    baseline: float | None = None
    """Metres by which that camera is further right (negative: left)."""

    distance: tuple[str, ...] = ()
    """Lengths between two points that a frame shows:
    FRAME,x1,y1,x2,y2,METRES, pixels of the file."""

    distances: Path | None = None
    """The same in a .csv or .json file."""

    track: Path | None = None
    """.gpx, or .csv with the columns time and either lat and lon or speed
    (metres a second)."""

    speed: float | None = None
    """Metres a second, steady."""

    camera_height: float | None = None
    """Metres of the camera above a flat road."""

    frame_rate: float | None = None
    """Frames a second, where the data has no times."""

    first_frame_at: str | None = None
    """When the first frame was taken, by the track's clock: seconds or ISO
    8601. By default the data's own time, else the track's first."""

    frames: int = 200
    """Ask at most so many frames, evenly spread, for depth."""


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """How own footage becomes training data.

    The camera must be told in exactly one way: `intrinsics`, `fov`,
    `calibration` or `assume_fov`. Nothing is assumed in silence.
    """

    intrinsics: str | None = None
    """fx,fy,cx,cy in pixels of the footage."""

    fov: float | None = None
    """Horizontal field of view of the displayed picture, in degrees; square
    pixels, principal point in the middle, no lens distortion."""

    calibration: str | None = None
    """Calibration file: OpenCV (.yaml, .json), ROS camera_info, Kalibr
    camchain, or a 3x3 matrix (.txt). Lens distortion is removed."""

    assume_fov: float | None = None
    """As fov, when nothing is known of the camera: a guess, recorded as such.
    60 is common; train with --model.learn-focal-length camera."""

    camera: str | None = None
    """Which camera of a calibration file with several, cam0 for example."""

    intrinsics_for: Literal["displayed", "stored"] = "displayed"
    """Whether intrinsics and calibration belong to the picture as players
    show it or as the sensor stored it; differs in turned phone footage."""

    frame_rate: float = 10.0
    """Frames a second to choose from; 0 is all. Pictures of a folder count
    as taken at this rate."""

    min_motion: float = 0.2
    """Drop frames that moved less than this since the last kept one, in
    percent of the picture's width: standing still."""

    min_parallax: float = 0.0
    """Wait for this much motion that is not rotation, in percent of the
    picture's width; for slow or panning footage. 0 is off."""

    longest_gap: float = 1.0
    """A new scene begins where more seconds than this are dropped: standing
    still, nothing to see, damaged, or missing."""

    longest_side: int = 832
    """Larger frames are made smaller, to this many pixels."""


PREDICTIONS = (
    "video",
    "trajectory",
    "pictures",
    "png",
    "npz",
    "cloud",
    "mesh",
    "rgbd",
    "rerun",
)
"""What `scdepth predict` can write."""


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """What to make of footage, and what is known of its camera."""

    write: tuple[Literal[PREDICTIONS], ...] = ()
    """By default video and trajectory; of a single picture, pictures and npz.
    video: depth in colours beside the frames; trajectory: KITTI and TUM files
    and a plot; pictures: the video's frames; png, npz: depth of each frame;
    cloud: coloured points of
    the whole sequence (PLY); mesh: its surface (PLY); rgbd: folder in TUM's
    layout for RGB-D SLAM; rerun: recording for the Rerun viewer."""

    frame_rate: float = 0.0
    """Take so many frames a second of a video, best as many as in training; 0
    is all. Pictures of a folder count as taken at this rate, or at 10."""

    intrinsics: str | None = None
    """fx,fy,cx,cy in pixels of the upright picture. Only cloud, mesh, rgbd and
    rerun need the camera; folders tell it by cam.txt."""

    fov: float | None = None
    """Horizontal field of view in degrees, in place of the intrinsics; the
    principal point counts as in the middle."""

    metres_per_unit: float | None = None
    """How many metres a scene unit is; by default what `scdepth calibrate`
    found for the weights, if it was run. 0 keeps scene units."""

    align: bool = True
    """Where the camera is known, lay neighbouring frames with their depth over
    each other, for a steadier trajectory than the pose network's own."""

    velocity_change: float | None = None
    """With align: how much the camera's velocity changes from a frame to the
    next, as a share of the usual step. By default told from the footage, and
    at least what a vehicle does, 0.02."""

    refine: int = 0
    """First train so many steps on this very footage (100 to 300), and keep
    what came of it if frames held out are explained better; the run stays as
    it is. Takes the camera, and some 24 frames or more."""

    voxel: float | None = None
    """Edge of the cells of the cloud, in the unit of the depth; a hundredth of
    the median depth by default. Those of the mesh are twice as large."""

    farthest: float | None = None
    """Leave points deeper than this, in the unit of the depth, out of cloud and
    mesh; two median depths by default."""

    batch_size: int = 8
    """Frames that the networks see at once."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run."""

    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()

    batch_size: int = 4
    """Triplets in a step, of all replicas together."""

    epochs: int = 100
    """Epochs; validation and a line of history.csv after each."""

    steps_per_epoch: int = 1000
    """Steps in an epoch, however many triplets there are."""

    learning_rate: float = 1e-4
    """Peak learning rate of Adam."""

    schedule: Literal["constant", "cosine", "step"] = "constant"
    """`constant` (both published codes); `cosine`: a warm-up over a tenth of
    the run, then falling to a twentieth, which suits short runs; `step`: a
    tenth after each `decay_epochs` (monodepth2)."""

    decay_epochs: int = 15
    """Epochs between the falls of the schedule `step`."""

    warmup_steps: int | None = None
    """Steps in which the learning rate climbs from a tenth to its peak; None
    leaves it to the schedule: a tenth of the run with `cosine`, else none."""

    gradient_accumulation: int = 1
    """Steps whose gradients make one update of the weights, their mean: for
    larger batches than fit into memory. BatchNorm still sees single ones."""

    ema_momentum: float | None = None
    """Validate and save an exponential moving average of the weights (EMA)
    with this momentum, for instance 0.999; None is off."""

    patience: int | None = None
    """Stop after this many epochs in a row without a better validation; None
    goes on to the last epoch."""

    clip_norm: float | None = None
    """Largest global norm of the gradient; None is off."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What the networks compute in; weights, geometry and losses are always
    float32. `mixed_float16` scales the loss, by itself."""

    synchronized_batch_norm: bool = False
    """Of several replicas: normalise with the statistics of the global batch,
    as one device would, at the price of waiting for each other in every
    layer; otherwise with each replica's own."""

    seed: int = 0
    """Weights, data order, augmentation and split: on a CPU, all there is."""

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], base: TrainConfig | None = None
    ) -> TrainConfig:
        """The config of nested plain values, as JSON has them.

        Args:
            values: `{"learning_rate": 2e-4, "data": {"stride": 2}}`, for
                instance.
            base: what holds where `values` says nothing; the defaults.

        Raises:
            ValueError: a key that this version does not know, or a value
                that its field does not take.
        """
        return _replaced(base or cls(), values, "")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for JSON."""
        return dataclasses.asdict(self)


def read_config(
    path: str | Path, base: TrainConfig | None = None
) -> TrainConfig:
    """The config of a JSON file: a run's config.json, whose data and scenes
    are passed over, or the choices alone, some or all of them.

    Args:
        path: the file.
        base: what holds where the file says nothing; the defaults.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON or no config.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and isinstance(values.get("config"), dict):
            values = values["config"]
        return TrainConfig.from_dict(values, base)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


_KITTI = TrainConfig(
    model=ModelConfig(reverse_pose="network"),
    data=DataConfig(image_size=(256, 832), color_jitter=0.0),
    batch_size=4,
    epochs=200,
    steps_per_epoch=1000,
    learning_rate=1e-4,
)
"""SC-SfMLearner-Release, train_resnet18_depth_256.sh; except that it starts
its encoders from ImageNet weights."""

RECIPES: dict[str, TrainConfig] = {
    "kitti_resnet18": _KITTI,
    "kitti_resnet50": dataclasses.replace(
        _KITTI,
        model=ModelConfig(depth_encoder="resnet50", reverse_pose="network"),
    ),
    # For devices: half the cost a step, one partition of int8 kernels.
    "kitti_lite0": dataclasses.replace(
        _KITTI,
        model=ModelConfig(
            depth_encoder="efficientnet_lite0",
            decoder="mobile",
            pose_encoder="efficientnet_lite0",
            encoder_weights="imagenet",
        ),
        data=DataConfig(image_size=(256, 832)),
    ),
    # Size and batch of the published NYU training; that is of rectified pairs
    # and counts whole epochs of them, which scripts/reproduce.py sets.
    "indoor_resnet18": dataclasses.replace(
        _KITTI,
        data=DataConfig(image_size=(256, 320), color_jitter=0.0),
        batch_size=16,
        epochs=50,
    ),
    # Little footage, any camera of about 16:9, one small graphics card.
    "own_video": TrainConfig(
        model=ModelConfig(
            depth_encoder="efficientnet_lite0",
            decoder="mobile",
            pose_encoder="efficientnet_lite0",
            encoder_weights="imagenet",
        ),
        data=DataConfig(image_size=(256, 448)),
        epochs=40,
        steps_per_epoch=500,
        learning_rate=2e-4,
        schedule="cosine",
    ),
}
"""Named starting points; `scdepth train --recipe NAME`."""


def recipe(name: str) -> TrainConfig:
    """A named recipe.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in RECIPES:
        raise ValueError(
            f"no recipe {name!r}{_did_you_mean(name, RECIPES)}; there are "
            f"{', '.join(RECIPES)}"
        )
    return RECIPES[name]


def _replaced(config: Any, values: Any, prefix: str) -> Any:
    """A frozen dataclass with nested values replaced, each one checked."""
    if not isinstance(values, Mapping):
        raise ValueError(
            f"{prefix.rstrip('.') or 'the config'} is {values!r}; it should be "
            "an object of names and values"
        )
    hints = typing.get_type_hints(type(config))
    changes = {}
    for key, value in values.items():
        name = prefix + key
        if key not in hints:
            known = _field_names(TrainConfig())
            raise ValueError(f"no choice {name!r}{_did_you_mean(name, known)}")
        if dataclasses.is_dataclass(hints[key]):
            changes[key] = _replaced(getattr(config, key), value, f"{name}.")
        else:
            changes[key] = _checked(value, hints[key], name)
    return dataclasses.replace(config, **changes)


def _checked(value: Any, hint: Any, name: str) -> Any:
    """The value as the field's type has it."""
    if isinstance(value, list):
        value = tuple(value)
    if not _fits(value, hint):
        expected = hint.__name__ if isinstance(hint, type) else str(hint)
        if typing.get_origin(hint) is Literal:
            expected = " or ".join(map(repr, typing.get_args(hint)))
        raise ValueError(f"{name} is {value!r}; it takes {expected}")
    return float(value) if hint is float else value


def _fits(value: Any, hint: Any) -> bool:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return value in arguments
    if typing.get_origin(hint) is tuple:
        return (
            isinstance(value, tuple)
            and len(value) == len(arguments)
            and all(map(_fits, value, arguments))
        )
    if arguments:  # a union
        return any(_fits(value, argument) for argument in arguments)
    if hint is float:
        hint = (int, float)
    return isinstance(value, hint) and (
        hint is bool or not isinstance(value, bool)
    )


def _field_names(config: Any, prefix: str = "") -> list[str]:
    """All names, as the command line has them."""
    names = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = prefix + field.name
        if dataclasses.is_dataclass(value):
            names += [name, *_field_names(value, f"{name}.")]
        else:
            names.append(name)
    return names


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name, with its section or without."""
    known = list(known)
    endings = {item.split(".")[-1]: item for item in known}
    near = difflib.get_close_matches(name, known, 1) or [
        endings[ending]
        for ending in difflib.get_close_matches(name.split(".")[-1], endings, 1)
    ]
    return f"; did you mean {near[0]!r}?" if near else ""
