"""How well a mask finds what it should find.

A mask that should be low on some pixels is a detector of them; its score is
high where it is low (D_diff = 1 − M_s).
"""

from __future__ import annotations

import dataclasses

import numpy as np

_BINS = 4096


@dataclasses.dataclass(frozen=True)
class Detection:
    """What a score in [0, 1] tells of two classes of pixels."""

    auc: float
    """Area under the ROC curve: the chance that a random positive pixel has
    a higher score than a random negative one (ties half); 0.5 is guessing."""

    average_precision: float
    """Σ (R_k − R_{k−1})·P_k over thresholds, from the highest down; guessing
    gets `base_rate`."""

    base_rate: float
    """Share of positive pixels."""

    best_threshold: float
    """The score beyond which a pixel is called positive for the best F1."""

    best_precision: float
    """Share of the called pixels that are positive, there."""

    best_recall: float
    """Share of the positive pixels that are called, there."""

    positives: int
    negatives: int


class ScoreTally:
    """Counts scores of many images in bounded memory.

    The scores are put into 4096 bins, even in √score, and told apart no
    further: the AUC is exact but for pixels that share a bin.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, _BINS), np.int64)

    def add(self, scores: np.ndarray, positive: np.ndarray) -> None:
        """Takes scores in [0, 1] and whether each is positive, `[N]`.

        Raises:
            ValueError: a score is not in [0, 1].
        """
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(
                "scores must be in [0, 1], got "
                f"{np.min(scores):g} to {np.max(scores):g}"
            )
        bins = np.minimum((np.sqrt(scores) * _BINS).astype(int), _BINS - 1)
        for label in (0, 1):
            self._counts[label] += np.bincount(
                bins[positive == bool(label)], minlength=_BINS
            )

    def detection(self) -> Detection | None:
        """The summary; None where either class has no pixel."""
        negatives, positives = (int(n) for n in self._counts.sum(axis=1))
        if not negatives or not positives:
            return None
        # From the highest score down.
        false, true = self._counts[:, ::-1]
        recall = np.cumsum(true) / positives
        called = np.cumsum(true) + np.cumsum(false)
        precision = np.cumsum(true) / called.clip(1)
        # Positives above each negative's bin, and half of those in it.
        above = np.cumsum(true) - 0.5 * true
        f1 = 2 * precision * recall / (precision + recall).clip(1e-12)
        best = int(np.argmax(f1))
        return Detection(
            auc=float((false * above).sum() / (positives * negatives)),
            average_precision=float((precision * true).sum() / positives),
            base_rate=positives / (positives + negatives),
            best_threshold=float(((_BINS - 1 - best) / _BINS) ** 2),
            best_precision=float(precision[best]),
            best_recall=float(recall[best]),
            positives=positives,
            negatives=negatives,
        )
