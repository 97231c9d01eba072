"""The PyTorch side of `data_pipeline.py`: runs in an environment with torch.

Written as a careful user would: Pillow decodes and resamples the crop in one
call, everything after that is torch; one process for each core.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

ZOOM, JITTER = 1.15, 0.2
GREY = torch.tensor([0.2989, 0.587, 0.114])


class Triplets(Dataset):
    """Augmented triplets as `scdepth_tf.data.training_dataset` makes them."""

    def __init__(self, job: dict):
        self.triplets = job["triplets"]
        self.intrinsics = np.array(job["intrinsics"], np.float32)
        self.height, self.width = job["image_size"]

    def __len__(self) -> int:
        return len(self.triplets)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """One triplet: frames [3, H, W, 3] float32 in [0, 1]."""
        zoom = 1 + (ZOOM - 1) * torch.rand(2).numpy()
        offset = torch.rand(2).numpy()
        frames = torch.from_numpy(
            np.stack(
                [self._crop(path, zoom, offset) for path in self._paths(index)]
            )
        )
        frames = frames.float() / 255
        if torch.rand(()) < 0.5:
            frames = frames.flip(2)
        return {
            "frames": frames,
            "jittered": jitter(frames),
            "intrinsics": torch.from_numpy(self.intrinsics),
        }

    def _paths(self, index: int) -> list[str]:
        return self.triplets[index]

    def _crop(
        self, path: str, zoom: np.ndarray, offset: np.ndarray
    ) -> np.ndarray:
        """The crop, resampled in one antialiased bilinear interpolation."""
        with Image.open(path) as image:
            size = np.array([image.height, image.width])
            cut = size / zoom
            top, left = (size - cut) * offset
            box = (left, top, left + cut[1], top + cut[0])
            return np.asarray(
                image.convert("RGB").resize(
                    (self.width, self.height), Image.Resampling.BILINEAR, box
                )
            )


def jitter(frames: torch.Tensor) -> torch.Tensor:
    """Brightness, saturation and contrast, the same for all frames."""
    brightness, contrast, saturation = 1 + JITTER * (2 * torch.rand(3) - 1)
    frames = frames * brightness
    grey = (frames @ GREY)[..., None]
    mean = grey.mean()
    frames = grey + saturation * (frames - grey)
    return (mean + contrast * (frames - mean)).clamp(0, 1)


def endless(loader: DataLoader):
    """Batches of epoch after epoch."""
    while True:
        yield from loader


def main() -> None:
    """Print triplets a second."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    loader = DataLoader(
        Triplets(job),
        batch_size=job["batch_size"],
        shuffle=True,
        num_workers=job["workers"],
        persistent_workers=True,
        drop_last=True,
    )
    batches = endless(loader)
    for _ in range(job["warm_up"]):
        next(batches)
    start = time.perf_counter()
    for _ in range(job["batches"]):
        next(batches)
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{job['batches'] * job['batch_size'] / seconds}\n")


if __name__ == "__main__":
    main()
