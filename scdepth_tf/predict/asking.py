"""Asks the networks about every frame of a source, and stores what they say."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many

import numpy as np

from scdepth_tf import alignment
from scdepth_tf.lite import prepare
from scdepth_tf.metrics.odometry import inverse
from scdepth_tf.metrics.reprojection import scale_intrinsics
from scdepth_tf.predict.sources import Source
from scdepth_tf.predict.store import CHUNK, Store, Stored, rounded
from scdepth_tf.prepare.footage import Frame

Predictor = Callable[
    [Many[np.ndarray], np.ndarray | None], tuple[np.ndarray, np.ndarray]
]
"""See `networks.sequence_predictor`."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, frames done and frames in all (0: unknown)."""


def ask(
    source: Source,
    predictor: Predictor,
    store: Store,
    batch_size: int,
    align: bool,
    progress: Progress | None = None,
) -> None:
    """Ask the networks about all frames that are not stored yet.

    Args:
        source: the footage.
        predictor: the networks.
        store: what they said so far; complete in the end.
        batch_size: frames that they see at once, at most `CHUNK`.
        align: also lay each frame over the one before; the camera is known.
        progress: called after each batch.

    Raises:
        ValueError: there are no frames, two have one name, a prediction is
            not finite, or a file cannot be written.
    """
    if store.is_complete:
        return
    aligner = Aligner(source) if align else None
    previous: np.ndarray | None = None
    waiting: list[Stored] = []
    batch: list[tuple[Frame, np.ndarray]] = []
    done = store.frames

    def ask_about_batch() -> None:
        nonlocal previous, done
        frames, images = zip(*batch, strict=True)
        batch.clear()
        depths, motions = predictor(images, previous)
        previous = images[-1]
        for frame, image, depth, motion in zip(
            frames, images, depths, motions, strict=True
        ):
            _check_prediction(source, frame, depth, motion)
            depth = rounded(depth)
            step = aligner.step(image, depth, motion) if aligner else None
            waiting.append(Stored(frame.name, frame.time, depth, motion, step))
        done += len(frames)
        if progress:
            progress("predicting", done, source.expected_frames)
        # The end of a chunk is always the end of a batch.
        if len(waiting) == CHUNK:
            store.append(waiting)
            waiting.clear()

    names: set[str] = set()
    start = store.frames
    for index, frame in enumerate(source.frames()):
        if frame.name in names:
            raise ValueError(
                f"{source.name}: two pictures are called {frame.name}; give "
                "each frame a name of its own"
            )
        names.add(frame.name)
        if index < start - 1:
            continue
        if index == start - 1:
            previous = frame.read()
            if aligner:
                aligner.follow(previous, store.last().depth)
            continue
        batch.append((frame, frame.read()))
        if len(batch) == min(batch_size, CHUNK - len(waiting)):
            ask_about_batch()
    if batch:
        ask_about_batch()
    if waiting:
        store.append(waiting)
    if not store.frames:
        raise ValueError(f"{source.name}: holds no frames; nothing to predict")
    store.complete()


class Aligner:
    """Measures each step by laying a frame over the one before.

    Args:
        source: of the frames; its camera is known.
    """

    def __init__(self, source: Source):
        self._intrinsics = source.intrinsics
        self._image_size = source.image_size
        self._before: alignment.Frame | None = None

    def follow(self, image: np.ndarray, depth: np.ndarray) -> None:
        """The next step starts at this frame.

        Args:
            image: uint8 [H, W, 3].
            depth: [h, w] of the network.
        """
        camera = scale_intrinsics(
            self._intrinsics, self._image_size, depth.shape
        )
        small = prepare(image, depth.shape)
        self._before = alignment.prepare_frame(small, depth, camera)

    def step(
        self, image: np.ndarray, depth: np.ndarray, motion: np.ndarray
    ) -> np.ndarray | None:
        """P_before⁻¹·P_this [4, 4] in the unit of the depth; None at the start
        and where the images share too little.

        Args:
            image: uint8 [H, W, 3].
            depth: [h, w] of the network.
            motion: [4, 4] from the camera before into this one's, as the pose
                network has it.
        """
        before = self._before
        self.follow(image, depth)
        if before is None:
            return None
        step = alignment.aligned_step(before, self._before, inverse(motion))
        return step if np.isfinite(step).all() else None


def _check_prediction(
    source: Source, frame: Frame, depth: np.ndarray, motion: np.ndarray
) -> None:
    wrong = None
    if not (np.isfinite(depth).all() and (depth > 0).all()):
        wrong = "depth"
    elif not np.isfinite(motion).all():
        wrong = "motion"
    if wrong:
        raise ValueError(
            f"{source.name}, frame {frame.name}: the predicted {wrong} is not "
            "finite; the weights are damaged or their training diverged (see "
            "the run's history.csv)"
        )
