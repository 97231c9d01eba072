"""Our side of the comparison.

Tasks of `python -m benchmarks.reference.our_side`:

    start CONFIG OUT
    hand_over CONFIG DATA SAMPLES WEIGHTS
    train CONFIG DATA OUT TRAINING
    take_back CONFIG WEIGHTS OUT

CONFIG is a JSON file of a `TrainConfig`, OUT a folder to make. What PyTorch
gets and gives are SAMPLES and WEIGHTS (.npz); TRAINING is seconds and losses
(JSON).
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import keras
import numpy as np

from benchmarks.torch_weights import read_torch_weights, write_torch_weights
from scdepth_tf import distribution, runs
from scdepth_tf.config import read_config
from scdepth_tf.files import write_whole
from scdepth_tf.train import train as train_run
from scdepth_tf.training_data import open_training_data


def start(config: str, out: str) -> None:
    """Write the initial weights of a seed as a preset."""
    choices = read_config(config)
    keras.utils.set_random_seed(choices.seed)
    model = runs.build_model(choices.model, choices.loss)
    model.save_to_preset(out, training=choices, trained_on="nothing yet")


def hand_over(config: str, data: str, samples: str, weights: str) -> None:
    """Write what a PyTorch training needs: the batches that ours would read,
    augmented, and the weights that it would start from.

    Frames [S, B, 3, H, W, 3] are uint8, of which ours are multiples of 1/255
    as well; intrinsics [S, B, 3, 3] are float32.
    """
    choices = read_config(config)
    footage = open_training_data(
        data, (), choices, distribution.make_strategy("none")
    )
    batches = [
        (np.rint(255 * batch["frames"].numpy()), batch["intrinsics"].numpy())
        for batch in footage.train_batches(0).take(choices.steps_per_epoch)
    ]
    frames, intrinsics = zip(*batches, strict=True)
    np.savez(
        samples,
        frames=np.stack(frames, dtype=np.uint8, casting="unsafe"),
        intrinsics=np.stack(intrinsics),
    )
    model = runs.build_model(choices.model, choices.loss)
    write_torch_weights(model, Path(weights))


def train(config: str, data: str, out: str, training: str) -> None:
    """`scdepth train`, with a curve of single steps and the time they took:
    building the graph counts, starting and validating does not.
    """
    curve = Curve()
    run = train_run(
        data,
        out,
        read_config(config),
        callbacks=[curve],
        progress=False,
        tensorboard=False,
    )
    # Twice the weights, only to go on from.
    shutil.rmtree(run.folder / runs.RESUME)
    write_whole(Path(training), json.dumps(curve.training))


def take_back(config: str, weights: str, out: str) -> None:
    """Make a preset of what PyTorch has trained."""
    choices = read_config(config)
    model = runs.build_model(choices.model.without_weights(), choices.loss)
    read_torch_weights(model, Path(weights))
    model.save_to_preset(out, training=choices, trained_on="see the benchmark")


class Curve(keras.callbacks.Callback):
    """The loss of each step, and the seconds of all.

    Attributes:
        training: "seconds", "cpu_seconds" and "losses".
    """

    def __init__(self) -> None:
        super().__init__()
        self.training = {"losses": []}
        self._start = None

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if self._start is None:
            self._start = time.perf_counter(), time.process_time()
        # Its figures are means since the last reset.
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.training["losses"].append(float(logs["loss"]))
        self.training["seconds"] = time.perf_counter() - self._start[0]
        self.training["cpu_seconds"] = time.process_time() - self._start[1]


if __name__ == "__main__":
    TASKS = {
        task.__name__: task for task in (start, hand_over, train, take_back)
    }
    TASKS[sys.argv[1]](*sys.argv[2:])
