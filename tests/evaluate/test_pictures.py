import numpy as np
import pytest
from PIL import Image

from scdepth_tf.evaluate import Sample, evaluate_depth
from scdepth_tf.evaluate.pictures import WorstImages
from scdepth_tf.metrics import GENERIC


def samples(count=6):
    """Image i is worth looking at the more the larger i % 4 is."""
    truth = np.tile(np.linspace(3, 30, 104), (32, 1))
    for i in range(count):
        yield Sample(f"s/{i}", np.full((32, 104, 3), i, np.uint8), truth)


def predict(image):
    bend = 0.1 * (image[0, 0, 0] % 4)
    return np.tile(np.linspace(3, 30, 104) ** (1 + bend), (32, 1))


def test_the_sheet_shows_the_worst_images_first(tmp_path):
    worst = WorstImages(GENERIC, count=3)
    report = evaluate_depth(predict, samples(), GENERIC, watch=worst)
    errors = [i.median_scaled.abs_rel for i in report.per_image]
    kept = sorted(worst._worst, reverse=True)
    assert [entry[0] for entry in kept] == sorted(errors)[::-1][:3]
    assert kept[0][2].startswith("s/3: AbsRel")
    worst.write(tmp_path / "worst.png")
    with Image.open(tmp_path / "worst.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (16 + 3 * (16 + 128), 4 * 416, 3)
    # Row one, picture one, is image 3.
    assert (pixels[40, 10] == 3).all()


def test_error_maps_show_too_far_red_and_none_grey(tmp_path):
    truth = np.full((32, 104), 10.0)
    truth[:, :10] = 0
    sample = Sample("s/7", np.zeros((32, 104, 3), np.uint8), truth)
    depth = np.full((32, 104), 10.0)
    depth[:8] = 14.0
    depth[-8:] = 7.0
    watch = WorstImages(GENERIC, error_maps=tmp_path / "maps")
    evaluate_depth(lambda image: depth, [sample], GENERIC, watch=watch)
    with Image.open(tmp_path / "maps" / "s_7.png") as opened:
        error = np.asarray(opened).astype(int)
    assert error.shape == (32, 104, 3)
    assert error[2, 50, 0] > error[2, 50, 2] + 50  # red
    assert error[-2, 50, 2] > error[-2, 50, 0] + 50  # blue
    assert np.ptp(error[16, 50]) < 10  # white
    assert (error[16, 2] == [90, 96, 104]).all()


def test_lidar_points_are_drawn_large_enough_to_see(tmp_path):
    truth = np.zeros((32, 104))
    truth[16, 52] = 10.0
    sample = Sample("s/7", np.zeros((32, 104, 3), np.uint8), truth)
    watch = WorstImages(GENERIC, error_maps=tmp_path)
    evaluate_depth(lambda i: np.ones((4, 4)), [sample], GENERIC, watch=watch)
    with Image.open(tmp_path / "s_7.png") as opened:
        shown = (np.asarray(opened) != [90, 96, 104]).any(axis=-1)
    assert shown.sum() == 25
    watch.write(tmp_path / "worst.jpg")


def test_unwritable_sheet_is_one_clear_line(tmp_path):
    worst = WorstImages(GENERIC)
    evaluate_depth(predict, samples(1), GENERIC, watch=worst)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write"):
        worst.write(tmp_path / "file" / "worst.png")
