"""The worst images on one sheet, and maps of every image's errors (needs the
`viz` extra).
"""

from __future__ import annotations

import heapq
import itertools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from scdepth_tf import viz
from scdepth_tf.evaluate.samples import Sample
from scdepth_tf.files import replace_file
from scdepth_tf.metrics.depth import DepthErrors, Protocol, resize_depth

_WIDTH = 416
"""Pixels of a picture on the sheet."""
_LINE = 16
"""Pixels of a caption."""


class WorstImages:
    """Keeps the images of largest AbsRel, each at its own median scale.

    Give it to `evaluate_depth` as `watch`. Memory holds pictures of `count`
    images.

    Args:
        protocol: for the range of the colours, and the space to resize in.
        count: images on the sheet.
        error_maps: folder for a picture of every image's error; none by
            default.
    """

    def __init__(
        self,
        protocol: Protocol,
        count: int = 8,
        error_maps: str | Path | None = None,
    ):
        self._protocol = protocol
        self._count = count
        self._error_maps = Path(error_maps) if error_maps else None
        self._worst: list[tuple[float, int, str, np.ndarray]] = []
        self._number = itertools.count()

    def __call__(
        self, sample: Sample, prediction: np.ndarray, errors: DepthErrors
    ) -> None:
        """Takes one image."""
        truth = np.asarray(sample.ground_truth)
        depth = errors.scale * resize_depth(
            np.asarray(prediction, np.float32),
            truth.shape,
            self._protocol.resize,
        )
        counted = np.where(self._protocol.mask(truth), truth, 0)
        error = viz.color_ratio(depth, viz.spread_sparse(counted))
        if self._error_maps:
            path = self._error_maps / f"{sample.name.replace('/', '_')}.png"
            with replace_file(path) as unfinished:
                Image.fromarray(error).save(unfinished, "PNG")
        full = len(self._worst) == self._count
        if full and errors.abs_rel <= self._worst[0][0]:
            return
        caption = (
            f"{sample.name}: AbsRel {errors.abs_rel:.3f}, "
            f"{100 * errors.delta1:.0f} % within 25 %, scale {errors.scale:.3g}"
        )
        strip = self._strip(sample.image, depth, counted, error)
        entry = (errors.abs_rel, next(self._number), caption, strip)
        if full:
            heapq.heapreplace(self._worst, entry)
        else:
            heapq.heappush(self._worst, entry)

    def write(self, path: str | Path) -> None:
        """Writes the sheet, the worst image first, as PNG or JPEG.

        Raises:
            ValueError: the file cannot be written.
        """
        worst = sorted(self._worst, reverse=True)
        if not worst:
            raise ValueError("no image to show; evaluate some first")
        rows = [
            _captioned(
                "image | predicted depth | true depth that counts | error: "
                "blue too near, red too far (full colour at a factor 1.65), "
                "grey none",
                np.zeros((0, worst[0][3].shape[1], 3), np.uint8),
            )
        ]
        rows += [_captioned(caption, strip) for *_, caption, strip in worst]
        width = max(row.shape[1] for row in rows)
        sheet = np.concatenate(
            [
                np.pad(
                    row,
                    ((0, 0), (0, width - row.shape[1]), (0, 0)),
                    constant_values=255,
                )
                for row in rows
            ]
        )
        path = Path(path)
        form = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"
        with replace_file(path) as unfinished:
            Image.fromarray(sheet).save(unfinished, form)

    def _strip(
        self,
        image: np.ndarray,
        depth: np.ndarray,
        truth: np.ndarray,
        error: np.ndarray,
    ) -> np.ndarray:
        known = truth[truth > 0]
        nearest, farthest = np.percentile(known, [2, 98])
        farthest = max(farthest, 1.5 * nearest)
        pictures = [
            image,
            viz.color_depth(depth, nearest, farthest),
            viz.color_depth(viz.spread_sparse(truth), nearest, farthest),
            error,
        ]
        height = round(_WIDTH * image.shape[0] / image.shape[1])
        return np.concatenate(
            [
                np.asarray(Image.fromarray(one).resize((_WIDTH, height)))
                for one in pictures
            ],
            axis=1,
        )


def _captioned(caption: str, strip: np.ndarray) -> np.ndarray:
    line = Image.new("RGB", (strip.shape[1], _LINE), "white")
    ImageDraw.Draw(line).text((4, 2), caption, fill="black")
    return np.concatenate([np.asarray(line), strip])
