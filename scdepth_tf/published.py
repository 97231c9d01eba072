"""Checkpoints of published PyTorch codes as presets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from scdepth_tf.config import LossConfig, ModelConfig
from scdepth_tf.model import SCDepth
from scdepth_tf.nets.published import (
    LIGHTNING,
    Published,
    fill,
    open_published,
)

_LOG = logging.getLogger(__name__)


def import_checkpoints(
    checkpoints: Sequence[str | Path],
    out: str | Path,
    image_size: tuple[int, int] = (256, 832),
) -> Path:
    """Make a preset of the checkpoints of one published training.

    PyTorch is not needed, and nothing that a file says is run
    (`scdepth_tf.nets.torch_files`).

    Args:
        checkpoints: dispnet and exp_pose of SC-SfMLearner-Release, in any
            order and the latter may be missing, or one Lightning checkpoint
            of sc_depth_pl.
        out: folder to make.
        image_size: height and width that the networks were trained at; the
            files do not say. Default: the published KITTI trainings.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: a checkpoint is not there.
        ValueError: a checkpoint cannot be used; the folder exists.
    """
    if Path(out).exists():
        raise ValueError(f"{out} exists; choose another folder")
    found = [item for path in checkpoints for item in open_published(path)]
    depth, pose = _depth_and_pose(found)
    is_lightning = depth.layout.origin == LIGHTNING
    config = ModelConfig(
        depth_encoder=depth.encoder,
        upsampling=depth.layout.upsampling,
        pose_encoder=pose.encoder if pose else "resnet18",
        reverse_pose="network",  # as both codes do
    )
    loss = LossConfig.lightning() if is_lightning else LossConfig.release()
    model = SCDepth.from_choices(config, loss)
    fill(model.depth_net, depth)
    if pose:
        fill(model.pose_net, pose)
    else:
        _LOG.warning(
            "no pose network among the files: depth is theirs, motion is "
            "untrained"
        )
    if any(item.is_rectified for item in found):
        _LOG.warning(
            "a checkpoint of SC-Depth V2: its pose network expects images "
            "that its rectify_net has turned, which there is not here; depth "
            "is theirs, motion is not to be trusted"
        )
    names = ", ".join(Path(path).name for path in checkpoints)
    return model.save_to_preset(
        out,
        image_size=image_size,
        trained_on=f"imported from {depth.layout.origin} ({names}); the data "
        "are not recorded there",
    )


def _depth_and_pose(
    found: Sequence[Published],
) -> tuple[Published, Published | None]:
    of_kind = {
        kind: [item for item in found if item.layout.kind == kind]
        for kind in ("depth", "pose", "encoder")
    }
    if of_kind["encoder"]:
        raise ValueError(
            f"{of_kind['encoder'][0].path} holds a ResNet alone; start a "
            "training from it: scdepth train … --model.encoder-weights FILE"
        )
    counts = (len(of_kind["depth"]), len(of_kind["pose"]))
    if counts not in ((1, 1), (1, 0)):
        raise ValueError(
            f"the files hold {counts[0]} depth and {counts[1]} pose networks;"
            " give those of one training: one depth network, and its pose"
            " network where there is one"
        )
    (depth,) = of_kind["depth"]
    pose = of_kind["pose"][0] if of_kind["pose"] else None
    if pose and pose.layout.origin != depth.layout.origin:
        raise ValueError(
            f"the depth network is of {depth.layout.origin}, the pose network"
            f" of {pose.layout.origin}; give those of one training"
        )
    return depth, pose
