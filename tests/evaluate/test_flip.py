import numpy as np
import pytest

from scdepth_tf.evaluate import flip_merged


def test_each_border_trusts_the_picture_that_sees_it():
    image = np.zeros((4, 101, 3), np.uint8)
    image[:, 0] = 9  # its left side is marked

    def predict(seen):
        return np.full(seen.shape[:2], 1.0 if seen[0, 0, 0] else 0.5)

    disparity = 1 / flip_merged(predict)(image)[0]
    # The image has disparity 1, its mirror image 2.
    np.testing.assert_allclose(disparity[:6], 2.0)  # up to 5 % of the width
    np.testing.assert_allclose(disparity[-6:], 1.0)
    np.testing.assert_allclose(disparity[10:-10], 1.5)  # from 10 % on
    ramp = np.diff(disparity[5:11])
    np.testing.assert_allclose(ramp, -0.1)


def test_a_predictor_that_mirrors_is_left_alone(rng):
    image = rng.integers(0, 255, (8, 32, 3), np.uint8)

    def predict(seen):
        return 1.0 + seen[..., 0].astype(float)

    np.testing.assert_allclose(flip_merged(predict)(image), predict(image))


def test_smaller_predictions_are_merged_at_their_size():
    merged = flip_merged(lambda image: np.full((2, 5), 4.0))
    assert merged(np.zeros((8, 32, 3), np.uint8)) == pytest.approx(4.0)
