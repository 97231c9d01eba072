r"""Triplets a second: from folders, from TFDS, and from a PyTorch DataLoader.

All three decode the same JPEGs and do the same work with them: three frames,
one antialiased bilinear resize with random zoom and crop, mirror, brightness,
contrast and saturation of the triplet, batches of float32. They take turns in
one run, with the same number of cores, and the ratios are of the medians.
Besides, with less to do: TFDS that was built at the size of training.

    python -m tfds_kitti video_sequences/full --manual-dir DATA --data-dir OUT
    python -m tfds_kitti video_sequences/256x832 --manual-dir DATA \
        --data-dir OUT
    python benchmarks/data_pipeline.py DATA \
        --tfds tfds:OUT/video_sequences/full/1.0.0 \
        --small-tfds tfds:OUT/video_sequences/256x832/1.0.0 \
        --torch-python PYTHON

PYTHON is one with torch, numpy and pillow; it may be another environment.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Compare the data pipelines."""

    data: tyro.conf.Positional[Path]
    """Folder of scenes or KITTI raw root, of JPEGs."""

    tfds: str
    """The same frames as tfds:FOLDER."""

    small_tfds: str
    """The same frames, built at (nearly) `image_size`."""

    torch_python: str
    """A Python that has torch."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all by default."""

    image_size: tuple[int, int] = (256, 832)
    batch_size: int = 4
    triplets: int = 300
    """Triplets to time in each turn, after a warm-up of a quarter."""

    turns: int = 3
    json: Path | None = None
    """Write the result here."""

    def run(self) -> None:
        """Measure in turns and print medians and ratios."""
        from scdepth_tf import data

        folder = data.open_scenes(self.data, "all", self.scenes)
        stored = data.open_scenes(self.tfds, "all", self.scenes)
        small = data.open_scenes(self.small_tfds, "all", self.scenes)
        cores = len(os.sched_getaffinity(0))
        names = ("torch", "folder", "tfds", "small_tfds")
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(self.turns):
            rates["torch"].append(self._torch(folder, cores))
            rates["folder"].append(self._tensorflow(folder))
            rates["tfds"].append(self._tensorflow(stored))
            rates["small_tfds"].append(self._tensorflow(small))
        medians = {
            name: statistics.median(values) for name, values in rates.items()
        }
        result = {
            "cores": cores,
            "image_size": self.image_size,
            "file_size": folder[0].image_size,
            "triplets_per_second": rates,
            "median": medians,
            **{
                f"{name} / torch": medians[name] / medians["torch"]
                for name in names[1:]
            },
        }
        text = json.dumps(result, indent=2) + "\n"
        sys.stdout.write(text)
        if self.json:
            self.json.write_text(text)

    def _tensorflow(self, scenes: list) -> float:
        from scdepth_tf import data
        from scdepth_tf.config import DataConfig

        config = DataConfig(image_size=self.image_size)
        batches = iter(data.training_dataset(scenes, config, self.batch_size))
        for _ in range(self._warm_up):
            next(batches)
        start = time.perf_counter()
        for _ in range(self._batches):
            next(batches)
        return self._batches * self.batch_size / (time.perf_counter() - start)

    def _torch(self, scenes: list, cores: int) -> float:
        from scdepth_tf import data

        job = {
            "triplets": [
                [
                    str(scenes[item.scene].frames[index])
                    for index in (item.target, *item.sources)
                ]
                for item in data.triplets(scenes)
            ],
            "intrinsics": scenes[0].intrinsics.tolist(),
            "image_size": self.image_size,
            "batch_size": self.batch_size,
            "workers": cores,
            "warm_up": self._warm_up,
            "batches": self._batches,
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(job, file)
            file.flush()
            done = subprocess.run(
                [
                    self.torch_python,
                    str(Path(__file__).with_name("torch_pipeline.py")),
                    file.name,
                ],
                capture_output=True,
                text=True,
                check=True,
                env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            )
        return float(done.stdout)

    @property
    def _batches(self) -> int:
        return max(1, self.triplets // self.batch_size)

    @property
    def _warm_up(self) -> int:
        return max(4, self._batches // 4)


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
