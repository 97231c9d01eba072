"""Which frames to keep, and where a new scene begins."""

from __future__ import annotations

import dataclasses
from typing import Literal

from scdepth_tf.config import PrepareConfig
from scdepth_tf.prepare.motion import Motion, Picture, measure_motion

Verdict = Literal["kept", "static", "parallax", "featureless", "damaged"]

_LEAST_TRACKED = 0.25
"""Of the corners; below, the two pictures do not show the same."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What became of one frame that was due."""

    footage: int
    """Index of its video or folder."""

    frame: int
    """Its number there, from 0."""

    time: float
    """Seconds there."""

    verdict: Verdict

    new_scene: str | None = None
    """Why a scene begins with it; None: it goes on, or is not kept."""

    motion: Motion | None = None
    """Since the last kept frame; None where there is none to compare."""

    @property
    def kept(self) -> bool:
        """It is written."""
        return self.verdict == "kept"


class Clock:
    """Says which frames are due, so that their mean rate is the one wanted.

    Args:
        frame_rate: frames a second; 0: all are due.
    """

    def __init__(self, frame_rate: float):
        self._period = 1 / frame_rate if frame_rate else 0.0
        self._due = float("-inf")
        self._last = float("-inf")

    def is_due(self, time: float) -> bool:
        """Whether the frame at `time`, in seconds, is due; ask in order."""
        if time < self._last:  # the file's clock was set back
            self._due = time
        self._last = time
        # Times in files are rounded, often to milliseconds.
        if time < self._due - min(0.002, self._period / 4):
            return False
        late = time - self._due > self._period
        self._due = (time if late else self._due) + self._period
        return True


class Selector:
    """Judges the frames that are due, one after the other.

    Args:
        config: thresholds.
    """

    def __init__(self, config: PrepareConfig):
        self._config = config
        period = 1 / config.frame_rate if config.frame_rate else 0.0
        self._longest_gap = max(config.longest_gap, 2.5 * period)
        self._last_kept: tuple[Decision, Picture | None] | None = None
        self._previous: Picture | None = None
        self._last_moving = 0.0  # time of the last frame kept or on its way

    def judge(
        self, footage: int, frame: int, time: float, picture: Picture | None
    ) -> Decision:
        """Decide on a frame; `picture` is None where it is damaged."""
        decision = self._decide(footage, frame, time, picture)
        self.take(decision, picture)
        return decision

    def take(self, decision: Decision, picture: Picture | None) -> None:
        """Go on from a decision made earlier."""
        if decision.kept:
            self._last_kept = decision, picture
        if decision.kept or decision.verdict == "parallax":
            self._last_moving = decision.time
        self._previous = picture

    def _decide(
        self, footage: int, frame: int, time: float, picture: Picture | None
    ) -> Decision:
        decision = Decision(footage, frame, time, "kept")
        if picture is None:
            return dataclasses.replace(decision, verdict="damaged")
        if picture.featureless:
            return dataclasses.replace(decision, verdict="featureless")
        if self._last_kept is None:
            return dataclasses.replace(decision, new_scene="start")
        kept, kept_picture = self._last_kept
        if kept.footage != footage:
            return dataclasses.replace(decision, new_scene="next file")
        motion = measure_motion(kept_picture, picture)
        decision = dataclasses.replace(decision, motion=motion)
        if motion.tracked < _LEAST_TRACKED:
            return dataclasses.replace(decision, new_scene=self._loss(picture))
        if motion.displacement < self._config.min_motion:
            return dataclasses.replace(decision, verdict="static")
        if motion.parallax < self._config.min_parallax:
            return dataclasses.replace(decision, verdict="parallax")
        if not 0 <= time - self._last_moving <= self._longest_gap:
            return dataclasses.replace(decision, new_scene="gap")
        return decision

    def _loss(self, picture: Picture) -> str:
        """Why nothing of the last kept frame is seen any more."""
        if self._previous is None or self._previous.featureless:
            return "cut"
        motion = measure_motion(self._previous, picture)
        return "cut" if motion.tracked < _LEAST_TRACKED else "lost sight"
