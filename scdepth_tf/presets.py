"""Presets: trained networks in a folder that can be passed on.

config.json         the networks, the loss and the image size; all choices of
                    the training where they are known
model.weights.h5    the weights of both networks
README.md           model card
scale.json          metres per scene unit, where `scdepth calibrate` found it
SHA256SUMS          of the first three, as `sha256sum -c SHA256SUMS` reads it

Whatever takes a run directory takes a preset, too, or the name of one that
comes with the package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from scdepth_tf.compact import compact_weights
from scdepth_tf.config import TrainConfig, read_config
from scdepth_tf.files import replace_folder, write_whole

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
CARD = "README.md"
SCALE = "scale.json"
CHECKSUMS = "SHA256SUMS"

_FILES = (CONFIG, WEIGHTS, CARD)
_SHIPPED = Path(__file__).parent / "trained"


def shipped() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir())


def check_own(folder: Path) -> None:
    """Refuse to write into a preset of the package.

    Raises:
        ValueError: `folder` is that of one.
    """
    if folder.absolute().parent == _SHIPPED.absolute():
        raise ValueError(
            f"{folder.name} belongs to the package; make it yours first: "
            f"cp -r {folder} {folder.name}"
        )


def locate(folder: str | Path) -> Path:
    """The folder that is meant: of a run or a preset, or, where there is none
    of that name, that of a preset of the package.
    """
    folder = Path(folder)
    if not folder.exists() and str(folder) in shipped():
        return _SHIPPED / folder
    return folder


def is_preset(folder: str | Path) -> bool:
    """Whether a folder says that it is a preset, damaged or not."""
    return (Path(folder) / CHECKSUMS).is_file()


def open_preset(folder: Path) -> TrainConfig:
    """The choices of a preset, after a look at all of its files.

    Args:
        folder: from `locate`.

    Raises:
        FileNotFoundError: there is no preset in the folder.
        ValueError: a file is damaged, or config.json cannot be understood.
    """
    if not is_preset(folder):
        raise FileNotFoundError(
            f"{folder} is not a preset: it has no {CHECKSUMS}; `scdepth "
            "import` and `scdepth export RUN --format preset` make one, and "
            f"{', '.join(shipped())} comes with the package"
        )
    check_files(folder)
    return read_config(Path(folder) / CONFIG)


def check_files(folder: str | Path) -> None:
    """Refuse a preset whose files are not those that were written.

    Raises:
        ValueError: a file is missing or has another SHA-256.
    """
    folder = Path(folder)
    expected = _read_checksums(folder / CHECKSUMS)
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing; copy the whole preset again")
        digest = sha256(path)
        if digest != expected.get(name):
            raise ValueError(
                f"{path} is damaged or was changed: its SHA-256 is "
                f"{digest[:8]}…, {CHECKSUMS} says "
                f"{expected.get(name, 'nothing')[:8]}…; copy the preset again "
                "(after a change on purpose: sha256sum -b "
                f"{' '.join(_FILES)} > {CHECKSUMS})"
            )


def write_preset(
    folder: str | Path,
    config: TrainConfig,
    save_weights: Callable[[Path], None],
    trained_on: str,
    metrics: Mapping[str, float],
    is_training_known: bool,
    compact: bool = False,
) -> Path:
    """Write a preset, whole or not at all.

    Args:
        folder: to make.
        config: networks, loss and image size; where the training is known,
            its other choices too.
        save_weights: writes the weights to a path.
        trained_on: the data.
        metrics: figures by their names.
        is_training_known: whether `config` has more than the networks, the
            loss and the image size.
        compact: round the weights (`scdepth_tf.compact`).

    Returns:
        The folder.

    Raises:
        ValueError: the folder exists or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists; choose another folder")
    choices = config.to_dict()
    if not is_training_known:
        image_size = {"image_size": config.data.image_size}
        choices = {
            "model": choices["model"],
            "loss": choices["loss"],
            "data": image_size,
        }
    described = {"data": trained_on, "scenes": [], "config": choices}
    with replace_folder(folder) as unfinished:
        write_whole(unfinished / CONFIG, json.dumps(described, indent=2) + "\n")
        write_whole(
            unfinished / CARD,
            _card(
                folder.name,
                config,
                trained_on,
                metrics,
                is_training_known,
                compact,
            ),
        )
        save_weights(unfinished / WEIGHTS)
        if compact:
            compact_weights(unfinished / WEIGHTS)
        write_whole(
            unfinished / CHECKSUMS,
            "".join(
                f"{sha256(unfinished / name)} *{name}\n" for name in _FILES
            ),
        )
    return folder


def _read_checksums(path: Path) -> dict[str, str]:
    """File name -> digest; a line that is none is passed over, and the file
    that it was for is then reported.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    parts = [line.split(maxsplit=1) for line in lines]
    return {
        name.lstrip("*"): digest.lower()
        for digest, name in (part for part in parts if len(part) == 2)
    }


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# === The model card ===


def _card(
    name: str,
    config: TrainConfig,
    trained_on: str,
    metrics: Mapping[str, float],
    is_training_known: bool,
    compact: bool,
) -> str:
    facts = _facts(config, trained_on, is_training_known)
    if compact:
        facts["weights"] = "rounded; figures are those before rounding"
    figures = [
        f"| {title} | {value:g} |" for title, value in metrics.items()
    ] or ["| none recorded | |"]
    return _CARD.format(
        name=name,
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        figures="\n".join(figures),
    )


def _facts(
    config: TrainConfig, trained_on: str, is_training_known: bool
) -> dict[str, str]:
    model = config.model
    height, width = config.data.image_size
    facts = {
        "depth network": f"{model.depth_encoder}, {model.decoder} decoder, "
        f"{model.upsampling} upsampling",
        "pose network": f"{model.pose_encoder}",
        "images": f"{width} × {height} (width × height), RGB in [0, 1]",
        "depth": f"{1 / (model.alpha + model.beta):.3g} to "
        f"{1 / model.beta:.3g} scene units; one unknown factor makes them "
        "metres",
        "trained on": trained_on,
    }
    if is_training_known:
        facts["training"] = (
            f"{config.epochs} epochs of {config.steps_per_epoch} steps of "
            f"{config.batch_size} triplets, learning rate "
            f"{config.learning_rate:g} ({config.schedule}), no labels"
        )
    return facts


_CARD = """# {name}

Depth from one image and camera motion from two, learnt from video without
labels: SC-Depth (Bian et al., IJCV 2021), networks of scdepth-tf.

| | |
|---|---|
{facts}

## Figures

| on validation data | |
|---|---|
{figures}

They hold for footage like the data it was trained on; elsewhere, measure
(`scdepth evaluate depth`) before you trust it.

## Use

```python
import scdepth_tf as sd

model = sd.SCDepth.from_preset("{name}")
depth = model.predict(images)  # [N, H, W, 3] in [0, 1] -> [N, H, W, 1]
```

```bash
scdepth evaluate depth {name} DATA
scdepth export {name} --out phone
scdepth train DATA --out RUN --config {name}/config.json --model.weights {name}
```

`sha256sum -c SHA256SUMS` tells whether the files arrived whole; loading checks
it, too.

## Licence

scdepth-tf is under Apache-2.0. Weights can carry conditions of the data they
were trained on (KITTI's licence, for one, excludes commercial use) and, where
they were imported, of those who published them: look before you pass them on.
"""
