"""Two workers on loopback train as one, and survive the loss of one."""

import os
import re

import pytest

from scdepth_tf import stack
from tests import streets, tiny_cluster, tiny_training
from tests.test_resume import assert_equal_runs, newest_step, wait_for

OFTEN = ("--snapshot-minutes", "0")

pytestmark = pytest.mark.skipif(
    stack.IS_KERAS_2, reason="several workers are refused under Keras 2"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return streets.write_folder(tmp_path_factory.mktemp("workers") / "data")


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    tiny_cluster.finish(data, out)
    return out


def lines(out, pattern):
    """What each worker said that matches."""
    return [
        re.findall(pattern, tiny_cluster.log_of(out, i).read_text())
        for i in range(tiny_cluster.WORKERS)
    ]


def test_both_workers_end_with_the_same_weights(undisturbed):
    one, other = lines(undisturbed, r"weights (\w+)")
    assert one == other != []


def test_each_worker_reads_its_own_share(undisturbed):
    """Training draws zoom and offset for each triplet; validation has none."""
    one, other = (
        tiny_cluster.cuts_of(undisturbed, i).read_text().splitlines()
        for i in range(tiny_cluster.WORKERS)
    )
    drawn = [
        {line for line in lines if "[1. 1.]" not in line}
        for lines in (one, other)
    ]
    frames = 3 * tiny_training.STEPS * tiny_training.EPOCHS
    assert min(map(len, drawn)) >= frames  # of one triplet a step
    assert not drawn[0] & drawn[1]


def test_two_workers_learn_as_two_replicas_of_one(data, undisturbed, tmp_path):
    """The same steps; sums of two numbers have no order."""
    out = tmp_path / "run"
    options = ["--strategy", "mirrored", "--replicas", "2"]
    options += ["--gradient-accumulation", "1", "--schedule", "constant"]
    tiny_training.finish(data, out, *options)
    assert_equal_runs(out, undisturbed)


def lose(worker, data, out, step):
    """Kill one worker after a step; the other must end by itself."""
    workers = tiny_cluster.start(data, out, *OFTEN)
    assert wait_for(lambda: newest_step(out) >= step, workers[worker])
    workers[worker].kill()
    for process in workers:
        process.join(120)
    assert workers[worker].exitcode == -9
    assert workers[1 - worker].exitcode == 1
    log = tiny_cluster.log_of(out, 1 - worker).read_text()
    assert re.search(r"^scdepth: lost .*start all workers again", log, re.M)


def test_after_the_loss_of_a_worker_all_go_on_from_the_last_snapshot(
    data, undisturbed, tmp_path
):
    out = tmp_path / "run"
    lose(1, data, out, step=11)
    reached = newest_step(out)
    tiny_cluster.finish(data, out)
    for steps in lines(out, r"going on with .* after step (\d+) of"):
        assert [int(step) for step in steps] == [reached]
    assert_equal_runs(out, undisturbed)


@pytest.mark.skipif(
    "SCDEPTH_SLOW_TESTS" not in os.environ,
    reason="takes minutes; set SCDEPTH_SLOW_TESTS to run it",
)
def test_losing_the_chief_and_workers_in_turns_changes_nothing(
    data, undisturbed, tmp_path
):
    out = tmp_path / "run"
    for step, worker in ((3, 0), (8, 1), (17, 0), (30, 0), (41, 1)):
        lose(worker, data, out, step)
    tiny_cluster.finish(data, out)
    assert_equal_runs(out, undisturbed)
