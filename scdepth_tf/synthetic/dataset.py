"""Streets as a folder that training reads."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from scdepth_tf.synthetic.frame import render_frame
from scdepth_tf.synthetic.plan import make_street

_JPEG_QUALITY = 95


def write_streets(
    out: Path | str,
    seeds_train: Sequence[int],
    seeds_val: Sequence[int],
    frames: int = 40,
    image_size: tuple[int, int] = (128, 416),
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render streets into a training folder.

    `out/street_NNN/` holds `000000.jpg` …, `cam.txt` (3×3 intrinsics),
    `poses.txt` (a row-major 3×4 world_from_camera a frame, relative to the
    first, metres) and `depth/000000.npz` (`depth` float32 metres, planar,
    0 = sky; `instance` 0 static, 1 parked car, 2 moving car); `out/train.txt`
    and `out/val.txt` list the streets. The folder appears complete or not at
    all, and does not depend on the number of processes. With more than one,
    a script has to call this below `if __name__ == "__main__":`, as Python's
    multiprocessing asks.

    Args:
      out: a folder that does not exist yet, or is empty.
      seeds_train: streets listed in train.txt, one a seed in [0, 999999];
        where there are none, there is no list.
      seeds_val: streets listed in val.txt, other seeds; likewise.
      frames: consecutive frames a street.
      image_size: height and width in pixels.
      processes: rendered at once, one street each; None is one a core.
      progress: called with the number of frames done and the number in all
        whenever the first has grown.

    Returns:
      `out` as a Path.

    Raises:
      ValueError: `out` has contents, or an argument is not as described.
    """
    out = Path(out)
    seeds = [*seeds_train, *seeds_val]
    _check(out, seeds, frames, image_size)
    processes = min(processes or os.cpu_count() or 1, max(len(seeds), 1))
    total = len(seeds) * frames
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        jobs = [
            (staging / street_name(seed), seed, frames, tuple(image_size))
            for seed in seeds
        ]
        if processes == 1:
            _write_one_by_one(jobs, progress, total)
        else:
            _write_in_parallel(jobs, processes, progress, total)
        for name, chosen in (("train", seeds_train), ("val", seeds_val)):
            if len(chosen):
                lines = "".join(f"{street_name(seed)}\n" for seed in chosen)
                (staging / f"{name}.txt").write_text(lines)
        staging.chmod(0o755)  # mkdtemp keeps others out
        if out.exists():
            out.rmdir()  # known to be empty
        staging.rename(out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return out


def street_name(seed: int) -> str:
    """Folder of a street."""
    return f"street_{seed:03d}"


def _check(out, seeds, frames, image_size):
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"expected a new or empty folder, but {out} already has contents; "
            "choose another one or remove it first"
        )
    if len(set(seeds)) != len(seeds):
        raise ValueError(
            f"expected every street once, but the seeds repeat: {seeds}; "
            "give training and validation different seeds"
        )
    wrong = [seed for seed in seeds if not 0 <= seed <= 999_999]
    if wrong:
        raise ValueError(f"expected seeds in [0, 999999], got {wrong}")
    if len(image_size) != 2 or min(image_size) < 2:
        raise ValueError(
            "expected image_size as (height, width) of at least 2 pixels, "
            f"got {image_size}"
        )
    if frames < 1:
        raise ValueError(f"expected at least one frame a street, got {frames}")


def _write_one_by_one(jobs, progress, total):
    done = 0
    for job in jobs:
        for _ in _write_street(*job):
            done += 1
            if progress:
                progress(done, total)


def _write_in_parallel(jobs, processes, progress, total):
    # Spawned, not forked: the caller may have threads (TensorFlow does).
    pool = concurrent.futures.ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn")
    )
    with pool:
        waiting = {pool.submit(_write_whole_street, job) for job in jobs}
        reported = 0
        try:
            while waiting:
                finished, waiting = concurrent.futures.wait(
                    waiting,
                    timeout=0.2,
                    return_when=concurrent.futures.FIRST_COMPLETED,
                )
                for future in finished:
                    future.result()  # raises what the worker raised
                # The files themselves say how far the workers have come.
                done = sum(_count_frames(folder) for folder, *_ in jobs)
                if progress and done > reported:
                    progress(done, total)
                reported = done
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _count_frames(folder: Path) -> int:
    return sum(1 for _ in folder.glob("depth/*.npz"))


def _write_whole_street(job):
    for _ in _write_street(*job):
        pass


def _write_street(folder: Path, seed: int, frames: int, image_size):
    """Write one street; yields after every frame."""
    (folder / "depth").mkdir(parents=True)
    street = make_street(seed, frames)
    poses = []
    for index in range(frames):
        frame = render_frame(street, index, image_size)
        Image.fromarray(frame.image).save(
            folder / f"{index:06d}.jpg", quality=_JPEG_QUALITY, subsampling=0
        )
        np.savez_compressed(
            folder / "depth" / f"{index:06d}.npz",
            depth=frame.depth,
            instance=frame.instance,
        )
        poses.append(frame.world_from_camera)
        yield index
    first_from_world = np.linalg.inv(poses[0])
    rows = [(first_from_world @ pose)[:3].ravel() for pose in poses]
    np.savetxt(folder / "poses.txt", rows, fmt="%.9e")
    np.savetxt(folder / "cam.txt", frame.intrinsics, fmt="%.6f")
