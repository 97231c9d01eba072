r"""Train ours and the published recipe in PyTorch on the same samples.

    python -m benchmarks.reference ../shared/data/streets \
        --torch-python PYTHON --out reference

PYTHON is one with torch and NumPy; it may be another environment. Trainings of
the same networks and seed start from the same weights. Each in processes of its
own, `--jobs` at once. May be stopped and started again: a training that was
stopped starts anew, finished ones stay.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import tyro

from benchmarks.ablation import table
from benchmarks.processes import run_module
from scdepth_tf.config import TrainConfig

_BENCHMARKS = Path(__file__).parent.parent
_OUR_SIDE = "benchmarks.reference.our_side"
_TIMES = {"minutes": "minutes", "cpu_minutes": "minutes of CPU"}


@dataclasses.dataclass(frozen=True)
class Reference:
    """Our training beside the published one, on exact ground truth."""

    data: tyro.conf.Positional[Path]
    """Scenes with depth, poses, instance masks, train.txt and val.txt."""

    torch_python: str
    """A Python that has torch and NumPy."""

    out: Path
    """Folder for runs, figures, table and plot."""

    lidar: Path | None = None
    """KITTI with projected lidar, that no variant trains on: one more
    column."""

    seeds: int = 3
    jobs: int = 2
    """Trainings at once, with one thread each if more than one."""

    variants: tuple[str, ...] = ()
    """Names of variants.json; all by default."""

    steps: int | None = None
    """Of each training, those of its recipe by default; another number needs
    another `--out`."""

    def run(self) -> None:
        """Train, measure, write."""
        variants = json.loads(
            (_BENCHMARKS / "reference" / "variants.json").read_text()
        )
        names = self.variants or tuple(variants)
        # All variants with the first seed come first: an early look.
        work = list(itertools.product(range(self.seeds), names))
        for seed, name in work:
            self._start(self._choices(variants[name], seed))
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            jobs = [
                pool.submit(self._train_and_measure, variants[name], name, seed)
                for seed, name in work
            ]
            for job in concurrent.futures.as_completed(jobs):
                job.result()
                table.write(self.out, variants, self._columns())

    def _columns(self) -> dict[str, str]:
        lidar = {"lidar": "KITTI lidar"} if self.lidar else {}
        return table.COLUMNS | lidar | _TIMES

    def _start(self, choices: TrainConfig) -> None:
        """What all trainings of the same networks and seed start from."""
        initial = self._initial(choices)
        if initial.exists():
            return
        initial.parent.mkdir(parents=True, exist_ok=True)
        config = initial.with_suffix(".json")
        config.write_text(json.dumps(choices.to_dict(), indent=1))
        with initial.with_suffix(".log").open("wb") as log:
            self._call(log)(_OUR_SIDE, "start", config, initial)

    def _initial(self, choices: TrainConfig) -> Path:
        model = choices.model
        networks = model.depth_encoder, model.decoder, model.pose_encoder
        name = "-".join((*networks, model.encoder_weights, str(choices.seed)))
        return self.out / "initial" / table.slug(name)

    def _train_and_measure(self, variant: dict, name: str, seed: int) -> None:
        run = self.out / "runs" / f"{table.slug(name)}-{seed}"
        figures = self.out / "figures" / f"{table.slug(name)}-{seed}.json"
        if table.has_all(figures, self.lidar):
            return
        if not figures.exists():
            self._train(variant, seed, run)
        self._measure(run, figures)

    def _train(self, variant: dict, seed: int, run: Path) -> None:
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        config, training = run / "choices.json", run / "training.json"
        choices = self._choices(variant, seed)
        model = dataclasses.replace(
            choices.model.without_weights(),
            weights=str(self._initial(choices)),
        )
        choices = dataclasses.replace(choices, model=model)
        config.write_text(json.dumps(choices.to_dict(), indent=1))
        with (run / "log").open("wb") as log:
            call = self._call(log)
            if "engine" in variant:
                self._train_in_torch(call, run, choices, variant["engine"])
            else:
                call(
                    _OUR_SIDE,
                    "train",
                    config,
                    self.data,
                    run / "trained",
                    training,
                )

    def _measure(self, run: Path, figures: Path) -> None:
        with (run / "log").open("ab") as log:
            self._call(log)(
                "benchmarks.ablation.measure",
                run / "trained",
                self.data,
                run / "measured.json",
                *([self.lidar] if self.lidar else []),
            )
        measured = json.loads((run / "measured.json").read_text())
        taken = json.loads((run / "training.json").read_text())
        measured["minutes"] = taken["seconds"] / 60
        measured["cpu_minutes"] = taken["cpu_seconds"] / 60
        figures.parent.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps(measured, indent=1) + "\n")

    def _train_in_torch(
        self, call: Callable, run: Path, choices: TrainConfig, engine: str
    ) -> None:
        config, job = run / "choices.json", run / "job.json"
        samples, weights, trained = (
            run / f"{name}.npz" for name in ("samples", "weights", "trained")
        )
        job.write_text(
            json.dumps(
                {
                    "encoder": choices.model.depth_encoder,
                    "decoder": choices.model.decoder,
                    "samples": str(samples),
                    "weights": str(weights),
                    "learning_rate": choices.learning_rate,
                    "batched": engine == "pytorch_batched",
                    "trained": str(trained),
                    "training": str(run / "training.json"),
                }
            )
        )
        call(_OUR_SIDE, "hand_over", config, self.data, samples, weights)
        call(
            "benchmarks.reference.torch_training", job, python=self.torch_python
        )
        call(_OUR_SIDE, "take_back", config, trained, run / "trained")
        for path in (samples, weights, trained):
            path.unlink()

    def _choices(self, variant: dict, seed: int) -> TrainConfig:
        changes = {
            key: value
            for key, value in variant.items()
            if key not in ("what", "recipe", "engine")
        }
        choices = TrainConfig.from_dict(changes, _recipe(variant["recipe"]))
        steps = self.steps or choices.steps_per_epoch
        return dataclasses.replace(choices, seed=seed, steps_per_epoch=steps)

    def _call(self, log) -> Callable:
        return functools.partial(run_module, log=log, one_thread=self.jobs > 1)


def _recipe(path: str) -> TrainConfig:
    return TrainConfig.from_dict(json.loads((_BENCHMARKS / path).read_text()))


if __name__ == "__main__":
    tyro.cli(Reference, description=__doc__).run()
