import numpy as np
import pytest

from scdepth_tf.metrics.masks import ScoreTally


def detect(scores, positive):
    tally = ScoreTally()
    tally.add(np.asarray(scores, float), np.asarray(positive, bool))
    return tally.detection()


def test_perfect_score_finds_everything():
    found = detect([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1])
    assert found.auc == 1
    assert found.average_precision == 1
    assert (found.best_precision, found.best_recall) == (1, 1)
    assert 0.2 < found.best_threshold < 0.7


def test_inverted_score_has_auc_zero():
    assert detect([0.9, 0.8, 0.1], [0, 0, 1]).auc == 0


def test_equal_scores_are_guessing():
    found = detect([0.5] * 10, [1] * 3 + [0] * 7)
    assert found.auc == 0.5
    assert found.base_rate == pytest.approx(0.3)
    assert found.average_precision == pytest.approx(0.3)
    assert found.best_recall == 1
    assert (found.positives, found.negatives) == (3, 7)


def test_hand_worked_curve():
    found = detect([0.9, 0.7, 0.5, 0.3], [1, 0, 1, 0])
    # Pairs in order: (0.9 > 0.7), (0.9 > 0.3), (0.5 > 0.3) of four.
    assert found.auc == pytest.approx(3 / 4)
    assert found.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # All above 0.3: precision 2/3, recall 1, F1 0.8; the best.
    assert found.best_precision == pytest.approx(2 / 3)
    assert found.best_recall == 1


def test_auc_is_the_share_of_ordered_pairs(rng):
    positive = rng.random(300) < 0.2
    scores = np.clip(rng.normal(0.3 + 0.1 * positive, 0.1), 0, 1)
    pairs = scores[positive][:, None] - scores[~positive]
    expected = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    assert detect(scores, positive).auc == pytest.approx(expected, abs=1e-3)


def test_images_add_up(rng):
    positive = rng.random(300) < 0.2
    scores = rng.random(300)
    tally = ScoreTally()
    for part in np.array_split(np.arange(300), 7):
        tally.add(scores[part], positive[part])
    assert tally.detection() == detect(scores, positive)


def test_one_class_alone_has_no_curve():
    assert detect([0.1, 0.2], [1, 1]) is None
    assert detect([], []) is None


@pytest.mark.parametrize("score", [-0.1, 1.1, np.nan])
def test_scores_out_of_range_are_refused(score):
    with pytest.raises(ValueError, match=r"scores must be in \[0, 1\]"):
        detect([0.5, score], [0, 1])
