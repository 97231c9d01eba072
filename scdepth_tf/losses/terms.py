"""From frames, depths and poses to the total loss: the method's sentence."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from scdepth_tf.config import LossConfig
from scdepth_tf.geometry import inverse_warp
from scdepth_tf.losses.consistency import depth_inconsistency, self_mask
from scdepth_tf.losses.masks import (
    auto_mask,
    drop_sparse_images,
    masked_mean,
    region_auto_mask,
)
from scdepth_tf.losses.photometric import (
    photometric_error,
    ssim_distance,
    standardise,
)
from scdepth_tf.losses.smoothness import smoothness


class ViewComparison(NamedTuple):
    """One frame explained by another; every field [B, H, W, ·]."""

    warped: tf.Tensor
    """I'_a [B, H, W, 3], standardised."""
    absolute: tf.Tensor
    """mean_c of the clipped L1 error [B, H, W, 1] in [0, 1]."""
    photometric: tf.Tensor
    """0.15·L1 + 0.85·S, [B, H, W, 1] in [0, 1]."""
    inconsistency: tf.Tensor
    """D_diff [B, H, W, 1] in [0, 1]."""
    self_mask: tf.Tensor
    """M_s = 1 − D_diff [B, H, W, 1] in [0, 1]."""
    auto_mask: tf.Tensor
    """M_a [B, H, W, 1], 0 or 1."""
    valid: tf.Tensor
    """[B, H, W, 1], 0 or 1: the pixel is seen in the source frame."""


class LossTerms(NamedTuple):
    """The loss and what to watch; all float32 scalars."""

    total: tf.Tensor
    """α·L_P + γ·L_G + β·L_S."""
    photometric: tf.Tensor
    """L_P, before its weight; a sum over directed pairs under `sum`."""
    geometry: tf.Tensor
    """L_G, before its weight; likewise."""
    smoothness: tf.Tensor
    """L_S, before its weight."""
    valid_fraction: tf.Tensor
    """Share of pixels that are seen in the other frame."""
    auto_mask_fraction: tf.Tensor
    """Share of pixels that M_a keeps."""
    self_mask_mean: tf.Tensor
    """Mean M_s over the valid pixels."""
    dropped_fraction: tf.Tensor
    """Share of directed pairs left out for having too few pixels."""


def compare_views(
    target: tf.Tensor,
    source: tf.Tensor,
    target_depth: tf.Tensor,
    source_depth: tf.Tensor,
    source_from_target: tf.Tensor,
    intrinsics: tf.Tensor,
    config: LossConfig,
) -> ViewComparison:
    """Explain the target by the warped source, pixel by pixel.

    Images are standardised *before* warping, as both published codes do: what
    is out of view is then 0, a mid grey, and enters the SSIM windows at the
    border of the valid region.

    Args:
        target: [B, H, W, 3] I_a, standardised.
        source: [B, H, W, 3] I_b, standardised.
        target_depth: [B, H, W, 1] scene units, > 0.
        source_depth: [B, H, W, 1] scene units, > 0.
        source_from_target: [B, 4, 4].
        intrinsics: [B, 3, 3] pixels.
        config: which errors and masks.

    Returns:
        The maps of one directed pair.
    """
    warp = inverse_warp(
        source,
        source_depth,
        target_depth,
        source_from_target,
        intrinsics,
        config.sampler,
    )
    absolute, photometric = _photometric(target, warp.image, config)
    if config.auto_mask_by == "region":
        _, unwarped = _photometric(target, source, config)
        learnt_from = region_auto_mask(photometric, unwarped, warp.valid)
    else:
        learnt_from = auto_mask(target, warp.image, source)
    inconsistency = depth_inconsistency(warp.computed_depth, warp.sampled_depth)
    return ViewComparison(
        warped=warp.image,
        absolute=tf.reduce_mean(absolute, axis=-1, keepdims=True),
        photometric=photometric,
        inconsistency=inconsistency,
        self_mask=self_mask(inconsistency),
        auto_mask=learnt_from,
        valid=warp.valid,
    )


def loss_terms(
    target: tf.Tensor,
    sources: tf.Tensor,
    target_depth: tf.Tensor,
    source_depths: tf.Tensor,
    sources_from_target: tf.Tensor,
    target_from_sources: tf.Tensor,
    intrinsics: tf.Tensor,
    config: LossConfig | None = None,
    pixel_counts: tf.Tensor | None = None,
) -> LossTerms:
    """The SC-Depth loss of a batch of snippets (Bian et al. 2021, sec. 3).

    Each source is compared with the target in both directions.

    Args:
        target: [B, H, W, 3] RGB in [0, 1].
        sources: [B, N, H, W, 3] RGB in [0, 1].
        target_depth: [B, H, W, 1] scene units, > 0.
        source_depths: [B, N, H, W, 1] scene units, > 0.
        sources_from_target: [B, N, 4, 4].
        target_from_sources: [B, N, 4, 4].
        intrinsics: [B, 3, 3] pixels, shared by all frames of a snippet.
        config: the published variant; `LossConfig.release()` by default.
        pixel_counts: what the masked means divide by, in the order of
            `count_pixels`, where this batch is a part of a larger one; by
            default its own counts.

    Returns:
        The total, its three terms and monitors, all float32 scalars.
    """
    config = config or LossConfig.release()
    target, sources = standardise(target), standardise(sources)
    count = sources.shape[1]
    pairs = _compare_all(
        target,
        sources,
        target_depth,
        source_depths,
        sources_from_target,
        target_from_sources,
        intrinsics,
        config,
    )
    mask = _pixels_to_learn_from(pairs, config)
    photometric = pairs.photometric
    if config.self_mask:
        weight = pairs.self_mask
        if not config.self_mask_gradient:
            weight = tf.stop_gradient(weight)
        photometric = weight * photometric

    masks = _masks_apart(mask, pairs, config, count)
    counts = [None] * (len(masks) + 1)
    if pixel_counts is not None:
        counts = tf.unstack(pixel_counts, len(counts))
    photometric, geometry = (
        tf.add_n(
            list(map(masked_mean, _apart(x, config, count), masks, counts))
        )
        for x in (photometric, pairs.inconsistency)
    )

    smooth = smoothness(target_depth, target)
    if config.smooth_sources:
        for i in range(count):
            smooth += smoothness(source_depths[:, i], sources[:, i])

    total = (
        config.photometric_weight * photometric
        + config.geometry_weight * geometry
        + config.smoothness_weight * smooth
    )
    kept = tf.reduce_max(mask, axis=[1, 2, 3])
    return LossTerms(
        total=total,
        photometric=photometric,
        geometry=geometry,
        smoothness=smooth,
        valid_fraction=tf.reduce_mean(pairs.valid),
        auto_mask_fraction=tf.reduce_mean(pairs.auto_mask),
        self_mask_mean=masked_mean(pairs.self_mask, pairs.valid, counts[-1]),
        dropped_fraction=1.0 - tf.reduce_mean(kept),
    )


def view_synthesis_error(
    target: tf.Tensor,
    sources: tf.Tensor,
    target_depth: tf.Tensor,
    source_depths: tf.Tensor,
    sources_from_target: tf.Tensor,
    intrinsics: tf.Tensor,
    config: LossConfig | None = None,
) -> tf.Tensor:
    """How well the sources explain the target: for validation, not a loss.

    The photometric error over *all* pixels. One that is out of view counts
    with the error of the unwarped source: nothing is won by looking away. No
    mask weighs it: M_a keeps next to nothing where nothing moves, and M_s is
    made by the networks that are to be judged. Networks that see no motion
    get the error of the unwarped sources.

    Args:
        target: [B, H, W, 3] RGB in [0, 1].
        sources: [B, N, H, W, 3] RGB in [0, 1].
        target_depth: [B, H, W, 1] scene units, > 0.
        source_depths: [B, N, H, W, 1] scene units, > 0.
        sources_from_target: [B, N, 4, 4].
        intrinsics: [B, 3, 3] pixels.
        config: which photometric error; `LossConfig.release()` by default.

    Returns:
        Scalar in [0, 1].
    """
    config = config or LossConfig.release()
    count = sources.shape[1]
    targets = _repeat(standardise(target), count)
    sources = _pair_major(standardise(sources))
    views = compare_views(
        target=targets,
        source=sources,
        target_depth=_repeat(target_depth, count),
        source_depth=_pair_major(source_depths),
        source_from_target=_pair_major(sources_from_target),
        intrinsics=_repeat(intrinsics, count),
        config=config,
    )
    _, unwarped = _photometric(targets, sources, config)
    return tf.reduce_mean(
        tf.where(views.valid > 0.0, views.photometric, unwarped)
    )


def count_pixels(
    target: tf.Tensor,
    sources: tf.Tensor,
    target_depth: tf.Tensor,
    source_depths: tf.Tensor,
    sources_from_target: tf.Tensor,
    target_from_sources: tf.Tensor,
    intrinsics: tf.Tensor,
    config: LossConfig,
) -> tf.Tensor:
    """How many pixels each masked mean of `loss_terms` is over.

    Counts of the parts of a batch can be added up, their masked means cannot.

    Arguments are those of `loss_terms`.

    Returns:
        [M + 1]: of the M means that L_P and L_G are sums of, one for each
        directed pair under `sum`, then of the mean M_s.
    """
    target, sources = standardise(target), standardise(sources)
    pairs = _compare_all(
        target,
        sources,
        target_depth,
        source_depths,
        sources_from_target,
        target_from_sources,
        intrinsics,
        config,
    )
    mask = _pixels_to_learn_from(pairs, config)
    masks = _masks_apart(mask, pairs, config, sources.shape[1])
    return tf.stack([tf.reduce_sum(m) for m in (*masks, pairs.valid)])


def _photometric(
    target: tf.Tensor, other: tf.Tensor, config: LossConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """The clipped L1 error [B, H, W, 3], and with SSIM [B, H, W, 1]."""
    absolute = tf.minimum(tf.abs(target - other), 1.0)
    if config.ssim_weight > 0.0:
        dissimilarity = ssim_distance(target, other, config.ssim_window)
    else:
        dissimilarity = tf.zeros_like(absolute)
    return absolute, photometric_error(
        absolute, dissimilarity, config.ssim_weight
    )


def _compare_all(
    target: tf.Tensor,
    sources: tf.Tensor,
    target_depth: tf.Tensor,
    source_depths: tf.Tensor,
    sources_from_target: tf.Tensor,
    target_from_sources: tf.Tensor,
    intrinsics: tf.Tensor,
    config: LossConfig,
) -> ViewComparison:
    """All 2·N directed pairs of standardised images at once, pair-major:
    first every source explains the target, then the target every source.
    """
    count = sources.shape[1]
    sources_first = _pair_major(sources)
    source_depths_first = _pair_major(source_depths)
    targets = _repeat(target, count)
    target_depths = _repeat(target_depth, count)
    return compare_views(
        target=tf.concat([targets, sources_first], axis=0),
        source=tf.concat([sources_first, targets], axis=0),
        target_depth=tf.concat([target_depths, source_depths_first], axis=0),
        source_depth=tf.concat([source_depths_first, target_depths], axis=0),
        source_from_target=tf.concat(
            [
                _pair_major(sources_from_target),
                _pair_major(target_from_sources),
            ],
            axis=0,
        ),
        intrinsics=_repeat(intrinsics, 2 * count),
        config=config,
    )


def _pixels_to_learn_from(
    pairs: ViewComparison, config: LossConfig
) -> tf.Tensor:
    """M [2·N·B, H, W, 1], images with hardly any pixel left out."""
    mask = pairs.valid * pairs.auto_mask if config.auto_mask else pairs.valid
    return drop_sparse_images(mask, config.minimum_valid_fraction)


def _apart(maps: tf.Tensor, config: LossConfig, count: int) -> list[tf.Tensor]:
    """Maps of all pairs, split into those that are averaged together."""
    if config.combine_views == "sum":  # each directed pair by itself (release)
        return tf.split(maps, 2 * count, axis=0)
    return [maps]


def _masks_apart(
    mask: tf.Tensor, pairs: ViewComparison, config: LossConfig, count: int
) -> list[tf.Tensor]:
    """The mask of each masked mean."""
    if config.combine_views == "minimum":
        mask = mask * _best_views(pairs, count)
    return _apart(mask, config, count)


def _best_views(pairs: ViewComparison, count: int) -> tf.Tensor:
    """1 for the valid view of least L1 error of each target pixel, else 0.

    After sc_depth_pl, with two corrections: only views *of the same frame*
    compete (theirs mixes pixels of different frames) and an invalid view
    never wins. A source frame has one view, the target, so only the target's
    N views compete.
    """
    error = tf.where(pairs.valid > 0.0, pairs.absolute, float("inf"))
    views = tf.stack(tf.split(error, 2 * count, axis=0)[:count])
    best = tf.one_hot(tf.argmin(views, axis=0), count, axis=0)
    return tf.concat([_flat(best), tf.ones_like(_flat(best))], axis=0)


def _pair_major(values: tf.Tensor) -> tf.Tensor:
    """[B, N, ...] to [N·B, ...]."""
    return tf.concat(tf.unstack(values, axis=1), axis=0)


def _repeat(values: tf.Tensor, count: int) -> tf.Tensor:
    """[B, ...] to [count·B, ...], the whole batch after itself."""
    return tf.concat([values] * count, axis=0)


def _flat(values: tf.Tensor) -> tf.Tensor:
    """[N, B, ...] to [N·B, ...]."""
    return tf.concat(tf.unstack(values, axis=0), axis=0)
