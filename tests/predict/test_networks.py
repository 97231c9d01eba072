import numpy as np

from scdepth_tf.predict import (
    depth_predictor,
    motion_predictor,
    sequence_predictor,
)
from tests.tiny_model import tiny_model

SIZE = (32, 64)


def test_frames_in_a_batch_are_frames_one_by_one(rng):
    model = tiny_model()
    images = rng.integers(0, 256, (5, 40, 80, 3), dtype=np.uint8)
    predict = sequence_predictor(model, SIZE)
    depths, motions = predict(images[:3], None)
    later_depths, later_motions = predict(images[3:], images[2])
    depth, motion = depth_predictor(model, SIZE), motion_predictor(model, SIZE)
    for index, each in enumerate([*depths, *later_depths]):
        np.testing.assert_allclose(each, depth(images[index]), rtol=1e-5)
    assert np.array_equal(motions[0], np.eye(4))
    for index, each in enumerate([*motions[1:], *later_motions]):
        expected = motion(images[index], images[index + 1])
        np.testing.assert_allclose(each, expected, atol=1e-6)
    assert np.abs(motions[1] - motions[2]).max() > 1e-5  # images matter
