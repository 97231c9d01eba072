import dataclasses
import json

import numpy as np
import pytest

from scdepth_tf.evaluate import evaluate_depth
from scdepth_tf.evaluate.compare import compare_depth, read_report
from scdepth_tf.metrics import EIGEN, GENERIC, baselines

TITLE = "AbsRel, each image at its own scale"


def report(noise, protocol=GENERIC, count=12, scenes=4):
    """A predictor that is off by `noise`, on images of several scenes."""
    rng = np.random.default_rng(0)
    truths = rng.uniform(2, 20, (count, 8, 16))
    wrong = np.exp(noise * rng.normal(size=truths.shape))
    samples = (
        (f"s{i % scenes}/{i}", np.full((8, 16, 3), i, np.uint8), truths[i])
        for i in range(count)
    )
    return evaluate_depth(
        lambda image: (truths * wrong)[image[0, 0, 0]],
        samples,
        protocol,
        {"constant depth": baselines.constant_depth()},
    )


def test_a_better_run_is_better_beyond_doubt():
    found = compare_depth({"old": report(0.2), "new": report(0.1)})
    assert found.names == ("old", "new", "constant depth")
    assert (found.runs, found.images, found.groups) == (2, 12, 4)
    _, new, blind = found.comparisons[TITLE].differences
    assert new.low < new.mean < new.high < 0 < blind.low
    expected = report(0.1).median_scaled.abs_rel
    assert found.comparisons[TITLE].means[1].mean == pytest.approx(expected)


def test_table_marks_only_what_differs():
    found = compare_depth({"one": report(0.2), "same": report(0.2)})
    lines = found.table().splitlines()
    assert max(map(len, lines)) <= 80
    same = [line for line in lines if line.startswith("same")]
    assert len(same) == 4
    assert not any("*" in line for line in same)
    assert "Only 4 scenes" in found.table()
    assert any(
        line.endswith("*") for line in lines if line.startswith("constant")
    )


def test_images_can_be_drawn_in_place_of_scenes():
    runs = {"a": report(0.2, scenes=1), "b": report(0.1, scenes=1)}
    with pytest.raises(ValueError, match="resample by image"):
        compare_depth(runs)
    assert compare_depth(runs, resample="image").groups == 12


def test_reports_that_cannot_be_compared_are_refused():
    one = report(0.1)
    with pytest.raises(ValueError, match="1 run to compare"):
        compare_depth({"one": one})
    with pytest.raises(ValueError, match="other was evaluated under protocol"):
        compare_depth({"one": one, "other": report(0.1, EIGEN)})
    with pytest.raises(ValueError, match="on 11 images and one on 12, 1 of"):
        compare_depth({"one": one, "other": report(0.1, count=11)})
    turned = dataclasses.replace(one, per_image=one.per_image[::-1])
    with pytest.raises(ValueError, match="in another order"):
        compare_depth({"one": one, "other": turned})


def test_json_holds_every_interval():
    found = compare_depth({"old": report(0.2), "new": report(0.1)})
    content = json.loads(found.to_json())
    new = content["comparisons"][TITLE]["differences"][1]
    assert new == found.comparisons[TITLE].differences[1]._asdict()


def test_reports_are_read_back_and_others_refused(tmp_path):
    report(0.1).write_json(tmp_path / "depth.json")
    assert read_report(tmp_path / "depth.json") == report(0.1)
    with pytest.raises(FileNotFoundError, match="writes one"):
        read_report(tmp_path / "none.json")
    for text in ("{}", "no json"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(ValueError, match=r"other\.json: ") as error:
            read_report(tmp_path / "other.json")
        assert "\n" not in str(error.value)
