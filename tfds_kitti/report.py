"""What a build made, in words."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds

from scdepth_tf.data.records import PackedFile, read_examples


def describe(builder: tfds.core.DatasetBuilder) -> str:
    """Splits, frames and bytes of a built dataset, and what was left out."""
    folder = Path(builder.data_dir)
    lines, skipped = [f"{folder}"], []
    for split, info in builder.info.splits.items():
        frames, depths = 0, 0
        for shard in map(Path, info.filepaths):
            for features in read_examples(shard):
                frames += len(features["frames/number"])
                depths += len(features["depths/frame"])
                skipped += [
                    PackedFile(shard, span, "").read_bytes().decode()
                    for span in features["skipped"]
                ]
        lines.append(
            f"  {split}: {frames} frames, {depths} with depth, "
            f"{info.num_bytes / 1e6:.1f} MB"
        )
    if skipped:
        lines.append(f"left out as unreadable ({len(skipped)}):")
        lines += [f"  {complaint}" for complaint in sorted(skipped)]
    for leftover in sorted(folder.parent.glob(f"incomplete.*_{folder.name}")):
        lines.append(f"left by an interrupted build, delete it: {leftover}")
    lines.append(f"train with: scdepth train tfds:{folder} --out RUN")
    return "\n".join(lines) + "\n"
