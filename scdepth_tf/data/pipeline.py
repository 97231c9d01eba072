"""Triplets, or pairs, as tf.data: decoded in parallel, augmented, batched.

Only indices are shuffled. Element i of the training data is a function of the
seed and i alone, so that a run can be repeated, and taken up at any batch.

Pillow decodes and cuts, in the threads of tf.data: it resizes three times as
fast as the operation behind `augment.resample`, to the same pixels within one
grey level, and reads a file that is part of another one.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from scdepth_tf.config import DataConfig
from scdepth_tf.data import augment, images
from scdepth_tf.data.scene import Scene
from scdepth_tf.data.triplets import Triplet, triplets, triplets_that_move

_LOG = logging.getLogger(__name__)


def training_dataset(
    scenes: Sequence[Scene],
    config: DataConfig,
    batch_size: int,
    seed: int = 0,
    first_batch: int = 0,
    cameras: Sequence[int] | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Endless shuffled, augmented triplets.

    Element i is triplet number i mod n of the i div n-th shuffle of all n
    triplets; an epoch is n of them, and each epoch has an order and an
    augmentation of its own. For `keras fit` give `steps_per_epoch`, for
    instance `len(triplets(scenes, config.stride)) // batch_size`; a batch may
    straddle two epochs, so no triplet is ever left out.

    Of n workers of a `tf.distribute.Strategy`, each reads its own batches:
    their t-th batches together are the t-th batch of one worker with n times
    the batch size. Ask for them with `strategy.
    distribute_datasets_from_function(lambda context: training_dataset(…,
    input_context=context))`.

    Args:
        scenes: from `open_scenes`.
        config: sizes, stride and augmentation.
        batch_size: triplets a batch, of this worker.
        seed: the same seed gives the same batches.
        first_batch: batches to pass over without decoding them, to take a
            run up where it stopped.
        cameras: index of each scene's camera (`camera_indices`), where focal
            lengths are learnt.
        input_context: which worker this is; None: the only one.

    Returns:
        Batches of "frames" and "jittered" [B, 3, H, W, 3] float32 in [0, 1]
        (target, earlier, later; of pairs [B, 2, H, W, 3]) and "intrinsics"
        [B, 3, 3] float32 pixels; with `cameras` also "camera" [B] int32.
        The colour jitter is in "jittered" only; without it, both are equal.

    Raises:
        ValueError: the configuration is impossible or no triplet is found.
    """
    return training_batches(
        tabulate(scenes, config, cameras),
        config,
        batch_size,
        seed,
        first_batch,
        input_context,
    )


def training_batches(
    table: TripletTable,
    config: DataConfig,
    batch_size: int,
    seed: int = 0,
    first_batch: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """`training_dataset` of a table that is already there: finding the
    triplets can mean reading every frame.
    """
    _check_batch_size(batch_size)
    count = len(table.frames)
    workers = input_context.num_input_pipelines if input_context else 1
    worker = input_context.input_pipeline_id if input_context else 0

    def load(position: tf.Tensor) -> dict[str, tf.Tensor]:
        batch, place = position // batch_size, position % batch_size
        index = (batch * workers + worker) * batch_size + place
        epoch, position = index // count, index % count
        row = tf.random.experimental.index_shuffle(
            position, tf.stack([seed, epoch]), count - 1
        )
        return _augmented(table, row, config, tf.stack([seed, index]))

    return (
        tf.data.Dataset.counter(first_batch * batch_size)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def validation_dataset(
    scenes: Sequence[Scene],
    config: DataConfig,
    batch_size: int,
    cameras: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Every triplet once, in order, resized and otherwise as it is.

    Same batches as `training_dataset`; the last one may be smaller.
    """
    return validation_batches(
        tabulate(scenes, config, cameras), config, batch_size
    )


def validation_batches(
    table: TripletTable,
    config: DataConfig,
    batch_size: int,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """`validation_dataset` of a table that is already there.

    Where several replicas share the work, all batches are full: what is left
    over after the last one is not seen, and triplets are seen again where
    there are fewer than one batch for each replica.
    """
    _check_batch_size(batch_size)
    rows = np.arange(len(table.frames))
    if input_context and input_context.num_replicas_in_sync > 1:
        rows = _share(rows, batch_size, input_context)

    def load(row: tf.Tensor) -> dict[str, tf.Tensor]:
        frames, intrinsics = _cut(table, row, config.image_size)
        frames = _unit_range(frames)
        return _element(table, row, frames, frames, intrinsics)

    return (
        tf.data.Dataset.from_tensor_slices(rows)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


class TripletTable(NamedTuple):
    """What the graph looks triplets up in; `tabulate` makes it."""

    read: Callable  # rows [k], zoom [2], offset [2] -> uint8 [k, H, W, 3]
    frames: np.ndarray  # [n, k] rows of files: target, earlier, later
    scenes: np.ndarray  # [n] rows of intrinsics
    intrinsics: np.ndarray  # [S, 3, 3]
    cameras: np.ndarray | None  # [S] where focal lengths are learnt
    sizes: np.ndarray  # [S, 2] height and width of the files


def tabulate(
    scenes: Sequence[Scene],
    config: DataConfig,
    cameras: Sequence[int] | None = None,
) -> TripletTable:
    """Find all triplets: with `drop_static` or `cache` every frame is read.

    Args:
        scenes: from `open_scenes`.
        config: stride, size, `drop_static` and `cache`.
        cameras: index of each scene's camera, where focal lengths are learnt.

    Raises:
        ValueError: the configuration is impossible or no triplet is found.
    """
    _check(config)
    found = _choose(scenes, config)
    starts = np.cumsum([0, *(len(scene) for scene in scenes)])
    frames = np.array([(item.target, *item.sources) for item in found])
    owners = np.array([item.scene for item in found])
    return TripletTable(
        read=_reader(scenes, config.cache, config.image_size),
        frames=frames + starts[owners, None],
        scenes=owners,
        intrinsics=np.stack([scene.intrinsics for scene in scenes]),
        cameras=None if cameras is None else np.array(cameras, np.int32),
        sizes=np.array([scene.image_size for scene in scenes]),
    )


def _choose(scenes: Sequence[Scene], config: DataConfig) -> list[Triplet]:
    found = triplets(scenes, config.stride)
    if not config.drop_static:
        return found
    moving = triplets_that_move(scenes, found)
    _LOG.info("%d of %d triplets move", len(moving), len(found))
    if not moving:
        raise ValueError(
            "in no triplet (or pair) do all frames differ by motion; raise the "
            "stride or turn drop_static off"
        )
    return moving


def _reader(
    scenes: Sequence[Scene], cache: bool, image_size: tuple[int, int]
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """What turns rows of the frames of all scenes [k], a zoom and an offset
    into their cut-outs, uint8 [k, H, W, 3].
    """
    files = [frame for scene in scenes for frame in scene.frames]
    if cache:
        with ThreadPoolExecutor() as pool:
            contents = list(pool.map(lambda file: file.read_bytes(), files))

    def read(
        rows: np.ndarray, zoom: np.ndarray, offset: np.ndarray
    ) -> np.ndarray:
        cuts = np.zeros((len(rows), *image_size, 3), np.uint8)
        with _SHUTDOWN.working() as wanted:
            for cut, row in zip(cuts, rows if wanted else (), strict=False):
                file = io.BytesIO(contents[row]) if cache else files[row]
                cut[:] = images.load_cut(file, image_size, zoom, offset)
        return cuts

    return read


class _Shutdown:
    """Lets the threads of tf.data out of Python before it ends.

    A thread that enters Python while it shuts down never comes back, and
    TensorFlow waits for it: a script that ended with an iterator alive would
    hang. From the exit on, work is refused until tf.data's buffers are full.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._working = 0
        self._refused = 0
        self._over = False
        atexit.register(self._finish)

    @contextlib.contextmanager
    def working(self) -> Iterator[bool]:
        """Whether the work of the block is still wanted."""
        with self._changed:
            wanted = not self._over
            self._working += wanted
            self._refused += not wanted
        try:
            yield wanted
        finally:
            with self._changed:
                self._working -= wanted
                self._changed.notify_all()

    def _finish(self) -> None:
        with self._changed:
            self._over = True
            self._changed.wait_for(lambda: not self._working, timeout=10)
        refused = -1
        while refused != self._refused:
            refused = self._refused
            time.sleep(0.1)


_SHUTDOWN = _Shutdown()


def _cut(
    table: TripletTable,
    row: tf.Tensor,
    image_size: tuple[int, int],
    zoom: tf.Tensor | tuple[float, float] = (1.0, 1.0),
    offset: tf.Tensor | tuple[float, float] = (0.0, 0.0),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames [k, H, W, 3] uint8 of one triplet (k = 3) or pair (k = 2) and
    their intrinsics [3, 3].
    """
    frames = tf.numpy_function(
        table.read,
        [tf.gather(table.frames, row), zoom, offset],
        tf.uint8,
        stateful=False,
    )
    scene = tf.gather(table.scenes, row)
    intrinsics = augment.resampled_intrinsics(
        tf.cast(tf.gather(table.intrinsics, scene), tf.float32),
        tf.cast(tf.gather(table.sizes, scene), tf.float32),
        image_size,
        zoom,
        offset,
    )
    shape = [table.frames.shape[1], *image_size, 3]
    return tf.ensure_shape(frames, shape), intrinsics


def _augmented(
    table: TripletTable, row: tf.Tensor, config: DataConfig, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    draw = augment.draw(seed)
    frames, intrinsics = _cut(
        table,
        row,
        config.image_size,
        zoom=1.0 + (config.zoom - 1.0) * draw.zoom,
        offset=draw.offset,
    )
    if config.flip:
        frames, intrinsics = tf.cond(
            draw.flip < 0.5,
            lambda: augment.mirror(frames, intrinsics),
            lambda: (frames, intrinsics),
        )
    frames = _unit_range(frames)
    jittered = frames
    if config.color_jitter:
        jittered = augment.jitter_colors(
            frames, config.color_jitter, draw.color
        )
    return _element(table, row, frames, jittered, intrinsics)


def _unit_range(frames: tf.Tensor) -> tf.Tensor:
    return tf.cast(frames, tf.float32) / 255.0


def _element(
    table: TripletTable,
    row: tf.Tensor,
    frames: tf.Tensor,
    jittered: tf.Tensor,
    intrinsics: tf.Tensor,
) -> dict[str, tf.Tensor]:
    element = {"frames": frames, "jittered": jittered, "intrinsics": intrinsics}
    if table.cameras is not None:
        scene = tf.gather(table.scenes, row)
        element["camera"] = tf.gather(table.cameras, scene)
    return element


def _check(config: DataConfig) -> None:
    height, width = config.image_size
    if min(height, width) <= 0 or height % 32 or width % 32:
        raise ValueError(
            f"image_size is {height}x{width} (height x width); both must be "
            "multiples of 32, for instance "
            f"{_multiple_of_32(height)}x{_multiple_of_32(width)}"
        )
    if config.zoom < 1:
        raise ValueError(
            f"zoom is {config.zoom:g}; give the largest enlargement, 1 or more"
        )
    if not 0 <= config.color_jitter < 1:
        raise ValueError(
            f"color_jitter is {config.color_jitter:g}; give 0 or more, less "
            "than 1"
        )


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give 1 or more")


def _share(
    rows: np.ndarray, batch_size: int, context: tf.distribute.InputContext
) -> np.ndarray:
    """Rows of this worker, in the order of its replicas' batches."""
    together = batch_size * context.num_replicas_in_sync
    whole = max(1, len(rows) // together) * together
    batches = np.resize(rows, whole).reshape(
        -1, context.num_input_pipelines, batch_size
    )
    return batches[:, context.input_pipeline_id].ravel()


def _multiple_of_32(size: int) -> int:
    return max(32, round(size / 32) * 32)
