"""The SC-Depth loss in PyTorch, as the other side of the benchmarks.

Written from the paper (Bian et al., IJCV 2021, sec. 3) with the structure of
the published code: one directed pair after another, `grid_sample` for image
and depth apart, SSIM by square poolings. The variant is
`LossConfig.release()`. Images are [B, 3, H, W], depths [B, 1, H, W].

Needs torch, and nothing of scdepth_tf.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

NEAREST_DEPTH = 1e-3
C1, C2 = 0.01**2, 0.03**2


def losses(
    frames: Sequence[torch.Tensor],
    depths: Sequence[torch.Tensor],
    poses: Sequence[torch.Tensor],
    reverse_poses: Sequence[torch.Tensor],
    intrinsics: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """All terms of the loss.

    Args:
        frames: the target and its sources in [0, 1].
        depths: of the same frames.
        poses: matrices [B, 4, 4] `source_from_target` for each source.
        reverse_poses: the same for `target_from_source`.
        intrinsics: [B, 3, 3] pixels.

    Returns:
        Scalars "loss", "photometric", "geometry" and "smoothness".
    """
    frames = [(frame - 0.45) / 0.225 for frame in frames]
    photometric = geometry = 0
    for i in range(1, len(frames)):
        for a, b, pose in (
            (0, i, poses[i - 1]),
            (i, 0, reverse_poses[i - 1]),
        ):
            pair = pair_losses(
                frames[a], frames[b], depths[a], depths[b], pose, intrinsics
            )
            photometric = photometric + pair[0]
            geometry = geometry + pair[1]
    smooth = sum(
        smoothness(depth, frame)
        for depth, frame in zip(depths, frames, strict=True)
    )
    return {
        "loss": photometric + 0.5 * geometry + 0.1 * smooth,
        "photometric": photometric,
        "geometry": geometry,
        "smoothness": smooth,
    }


def pair_losses(
    target: torch.Tensor,
    source: torch.Tensor,
    target_depth: torch.Tensor,
    source_depth: torch.Tensor,
    source_from_target: torch.Tensor,
    intrinsics: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """L_P and L_G of one directed pair of standardised images."""
    grid, computed, valid = project(
        target_depth, source_from_target, intrinsics
    )
    warped, sampled = (
        functional.grid_sample(
            x, grid, padding_mode="zeros", align_corners=True
        )
        for x in (source, source_depth)
    )
    absolute = (target - warped).abs().clamp(0, 1)
    unwarped = (target - source).abs().mean(dim=1, keepdim=True)
    auto_mask = absolute.mean(dim=1, keepdim=True) < unwarped
    mask = valid * auto_mask.float()
    inconsistency = (computed - sampled).abs() / (computed + sampled)
    inconsistency = inconsistency.clamp(0, 1)
    error = 0.15 * absolute + 0.85 * ssim_distance(target, warped)
    error = error.mean(dim=1, keepdim=True) * (1 - inconsistency)
    return masked_mean(error, mask), masked_mean(inconsistency, mask)


def project(
    depth: torch.Tensor,
    source_from_target: torch.Tensor,
    intrinsics: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where each pixel lies in the source: a grid for `grid_sample`
    [B, H, W, 2], its depth there and whether it is seen [B, 1, H, W].
    """
    batch, _, height, width = depth.shape
    v, u = torch.meshgrid(
        torch.arange(height, dtype=depth.dtype, device=depth.device),
        torch.arange(width, dtype=depth.dtype, device=depth.device),
        indexing="ij",
    )
    pixels = torch.stack([u, v, torch.ones_like(u)]).reshape(1, 3, -1)
    rays = intrinsics.inverse() @ pixels
    points = rays * depth.reshape(batch, 1, -1)
    projection = intrinsics @ source_from_target[:, :3]
    points = projection[:, :, :3] @ points + projection[:, :, 3:]
    z = points[:, 2]
    in_front = z > NEAREST_DEPTH
    z = z.clamp(min=NEAREST_DEPTH)
    x = 2 * (points[:, 0] / z) / (width - 1) - 1
    y = 2 * (points[:, 1] / z) / (height - 1) - 1
    grid = torch.stack([x, y], dim=2)
    valid = in_front & (grid.abs().amax(dim=2) <= 1)
    # Far out, so that no sample is half a border pixel and half nothing.
    grid = torch.where(grid.detach().abs() > 1, 2.0, grid)
    shape = (batch, 1, height, width)
    return (
        grid.reshape(batch, height, width, 2),
        z.reshape(shape),
        valid.reshape(shape).float(),
    )


def ssim_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """clip((1 − SSIM)/2, 0, 1) over 3×3 windows, [B, 3, H, W]."""
    a = functional.pad(a, (1, 1, 1, 1), mode="reflect")
    b = functional.pad(b, (1, 1, 1, 1), mode="reflect")

    def mean(x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 3, 1)

    mean_a, mean_b = mean(a), mean(b)
    variance_a = mean(a * a) - mean_a * mean_a
    variance_b = mean(b * b) - mean_b * mean_b
    covariance = mean(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    largest = (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    return ((1 - likeness / largest) / 2).clamp(0, 1)


def smoothness(depth: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """L_S of one frame; the image is standardised."""
    depth = depth / depth.mean(dim=(2, 3), keepdim=True)

    def along(axis: int) -> torch.Tensor:
        edges = image.diff(dim=axis).abs().mean(dim=1, keepdim=True)
        return (depth.diff(dim=axis).abs() * torch.exp(-edges)).mean()

    return along(3) + along(2)


def masked_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Σ(m·x) / max(Σm, 1)."""
    return (x * mask).sum() / mask.sum().clamp(min=1)


def pose_matrix(pose: torch.Tensor) -> torch.Tensor:
    """[B, 6] (tx, ty, tz, rx, ry, rz) to [B, 4, 4], R = Rx·Ry·Rz."""
    x, y, z = pose[:, 3:].unbind(dim=1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)

    def matrix(*entries: torch.Tensor) -> torch.Tensor:
        return torch.stack(entries, dim=1).reshape(-1, 3, 3)

    rotation = (
        matrix(one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos())
        @ matrix(
            y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos()
        )
        @ matrix(
            z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one
        )
    )
    return _rigid(rotation, pose[:, :3, None])


def inverse_pose(pose: torch.Tensor) -> torch.Tensor:
    """[Rᵀ, −Rᵀt] of [B, 4, 4]."""
    rotation = pose[:, :3, :3].transpose(1, 2)
    return _rigid(rotation, -rotation @ pose[:, :3, 3:])


def _rigid(rotation: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    top = torch.cat([rotation, translation], dim=2)
    last_row = top.new_tensor([[[0.0, 0.0, 0.0, 1.0]]])
    return torch.cat([top, last_row.expand(len(top), 1, 4)], dim=1)
