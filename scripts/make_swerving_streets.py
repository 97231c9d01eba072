"""Render streets on which the car swerves, with cam.txt wrong on purpose.

For maintainers: shows that `scdepth train --model.learn-focal-length camera`
finds the focal length. On a straight drive nothing depends on it; these cars
turn by up to 3 degrees a frame. The focal lengths in cam.txt are FACTOR times
the true ones, so that the column focal_scale of history.csv should go to
1 / FACTOR.

    python scripts/make_swerving_streets.py streets_wrong --factor 0.7
    scdepth train streets_wrong --out run_wrong \
        --model.learn-focal-length camera \
        --model.depth-encoder efficientnet_lite0 \
        --model.pose-encoder optical_flow --model.decoder mobile \
        --model.encoder-weights imagenet --data.image-size 64 192 \
        --batch-size 2 --epochs 16 --steps-per-epoch 100 \
        --loss.smoothness-weight 0.02 --learning-rate 8e-4 --schedule cosine
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from scdepth_tf.synthetic.frame import render_frame
from scdepth_tf.synthetic.plan import make_street

_WEAVE, _WEAVE_LENGTH = 0.5, 20.0  # metres: 3 degrees a frame at 1 m a frame


def main() -> None:
    """Write the streets named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--factor", type=float, default=0.7)
    parser.add_argument("--train", type=int, default=12, help="streets")
    parser.add_argument("--val", type=int, default=2, help="streets")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 320))
    options = parser.parse_args()
    seeds = {
        "train": range(1, 1 + options.train),
        "val": range(101, 101 + options.val),
    }
    for split, chosen in seeds.items():
        for seed in chosen:
            _write_street(options, seed)
        names = "".join(f"street_{seed:03d}\n" for seed in chosen)
        (options.out / f"{split}.txt").write_text(names)


def _write_street(options: argparse.Namespace, seed: int) -> None:
    street = make_street(seed, options.frames)
    path = dataclasses.replace(
        street.path, weave=_WEAVE, weave_length=_WEAVE_LENGTH
    )
    street = dataclasses.replace(street, path=path)
    folder = options.out / f"street_{seed:03d}"
    (folder / "depth").mkdir(parents=True)
    poses = []
    for index in tqdm(range(options.frames), folder.name):
        frame = render_frame(street, index, tuple(options.size))
        Image.fromarray(frame.image).save(
            folder / f"{index:06d}.jpg", quality=95, subsampling=0
        )
        np.savez_compressed(
            folder / "depth" / f"{index:06d}.npz", depth=frame.depth
        )
        poses.append(frame.world_from_camera[:3].ravel())
    intrinsics = np.array(frame.intrinsics)
    intrinsics[:2, :2] *= options.factor
    np.savetxt(folder / "cam.txt", intrinsics, fmt="%.6f")
    np.savetxt(folder / "poses.txt", poses, fmt="%.9e")


if __name__ == "__main__":
    main()
