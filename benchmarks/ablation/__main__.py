r"""Train every variant with several seeds, measure all, write the table.

    python -m benchmarks.ablation ../shared/data/streets --out ablation
    python -m benchmarks.ablation ../shared/data/streets --out recipe \
        --trials recipe --lidar ../shared/data/kitti_raw

One process for each run, `--jobs` at once. May be stopped and started again at
any moment: trainings go on where they were, finished ones stay.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.ablation import table
from benchmarks.processes import run_module
from scdepth_tf.config import TrainConfig

_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Ablation:
    """Variants of the training on scenes with exact ground truth."""

    data: tyro.conf.Positional[Path]
    """Scenes with depth, poses, instance masks, train.txt and val.txt."""

    out: Path
    """Folder for runs, figures, table and plot."""

    trials: Literal["paper", "recipe"] = "paper"
    """Parts of the paper's method, or choices beside it."""

    lidar: Path | None = None
    """KITTI with projected lidar, that no variant trains on: one more
    column."""

    seeds: int = 3
    jobs: int = 2
    """Trainings at once, with one thread each if more than one."""

    variants: tuple[str, ...] = ()
    """Names of the trials; all by default."""

    steps: int | None = None
    """Of each training, those of its recipe by default; another number needs
    another `--out`."""

    def run(self) -> None:
        """Train, measure, write."""
        variants = json.loads((_HERE / f"{self.trials}.json").read_text())
        names = self.variants or tuple(variants)
        configs = {name: self._config(variants[name]) for name in names}
        # All variants with the first seed come first: an early look.
        work = list(itertools.product(range(self.seeds), names))
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            jobs = [
                pool.submit(self._train_and_measure, configs[name], name, seed)
                for seed, name in work
            ]
            for job in concurrent.futures.as_completed(jobs):
                job.result()
                table.write(self.out, variants, self._columns())

    def _columns(self) -> dict[str, str]:
        return table.COLUMNS | ({"lidar": "KITTI lidar"} if self.lidar else {})

    def _train_and_measure(
        self, config: TrainConfig, name: str, seed: int
    ) -> None:
        run = self.out / "runs" / f"{table.slug(name)}-{seed}"
        figures = self.out / "figures" / f"{table.slug(name)}-{seed}.json"
        if table.has_all(figures, self.lidar):
            return
        figures.parent.mkdir(parents=True, exist_ok=True)
        run.parent.mkdir(parents=True, exist_ok=True)
        choices = run.with_suffix(".json")
        seeded = dataclasses.replace(config, seed=seed)
        choices.write_text(json.dumps(seeded.to_dict(), indent=1))
        with run.with_suffix(".log").open("ab") as log:
            run_module(
                *("scdepth_tf", "train", self.data, "--out", run),
                *("--config", choices, "--no-tensorboard"),
                log=log,
                one_thread=self.jobs > 1,
            )
            run_module(
                *("benchmarks.ablation.measure", run, self.data, figures),
                *([self.lidar] if self.lidar else []),
                log=log,
                one_thread=self.jobs > 1,
            )

    def _config(self, variant: dict) -> TrainConfig:
        base = TrainConfig.from_dict(
            json.loads((_HERE / "base.json").read_text())
        )
        changes = {k: value for k, value in variant.items() if k != "what"}
        choices = TrainConfig.from_dict(changes, base)
        steps = self.steps or choices.steps_per_epoch
        return dataclasses.replace(choices, steps_per_epoch=steps)


if __name__ == "__main__":
    tyro.cli(Ablation, description=__doc__).run()
