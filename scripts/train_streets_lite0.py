"""The preset that comes with the package, made again from nothing.

    python scripts/train_streets_lite0.py OUT

Renders streets, trains the demo's networks on them for longer and at a larger
size, and writes OUT/streets_lite0. May be stopped and started again. Some
fifty minutes on two slow cores; needs the extra `demo`.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import tyro

from scdepth_tf import demo, runs, synthetic
from scdepth_tf.config import DataConfig
from scdepth_tf.train import train

NAME = "streets_lite0"
TRAINING_STREETS = range(1, 81)
"""None of those that the demo validates with or reports."""
CONFIG = dataclasses.replace(
    demo.CONFIG,
    # More zoom and colours than the demo: it is to meet other cameras.
    data=DataConfig(image_size=(96, 320), zoom=1.3, color_jitter=0.4),
    epochs=6,
    steps_per_epoch=250,
    ema_momentum=0.995,
)


def main(out: tyro.conf.Positional[Path]) -> None:
    """Render, train, write the preset."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    streets = out / "streets"
    if not streets.exists():
        synthetic.write_streets(
            streets,
            seeds_train=TRAINING_STREETS,
            seeds_val=demo.VALIDATION_STREETS,
            frames=demo.FRAMES,
            image_size=(128, 416),
        )
    run = train(streets, out / "run", CONFIG)
    runs.write_preset(run, out / NAME, compact=True)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
