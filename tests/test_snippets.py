"""The pictures show what is true of a pair of frames."""

import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import data, snippets, viz
from tests import planes, streets
from tests.tiny_model import TinyDepth, TinyPose

SIZE = (planes.HEIGHT, planes.WIDTH)
SPEED = 0.3
MIDDLE = 2


class TrueDepth(TinyDepth):
    """Knows the scene's depth, in a unit of half a metre; 4 m where it does
    not matter."""

    def __init__(self, scene):
        super().__init__()
        self.depths = {
            scene.image(i).tobytes(): scene.depth(i) for i in range(len(scene))
        }

    def call(self, images, training=False):
        pixels = (images.numpy() * 255).round().astype(np.uint8)
        depths = [self.depths[image.tobytes()] for image in pixels]
        return tf.constant(2.0 * np.stack(depths)[..., None], tf.float32)


class TruePose(TinyPose):
    """Motion forward, in the same unit: to the frame after."""

    def call(self, pairs, training=False):
        return tf.constant([[0, 0, -2 * SPEED, 0, 0, 0]], tf.float32)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    root = tmp_path_factory.mktemp("snippets")
    streets.write_scene(root / "drive", frames=5, speed=SPEED)
    [scene] = data.open_scenes(
        root,
    )
    return scene


@pytest.fixture(scope="module")
def pair(scene):
    model = sd.SCDepth(TrueDepth(scene), TruePose())
    return snippets.compare_frames(model, scene, MIDDLE, MIDDLE + 1, SIZE)


def test_exact_depth_and_motion_explain_the_frame(scene, pair):
    pictures = snippets.draw_pair(pair)
    seen = pair.views.valid[..., 0] > 0
    assert 0.5 < seen.mean() < 1.0
    np.testing.assert_array_equal(
        pictures.warped[~seen], np.tile(viz.UNKNOWN, ((~seen).sum(), 1))
    )
    target = scene.image(MIDDLE).astype(float)
    warped = np.abs(pictures.warped[seen] - target[seen]).mean()
    unwarped = np.abs(scene.image(MIDDLE + 1)[seen] - target[seen]).mean()
    assert warped < 0.3 * unwarped
    np.testing.assert_allclose(pair.depth, 2 * scene.depth(MIDDLE), rtol=1e-5)
    dark = viz.color_weight(np.zeros((1, 1)))[0, 0]
    agree = np.abs(pictures.inconsistency[seen] - dark.astype(float)).max(-1)
    assert np.mean(agree < 25) > 0.9


def test_maps_are_grey_out_of_view_and_nowhere_else(pair):
    seen = pair.views.valid[..., 0] > 0
    for name, picture in snippets.draw_pair(pair)._asdict().items():
        grey = (picture == np.uint8(viz.UNKNOWN)).all(axis=-1)
        if name != "before":
            assert grey[~seen].all()
        if name != "warped":
            assert not grey[seen].any()


def test_a_sheet_has_the_colours_of_its_parts(scene):
    """At the depth's own scale a perfect prediction looks like the truth."""
    model = sd.SCDepth(TrueDepth(scene), TruePose())
    triplet = data.Triplet(0, MIDDLE, (MIDDLE - 1, MIDDLE + 1))
    sheet = snippets.draw_triplet(model, scene, triplet, SIZE)
    height = round(320 * SIZE[0] / SIZE[1])

    def part(row):
        """Of the column of the target."""
        top = row * (height + snippets._LINE + snippets._GAP)
        top += snippets._GAP + snippets._LINE
        left = snippets._GAP
        return sheet[top : top + height, left : left + 320]

    np.testing.assert_array_equal(part(1), part(2))  # prediction and truth
    assert part(1).std() > 5
    assert (part(3) == viz.color_ratio(np.ones((1, 1)), np.ones((1, 1)))).all()


def test_triplets_are_spread_over_the_scenes(scene):
    chosen = snippets.spread_triplets([scene, scene], 1, 3)
    assert [(t.scene, t.target) for t in chosen] == [(0, 2), (1, 1), (1, 3)]
    assert len(snippets.spread_triplets([scene], 1, 10)) == 3
