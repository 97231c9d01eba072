"""What the datasets share: scenes become examples of up to 32 frames.

An example is a chunk of a sequence: its frames, each stored once, and what is
known of them. Triplets are made when reading (`scdepth_tf.data`).
"""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from scdepth_tf.data import images
from scdepth_tf.data.scene import Scene
from tfds_kitti.serialization import sorted_features

CHUNK_FRAMES = 32
"""Frames of an example: a few megabytes, read and written at once."""

JPEG_QUALITY = 95
CODES_PER_METRE = 256
"""Unit of depth maps, that of KITTI's own depth `.png`."""

TRAINING_SIZES = ((256, 832), (192, 640), (128, 416))

_LOG = logging.getLogger(__name__)
_UNREADABLE = (FileNotFoundError, ValueError)


@dataclasses.dataclass(eq=False)
class SequenceConfig(tfds.core.BuilderConfig):
    """What is built."""

    image_size: tuple[int, int] | None = None
    """Height and width to store frames at, as JPEG; None: the files as they
    are, byte by byte."""

    def __post_init__(self):
        if self.image_size is not None:  # a list where it comes from JSON
            self.image_size = tuple(self.image_size)


def size_name(image_size: tuple[int, int] | None) -> str:
    """What a configuration is called after its size: full or 256x832."""
    return "full" if image_size is None else "{}x{}".format(*image_size)


def size_description(image_size: tuple[int, int] | None) -> str:
    """Half a sentence on the size of the frames."""
    if image_size is None:
        return "the image files as they are"
    height, width = image_size
    return f"JPEG of {width}x{height} pixels, quality {JPEG_QUALITY}"


@dataclasses.dataclass(frozen=True)
class Chunk:
    """One example still to be made: cheap to send to a worker."""

    scene: Scene
    """Its frames alone."""

    first_frame: int
    """Index of its first frame in the sequence."""

    depth_rounding: str
    image_size: tuple[int, int] | None
    skip_corrupt: bool

    @property
    def key(self) -> str:
        """Unique in a split, the same wherever the data lies."""
        return f"{self.scene.name}/{self.first_frame:010d}"


class SequenceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builds datasets of chunks, with Beam where the build asks for it
    (`tfds build --beam_pipeline_options`), to the same bytes.

    Args:
        skip_corrupt: leave unreadable frames out and list them (feature
            `skipped`), instead of stopping.
        options: as of every TFDS builder.
    """

    HOMEPAGE = ""

    _with_beam = False

    def __init__(self, *, skip_corrupt: bool = False, **options: Any):
        self._skip_corrupt = skip_corrupt
        super().__init__(**options)

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **options: Any,
    ) -> None:
        """As every TFDS builder; the same data give the same bytes."""
        config = download_config or tfds.download.DownloadConfig()
        self._with_beam = bool(config.beam_runner or config.beam_options)
        with sorted_features():
            super().download_and_prepare(download_config=config, **options)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=_features(),
            homepage=self.HOMEPAGE,
        )

    def _splits(self, scenes: dict[str, Sequence[Scene]]) -> dict[str, Any]:
        """The generators of those splits that have frames."""
        if not any(scenes.values()):
            raise ValueError(
                f"nothing to build {self.name} from; see the instructions:\n"
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        for split, found in scenes.items():
            if not found:
                _LOG.warning("%s: no frames for split %s", self.name, split)
        return {
            split: self._generate_examples(list(self._chunks(found, split)))
            for split, found in scenes.items()
            if found
        }

    def _chunks(self, scenes: Iterable[Scene], split: str) -> Iterator[Chunk]:
        for scene in scenes:
            for start in range(0, len(scene), CHUNK_FRAMES):
                yield Chunk(
                    scene=scene.part(start, start + CHUNK_FRAMES),
                    first_frame=start,
                    depth_rounding="",
                    image_size=self.builder_config.image_size,
                    skip_corrupt=self._skip_corrupt,
                )

    def _generate_examples(self, chunks: list[Chunk]) -> Any:
        """Keys and examples, or the Beam transform that makes them."""
        if not self._with_beam:
            return map(encode, chunks)
        beam = tfds.core.lazy_imports.apache_beam
        return (
            beam.Create(chunks)
            | beam.Reshuffle()  # else one worker gets all
            | beam.Map(encode)
        )


def encode(chunk: Chunk) -> tuple[str, dict[str, Any]]:
    """Key and example of a chunk.

    Raises:
        ValueError, FileNotFoundError: a frame or depth file is unreadable;
            the line names it. Not with `skip_corrupt`.
    """
    scene, frames, depths, skipped = chunk.scene, [], [], []
    size = chunk.image_size or scene.image_size
    for index in range(len(scene)):
        try:
            frame = _frame(chunk, index)
            depth = _depth(scene, index, chunk.image_size)
        except _UNREADABLE as error:
            if not chunk.skip_corrupt:
                raise
            _LOG.warning("left out: %s", error)
            skipped.append(str(error))
            continue
        if depth is not None:
            depths.append({"frame": len(frames), "depth": depth})
        frames.append(frame)
    return chunk.key, {
        "sequence": scene.name,
        "first_frame": chunk.first_frame,
        "image_size": np.array(size, np.int64),
        "intrinsics": _resized_intrinsics(
            scene.intrinsics, scene.image_size, size
        ),
        "frames": frames,
        "depths": depths,
        "depth_rounding": chunk.depth_rounding if depths else "",
        "skipped": skipped,
    }


def _frame(chunk: Chunk, index: int) -> dict[str, Any]:
    scene, image_size = chunk.scene, chunk.image_size
    file = scene.frames[index]
    pixels = images.load_image(file)  # also where the file is kept: a check
    if pixels.shape[:2] != scene.image_size:
        raise ValueError(
            f"{file}: {pixels.shape[1]}x{pixels.shape[0]} pixels, but the "
            f"sequence has {scene.image_size[1]}x{scene.image_size[0]}"
        )
    if image_size in (None, scene.image_size):
        content = file.read_bytes()
    else:
        content = _jpeg(pixels, image_size)
    unknown_pose = np.full((4, 4), np.nan)
    return {
        "image": io.BytesIO(content),
        "number": (
            scene.frame_numbers[index]
            if scene.frame_numbers
            else chunk.first_frame + index
        ),
        "timestamp": (
            -1 if scene.timestamps is None else int(scene.timestamps[index])
        ),
        "world_from_camera": (
            unknown_pose if scene.poses is None else scene.poses[index]
        ),
        "is_target": scene.targets is None or scene.targets[index],
    }


def _depth(
    scene: Scene, index: int, image_size: tuple[int, int] | None
) -> io.BytesIO | None:
    depth = scene.depth(index)
    if depth is None:
        return None
    if image_size is not None:
        depth = resize_depth(depth, image_size)
    codes = np.clip(np.round(depth * CODES_PER_METRE), 0, 65535)
    content = io.BytesIO()
    Image.fromarray(codes.astype(np.uint16)).save(content, "PNG")
    content.seek(0)
    return content


def resize_depth(depth: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Each measurement moves to the pixel it falls in; the nearest wins.

    Args:
        depth: [H, W] metres, 0 = none; sparse or dense.
        image_size: height and width of the result.

    Returns:
        float32 [h, w]; nothing is interpolated.
    """
    rows, columns = np.nonzero(depth)
    scales = np.divide(image_size, depth.shape)
    # Pixel centres are at integers (`scdepth_tf.geometry`).
    rows_to, columns_to = (
        np.clip(np.round((old + 0.5) * scale - 0.5).astype(int), 0, size - 1)
        for old, scale, size in zip(
            (rows, columns), scales, image_size, strict=True
        )
    )
    resized = np.full(image_size, np.inf, np.float32)
    np.minimum.at(resized, (rows_to, columns_to), depth[rows, columns])
    return np.where(np.isinf(resized), np.float32(0), resized)


def _jpeg(pixels: np.ndarray, image_size: tuple[int, int]) -> bytes:
    """Antialiased bilinear, as training resizes, then JPEG."""
    height, width = image_size
    resized = Image.fromarray(pixels).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    content = io.BytesIO()
    resized.save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


def _resized_intrinsics(
    intrinsics: np.ndarray, old: tuple[int, int], new: tuple[int, int]
) -> np.ndarray:
    """Intrinsics [3, 3] of the resized image; pixel centres are at integers,
    so that the principal point scales about (−0.5, −0.5).
    """
    y, x = np.divide(new, old)
    scale = np.array(
        [[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], np.float64
    )
    return scale @ intrinsics


def _features() -> tfds.features.FeaturesDict:
    documented = tfds.features.Documentation
    matrix = {"dtype": np.float64, "encoding": "bytes"}
    return tfds.features.FeaturesDict(
        {
            "sequence": tfds.features.Text(
                doc="Camera of a recording: what its frames have in common."
            ),
            "first_frame": tfds.features.Scalar(
                np.int64, doc="Index of the first frame in the sequence."
            ),
            "image_size": tfds.features.Tensor(
                shape=(2,),
                dtype=np.int64,
                doc=documented("Height and width of the frames, pixels."),
            ),
            "intrinsics": tfds.features.Tensor(
                shape=(3, 3),
                **matrix,
                doc="K of every frame here: fx 0 cx / 0 fy cy / 0 0 1, in "
                "pixels of the stored frames; pixel centres are at integers.",
            ),
            "frames": tfds.features.Sequence(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), doc="RGB frame."
                    ),
                    "number": tfds.features.Scalar(
                        np.int64,
                        doc="Frame number; a step of more than 1 is a gap.",
                    ),
                    "timestamp": tfds.features.Scalar(
                        np.int64,
                        doc="Nanoseconds by the recorder's clock; -1 unknown.",
                    ),
                    "world_from_camera": tfds.features.Tensor(
                        shape=(4, 4),
                        **matrix,
                        doc="Pose, translation in metres; the camera has X "
                        "right, Y down, Z forward; NaN where unknown.",
                    ),
                    "is_target": tfds.features.Scalar(
                        np.bool_,
                        doc="Whether the frame may be the middle of a "
                        "triplet; others are there as neighbours.",
                    ),
                }
            ),
            "depths": tfds.features.Sequence(
                {
                    "frame": tfds.features.Scalar(
                        np.int64, doc="Which of `frames`, from 0."
                    ),
                    "depth": tfds.features.Image(
                        shape=(None, None, 1),
                        dtype=np.uint16,
                        encoding_format="png",
                        doc="Depth along the camera's Z in 1/256 metres; 0 "
                        "where unknown.",
                    ),
                }
            ),
            "depth_rounding": tfds.features.Text(
                doc="Pixel of a lidar return: `eigen` is round(u) - 1 as in "
                "the published Eigen evaluation, `exact` is round(u)."
            ),
            "skipped": tfds.features.Sequence(
                tfds.features.Text(),
                doc="What was left out as unreadable, and why.",
            ),
        }
    )
