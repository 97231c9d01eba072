"""A killed training goes on, and ends as if it had never been killed."""

import os
import random
import re
import subprocess
import sys
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import resume, runs, stack
from scdepth_tf.config import TrainConfig
from tests import streets, tiny_training

HALF_PRECISION = "mixed_float16" if stack.IS_KERAS_2 else "mixed_bfloat16"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return streets.write_folder(tmp_path_factory.mktemp("resume") / "data")


@pytest.fixture(scope="module")
def undisturbed_twice(data, tmp_path_factory):
    """Two runs that nobody killed, the second one with a snapshot at every
    step, at once: one may well disturb the timing of the other. They share no
    process that they were forked from, nor the seed of Python's hashes.
    """
    folder = tmp_path_factory.mktemp("undisturbed")
    often = tiny_training.start_fresh(
        data, folder / "often", "--snapshot-minutes", "0", hash_seed=1
    )
    tiny_training.finish(data, folder / "run")
    assert often.wait() == 0
    return folder / "run", folder / "often"


@pytest.fixture(scope="module")
def undisturbed(undisturbed_twice):
    return undisturbed_twice[0]


def newest_step(out):
    steps = [int(p.stem[5:]) for p in (out / "resume").glob("step_*.npz")]
    return max(steps, default=0)


def wait_for(condition, process):
    """False where the process ended before."""
    while not condition():
        if not process.is_alive():
            return False
        time.sleep(0.001)
    return True


def kill_when(condition, data, out, delay, *options):
    """Train until `condition` and `delay` seconds more, then kill -9."""
    process = tiny_training.start(
        data, out, "--snapshot-minutes", "0", *options
    )
    assert wait_for(condition, process)
    process.join(delay)
    process.kill()
    process.join()
    assert process.exitcode == -9


def contents(run):
    """Everything that must be equal, bit for bit."""
    last = max((run / "resume").glob("step_*.npz"))
    with np.load(last) as arrays:
        found = {f"{last.name}/{n}": arrays[n].tobytes() for n in arrays.files}
    for name in (runs.LAST_WEIGHTS, runs.BEST_WEIGHTS):
        with h5py.File(run / name) as file:
            file.visititems(
                lambda path, item, name=name: found.update(
                    {f"{name}/{path}": item[()].tobytes()}
                    if isinstance(item, h5py.Dataset)
                    else {}
                )
            )
    found[runs.HISTORY] = (run / runs.HISTORY).read_bytes()
    for name in ("train", "validation"):
        found.update(events(run / runs.TENSORBOARD / name))
    return found


def events(folder):
    """What TensorBoard shows, each point once."""
    found = {}
    for path in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                key = f"{folder.name}/{value.tag} at {event.step}"
                assert key not in found
                found[key] = value.tensor.SerializeToString()
    return found


def assert_equal_runs(one, other):
    ours, theirs = contents(one), contents(other)
    assert len(ours) > 60
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_killed_six_times_and_continued_equals_undisturbed(
    data, undisturbed, tmp_path
):
    """Model, optimizer, random layers, running means, best weights, history."""
    out = tmp_path / "run"
    rng = random.Random(4)
    total = tiny_training.STEPS * tiny_training.EPOCHS
    kill_when((out / "config.json").exists, data, out, rng.uniform(0, 1))
    reached = [newest_step(out)]
    for step in sorted(rng.sample(range(1, total - 12), 5)):
        target = max(step, newest_step(out) + 1)
        kill_when(
            lambda target=target: newest_step(out) >= target,
            data,
            out,
            rng.uniform(0, 0.02),
        )
        reached.append(newest_step(out))
    tiny_training.finish(data, out)
    # Starting from scratch each time would end the same way.
    log = tiny_training.log_of(out).read_text()
    continued = re.findall(r"going on with .* after step (\d+) of", log)
    assert [int(step) for step in continued] == [s for s in reached if s]
    assert total > reached[-1] > reached[1] > 0
    assert_equal_runs(out, undisturbed)
    names = {path.name for path in out.iterdir()}
    assert names == {path.name for path in undisturbed.iterdir()}


def test_early_stopping_survives_a_kill(data, tmp_path):
    """At the epoch where the history says so, and for good."""
    out = tmp_path / "run"
    # A rate at which training only gets worse.
    options = "--patience", "2", "--learning-rate", "1", "--epochs", "30"
    kill_when(lambda: newest_step(out) >= 11, data, out, 0, *options)
    tiny_training.finish(data, out, *options)
    history = np.genfromtxt(out / runs.HISTORY, delimiter=",", names=True)
    scores = history["val_abs_rel"]
    waited = [e - np.argmin(scores[: e + 1]) for e in range(len(scores))]
    assert waited[-1] == 2 and max(waited[:-1]) < 2
    assert 2 < len(scores) < 30
    assert newest_step(out) == tiny_training.STEPS * len(scores)
    before = contents(out)
    tiny_training.finish(data, out, *options)
    assert contents(out) == before
    assert "is finished" in tiny_training.log_of(out).read_text()


@pytest.mark.parametrize("starts", ["afresh", "from weights"])
def test_epoch_0_is_the_validation_of_given_weights(
    data, undisturbed, tmp_path, starts
):
    """So that training can only make better what it was given."""
    if starts == "afresh":
        out, expected = undisturbed, list(range(1, tiny_training.EPOCHS + 1))
    else:
        out, expected = tmp_path / "run", [0, 1]
        options = "--model.weights", str(undisturbed), "--epochs", "1"
        tiny_training.finish(data, out, *options)
    history = np.genfromtxt(out / runs.HISTORY, delimiter=",", names=True)
    assert history["epoch"].tolist() == expected
    assert np.isfinite(history["val_abs_rel"]).all()


def test_two_runs_agree_bit_for_bit(undisturbed_twice):
    """And where the snapshots are taken makes no difference."""
    assert_equal_runs(*undisturbed_twice)


@pytest.mark.skipif(
    "SCDEPTH_SLOW_TESTS" not in os.environ,
    reason="compiles for minutes; set SCDEPTH_SLOW_TESTS to run it",
)
@pytest.mark.parametrize("precision", ["float32", HALF_PRECISION])
def test_two_runs_of_real_networks_agree_bit_for_bit(data, tmp_path, precision):
    """Threaded convolutions, and losses compiled by XLA."""
    for seed, out in enumerate((tmp_path / "one", tmp_path / "other")):
        arguments = ["train", data, "--out", out, "--recipe", "own_video"]
        arguments += ["--model.encoder-weights", "none", "--batch-size", "2"]
        arguments += ["--data.image-size", "64", "128", "--epochs", "2"]
        arguments += ["--steps-per-epoch", "6", "--precision", precision]
        code = "import sys; from scdepth_tf import cli; sys.exit(cli.main())"
        subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
    assert_equal_runs(tmp_path / "one", tmp_path / "other")


def test_a_finished_run_stays_as_it_is(data, undisturbed):
    before = contents(undisturbed)
    tiny_training.finish(data, undisturbed)
    assert contents(undisturbed) == before
    assert "is finished" in tiny_training.log_of(undisturbed).read_text()


def small_model():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dropout(0.5, seed=0),
            keras.layers.Dense(2),
            keras.layers.BatchNormalization(),
        ]
    )
    model.compile(keras.optimizers.Adam(), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    model.test_on_batch(np.ones((4, 3)), np.zeros((4, 2)))  # makes its metrics
    return model


def values(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def assert_same_values(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def two_snapshots(tmp_path):
    """After steps 1 and 2 of a training, and the variables at each."""
    model = small_model()
    seen = []
    for step in (1, 2):
        model.train_on_batch(np.ones((4, 3)), np.zeros((4, 2)))
        seen.append(values(model))
        state = resume.TrainingState(step=step, best_score=0.1 + 0.2)
        resume.save(tmp_path, model, state)
    return tmp_path, seen


def test_a_snapshot_holds_optimizer_and_random_layers(two_snapshots):
    folder, seen = two_snapshots
    assert any((a != b).any() for a, b in zip(*seen, strict=True))
    model = small_model()
    state = resume.restore(folder, model)
    assert state == resume.TrainingState(step=2, best_score=0.1 + 0.2)
    assert_same_values(values(model), seen[1])


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    """In the middle of an array, where the format notices nothing."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("variable_00000.npy").header_offset
    content[start + 30 + len("variable_00000.npy") + 128 + 20] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, empty, flip_a_bit])
def test_a_torn_snapshot_gives_way_to_the_one_before(
    two_snapshots, damage, caplog
):
    folder, seen = two_snapshots
    damage(folder / "step_000000002.npz")
    model = small_model()
    assert resume.restore(folder, model).step == 1
    assert_same_values(values(model), seen[0])
    assert "step_000000002.npz is damaged" in caplog.text


def test_only_two_snapshots_are_kept(two_snapshots):
    folder, _ = two_snapshots
    resume.save(folder, small_model(), resume.TrainingState(step=10))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["step_000000002.npz", "step_000000010.npz"]


def test_damaged_or_foreign_snapshots_are_refused(two_snapshots):
    folder, _ = two_snapshots
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    other.compile(keras.optimizers.Adam(), "mse")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(ValueError, match="other variables"):
        resume.restore(folder, other)
    for path in folder.iterdir():
        cut(path)
    with pytest.raises(ValueError, match=r"every snapshot .* is damaged"):
        resume.restore(folder, small_model())


def test_other_choices_are_refused_by_name(tmp_path):
    config = TrainConfig()
    runs.create_run(tmp_path / "run", config, tmp_path)
    runs.check_same_run(tmp_path / "run", TrainConfig(), tmp_path)
    other = TrainConfig.from_dict(
        {"learning_rate": 3e-4, "data": {"image_size": [64, 96]}}
    )
    with pytest.raises(ValueError) as error:
        runs.check_same_run(tmp_path / "run", other, tmp_path, ("a",))
    message = str(error.value)
    assert "learning_rate 0.0001 there, 0.0003 now" in message
    assert "data.image_size (256, 832) there, (64, 96) now" in message
    assert "scenes () there, ('a',) now" in message
    assert "batch_size" not in message


def test_changed_frames_are_refused(data, undisturbed):
    """Their order would be another one."""
    cam = data / "a" / "cam.txt"
    before = cam.read_text()
    try:
        cam.write_text(before.replace("1.0", "1.5", 1))
        process = tiny_training.start(data, undisturbed)
        process.join()
    finally:
        cam.write_text(before)
    assert process.exitcode == 1
    log = tiny_training.log_of(undisturbed).read_text()
    assert "no longer holds the frames" in log


def test_weights_without_snapshots_are_never_overwritten(tmp_path):
    run = runs.create_run(tmp_path / "run", TrainConfig(), tmp_path)
    runs.write_history(run, [{"epoch": 0, "loss": 1.0}])
    with pytest.raises(ValueError, match="no snapshots"):
        runs.start_run(run.folder, TrainConfig(), tmp_path)


def test_history_says_nan_where_an_epoch_has_no_figure(tmp_path):
    run = runs.create_run(tmp_path / "run", TrainConfig(), tmp_path)
    rows = [{"epoch": 0, "loss": 1.0}, {"epoch": 1, "loss": 2.0, "extra": 0.5}]
    runs.write_history(run, rows)
    text = (run.folder / runs.HISTORY).read_text()
    assert text == "epoch,loss,extra\n0,1.0,nan\n1,2.0,0.5\n"
