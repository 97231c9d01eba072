"""One picture that shows what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scdepth_tf.data.images import load_image
from scdepth_tf.files import replace_file
from scdepth_tf.prepare.selection import Decision
from scdepth_tf.prepare.summary import REASONS, STARTS, Summary
from scdepth_tf.prepare.writing import WrittenScene

_WIDTH = 1320
_MARGIN = 20
_COLUMNS = 8
_FEW_SCENES, _MOST_ROWS = 4, 3
_MOST_SCENES = 40
_LINE = 22
_BAR = 28
_BACKGROUND, _INK, _FAINT = (250, 250, 250), (30, 30, 30), (110, 110, 110)
_COLORS = {
    "kept": (46, 139, 87),
    "static": (230, 159, 0),
    "parallax": (86, 180, 233),
    "featureless": (90, 90, 90),
    "damaged": (213, 94, 0),
    "too short": (204, 121, 167),
}


def write_contact_sheet(
    path: Path,
    summary: Summary,
    scenes: Sequence[WrittenScene],
    decisions: Sequence[Decision],
    too_short: Sequence[Decision],
) -> None:
    """Write a PNG: a bar of time for each source, then frames of each scene.

    Args:
        path: the PNG; the scenes are beside it.
        summary: of the same job.
        scenes: as written.
        decisions: all of them.
        too_short: those of kept frames that no scene took.
    """
    shown = scenes[:_MOST_SCENES]
    thumbnail = _thumbnail_size(summary.image_size)
    most = _COLUMNS * (_MOST_ROWS if len(shown) <= _FEW_SCENES else 1)
    rows = [-(-min(len(scene.frames), most) // _COLUMNS) for scene in shown]
    height = (
        2 * _MARGIN
        + _LINE * 3
        + (_LINE + _BAR + 8) * len(summary.sources)
        + sum(_LINE + 6 + row * (thumbnail[1] + 6) for row in rows)
        + _LINE
    )
    sheet = Image.new("RGB", (_WIDTH, height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    y = _header(draw, summary)
    orphans = {id(decision) for decision in too_short}
    for index, source in enumerate(summary.sources):
        draw.text((_MARGIN, y), source, _INK, _font(14))
        own = [each for each in decisions if each.footage == index]
        _bar(draw, y + _LINE, own, summary.durations[index], orphans)
        y += _LINE + _BAR + 8
    for scene, row, described in zip(shown, rows, summary.scenes, strict=False):
        draw.text(
            (_MARGIN, y),
            f"{scene.name}   {described.frames} frames, "
            f"{described.start:.1f} to {described.end:.1f} s, begins: "
            f"{STARTS[described.begins]}",
            _INK,
            _font(14),
        )
        y += _LINE
        _thumbnails(sheet, y, path.parent / scene.name, thumbnail, most)
        y += row * (thumbnail[1] + 6) + 6
    if len(scenes) > len(shown):
        text = f"and {len(scenes) - len(shown)} more scenes"
        draw.text((_MARGIN, y), text, _FAINT, _font(14))
    with replace_file(path) as unfinished:
        sheet.save(unfinished, format="PNG")


def _header(draw: ImageDraw.ImageDraw, summary: Summary) -> int:
    kept, total = summary.counts["kept"], sum(summary.counts.values())
    title = f"{kept} of {total} frames kept, scenes: {len(summary.scenes)}"
    draw.text((_MARGIN, _MARGIN), title, _INK, _font(18))
    focal = f"fx {summary.intrinsics[0][0]:.1f} of {summary.image_size[1]}"
    camera = f"camera: {summary.camera} ({focal} pixels)"
    camera += "  ASSUMED, NOT KNOWN" if summary.assumed else ""
    color = (200, 30, 30) if summary.assumed else _FAINT
    draw.text((_MARGIN, _MARGIN + 26), camera, color, _font(14))
    x, y = _MARGIN, _MARGIN + 26 + _LINE
    for reason, color in _COLORS.items():
        if not summary.counts.get(reason):
            continue
        draw.rectangle((x, y + 3, x + 12, y + 15), color)
        text = f"{REASONS[reason]}: {summary.counts[reason]}"
        draw.text((x + 18, y), text, _INK, _font(14))
        x += 40 + draw.textlength(text, _font(14))
    return int(y + _LINE + 6)


def _bar(
    draw: ImageDraw.ImageDraw,
    y: int,
    decisions: Sequence[Decision],
    duration: float,
    orphans: set[int],
) -> None:
    """Time from left to right; black ticks where scenes begin."""
    width = _WIDTH - 2 * _MARGIN
    draw.rectangle((_MARGIN, y, _MARGIN + width, y + _BAR), (225, 225, 225))
    scale = width / max(duration, 1e-6)
    ends = [each.time for each in decisions[1:]] + [duration]
    for decision, end in zip(decisions, ends, strict=True):
        reason = "too short" if id(decision) in orphans else decision.verdict
        left = _MARGIN + decision.time * scale
        right = max(left + 1, _MARGIN + end * scale - 1)
        draw.rectangle((left, y, right, y + _BAR), _COLORS[reason])
    for decision in decisions:
        if decision.new_scene:
            x = _MARGIN + decision.time * scale
            draw.line((x, y - 4, x, y + _BAR + 4), (0, 0, 0), 2)


def _thumbnail_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height."""
    width = (_WIDTH - 2 * _MARGIN) // _COLUMNS - 6
    return width, max(1, round(width * image_size[0] / image_size[1]))


def _thumbnails(
    sheet: Image.Image,
    y: int,
    folder: Path,
    size: tuple[int, int],
    most: int,
) -> None:
    files = sorted(folder.glob("*.jpg"))
    chosen = np.linspace(0, len(files) - 1, min(len(files), most))
    for place, index in enumerate(chosen.round().astype(int)):
        row, column = divmod(place, _COLUMNS)
        corner = (
            _MARGIN + column * (size[0] + 6),
            y + row * (size[1] + 6),
        )
        thumbnail = Image.fromarray(load_image(files[index])).resize(size)
        sheet.paste(thumbnail, corner)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
