"""What was kept and why, for people and for programs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from scdepth_tf.prepare.selection import Decision
from scdepth_tf.prepare.writing import WrittenScene

REASONS = {
    "kept": "kept",
    "thinned": "not due at the frame rate",
    "static": "standing still",
    "parallax": "too little parallax yet",
    "featureless": "nothing to see (black, blurred)",
    "damaged": "damaged",
    "too short": "in scenes of fewer than 3 frames",
}
STARTS = {
    "start": "start",
    "next file": "the next file begins",
    "cut": "cut",
    "lost sight": "nothing in common with the frame kept before",
    "gap": "frames dropped before it",
    "held out": "the end of another scene, to validate on",
}


@dataclasses.dataclass(frozen=True)
class SceneSummary:
    """One written scene."""

    name: str
    frames: int
    footage: int
    start: float
    """Seconds in its footage."""
    end: float
    begins: str
    """Key of `STARTS`."""
    motion: float | None
    """Median between kept neighbours, percent of the width."""
    parallax: float | None


@dataclasses.dataclass(frozen=True)
class DroppedSpan:
    """A stretch in which nothing was kept, longer than `longest_gap`."""

    footage: int
    start: float
    end: float
    frames: int
    reason: str
    """Key of `REASONS`, the most frequent one."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `prepare` made, and all of it that prepare.json says."""

    sources: tuple[str, ...]
    durations: tuple[float, ...]
    """Seconds of each source."""
    image_size: tuple[int, int]
    """Height and width of the written frames."""
    intrinsics: list[list[float]]
    """3×3, of the written frames."""
    camera: str
    """Where the intrinsics are from."""
    assumed: bool
    """They are a guess."""
    counts: dict[str, int]
    """Frames by what became of them, keys of `REASONS`."""
    scenes: tuple[SceneSummary, ...]
    dropped: tuple[DroppedSpan, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def text(self) -> str:
        """A page for people."""
        height, width = self.image_size
        total = sum(self.counts.values())
        lines = [
            f"{', '.join(self.sources)}: {total} frames, "
            f"{sum(self.durations):.1f} s",
            *(
                f"  {self.counts[key]:6d}  {reason}"
                for key, reason in REASONS.items()
                if self.counts.get(key)
            ),
            f"scenes: {len(self.scenes)}, of {width}x{height} pixels",
            *(
                f"  {scene.name} {scene.frames:5d} frames "
                f"{self._where(scene)}  {STARTS[scene.begins]}"
                + (
                    f"; motion {scene.motion:.1f} %, "
                    f"parallax {scene.parallax:.1f} %"
                    if scene.motion is not None
                    else ""
                )
                for scene in self.scenes
            ),
            *(
                f"  dropped {span.frames} frames {self._where(span)}  "
                f"{REASONS[span.reason]}"
                for span in self.dropped
            ),
            f"camera: {self.camera}{' (ASSUMED)' if self.assumed else ''}: "
            f"fx {self.intrinsics[0][0]:.1f}, fy {self.intrinsics[1][1]:.1f}, "
            f"cx {self.intrinsics[0][2]:.1f}, cy {self.intrinsics[1][2]:.1f}",
            *(f"  {note}" for note in self.notes),
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines) + "\n"

    def _where(self, span: SceneSummary | DroppedSpan) -> str:
        times = f"{span.start:.1f}–{span.end:.1f} s"
        if len(self.sources) == 1:
            return times
        return f"{times} of {self.sources[span.footage]}"


def summarize_scene(scene: WrittenScene) -> SceneSummary:
    """Times and motion of a scene."""
    first, last = scene.frames[0], scene.frames[-1]
    motions = [frame.motion for frame in scene.frames[1:] if frame.motion]
    return SceneSummary(
        name=scene.name,
        frames=len(scene.frames),
        footage=first.footage,
        start=round(first.time, 3),
        end=round(last.time, 3),
        begins=scene.begins,
        motion=_median(motion.displacement for motion in motions),
        parallax=_median(motion.parallax for motion in motions),
    )


def dropped_spans(
    decisions: Sequence[Decision], longest_gap: float
) -> list[DroppedSpan]:
    """Runs of frames that were due and not kept, longer than `longest_gap`
    seconds; waiting for parallax is no such run.
    """
    spans, run = [], []
    for decision in [*decisions, None]:
        dropped = decision is not None and decision.verdict not in (
            "kept",
            "parallax",
        )
        if dropped and (not run or run[-1].footage == decision.footage):
            run.append(decision)
            continue
        if run and run[-1].time - run[0].time >= longest_gap:
            reason = Counter(each.verdict for each in run).most_common(1)[0][0]
            spans.append(
                DroppedSpan(
                    run[0].footage,
                    round(run[0].time, 3),
                    round(run[-1].time, 3),
                    len(run),
                    reason,
                )
            )
        run = [decision] if dropped else []
    return spans


def count(
    frames: int, decisions: Sequence[Decision], too_short: int
) -> dict[str, int]:
    """Frames by what became of them."""
    verdicts = Counter(decision.verdict for decision in decisions)
    verdicts["kept"] -= too_short
    verdicts["too short"] = too_short
    verdicts["thinned"] = frames - len(decisions)
    return {reason: verdicts[reason] for reason in REASONS}


def _median(values) -> float | None:
    values = list(values)
    return round(float(np.median(values)), 3) if values else None
