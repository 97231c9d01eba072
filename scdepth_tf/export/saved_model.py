"""Both networks as a SavedModel: raw images in, no code of ours needed.

Signatures, and what they take and give for B images of one size:

    serving_default  image uint8 [B, H, W, 3]
                     -> depth, disparity float32 [B, H, W, 1]
    serving_jpeg     image_bytes string [B], JPEG or PNG files -> the same
    pose             target, source uint8 [B, H, W, 3]
                     -> source_from_target float32 [B, 4, 4]
    pose_jpeg        target_bytes, source_bytes string [B] -> the same
    metadata         request string [B], whatever it says
                     -> metadata string [B], JSON

An image is resized to the network's size as in training; disparity, not
depth, is resized back to the image's. Requests beyond the limits below are
answered with an error, encoded images before they are decoded.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

import scdepth_tf
from scdepth_tf import stack
from scdepth_tf.files import replace_folder, write_whole
from scdepth_tf.nets.depth_net import DepthNet
from scdepth_tf.nets.layers import check_image_size

if TYPE_CHECKING:
    from scdepth_tf.model import SCDepth

MIN_SIDE = 32
"""Pixels: the side of what the last encoder feature sees as one."""
MAX_SIDE = 16384
"""Pixels: bounds the matrices of the resize."""
MAX_PIXELS = 2**24
"""Of all images of a request: two of 4K, or a photo of 16 megapixels."""
MAX_BATCH = 32
"""Images a request: bounds the memory of the network."""

MODEL_FILE = "saved_model.pb"
METADATA_FILE = Path("assets.extra", "scdepth.json")
"""`assets.extra` is the folder that SavedModel loaders leave to others."""
METADATA_FORMAT = 1

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

_log = logging.getLogger(__name__)


def export_saved_model(
    model: SCDepth,
    path: str | Path,
    image_size: tuple[int, int],
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a model as a SavedModel that TensorFlow Serving can load.

    Args:
        model: trained.
        path: folder to make, whole or not at all. TensorFlow Serving wants a
            number as its name: `models/depth/1`.
        image_size: height and width that the networks work at, multiples of
            32; requests may have any size.
        metadata: JSON values to add to the description, for example
            training_data, commit, metrics.
        overwrite: replace a SavedModel at `path`.

    Returns:
        `path`.

    Raises:
        ValueError: the image size, weights that are not finite, a depth
            network that is no `DepthNet`, metadata that are not JSON; `path`
            exists or cannot be written.
    """
    check_image_size(image_size)
    _check_networks(model)
    description = _describe(model, image_size, metadata or {})
    with replace_folder(path, MODEL_FILE if overwrite else None) as unfinished:
        server = _Server(model, image_size, description)
        try:
            with _only_warnings():
                tf.saved_model.save(
                    server, str(unfinished), signatures=server.signatures()
                )
        except tf.errors.OpError as error:
            # "{{node}} its path; No space left on device [Op:SaveV2]"
            reason = error.message.splitlines()[0].rpartition("; ")[2]
            raise ValueError(
                f"cannot write {path}: {reason.partition(' [Op:')[0]}; is "
                "there room on the disk?"
            ) from error
        write_whole(unfinished / METADATA_FILE, description)
    _log.info("wrote %s", path)
    return Path(path)


@contextlib.contextmanager
def _only_warnings() -> Iterator[None]:
    """Saving notes, at level INFO, how it renames what nobody sees."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


class _Server(tf.Module):
    """What the signatures compute."""

    def __init__(
        self, model: SCDepth, image_size: tuple[int, int], description: str
    ) -> None:
        super().__init__()
        # The variables alone: the Keras model would bring its classes along.
        networks = (model.depth_net, model.pose_net)
        self.weights = stack.tensorflow_variables(
            w for net in networks for w in net.weights
        )
        self._source_from_target = model.source_from_target
        self._disparity = model.depth_net.disparity
        self._image_size = image_size
        self._description = description

    def signatures(self) -> dict[str, Any]:
        """Name -> function of tensors by name to tensors by name."""

        def from_images(image):
            return self._depth(_check_images(image))

        def from_files(image_bytes):
            return self._depth(_decode(image_bytes))

        def from_pairs(target, source):
            return self._motion(_check_images(target), _check_images(source))

        def from_pairs_of_files(target_bytes, source_bytes):
            return self._motion(_decode(target_bytes), _decode(source_bytes))

        def describe(request):
            text = tf.fill(tf.shape(request), self._description)
            return {"metadata": text}

        images = ((None, None, None, 3), tf.uint8)
        files = ((None,), tf.string)
        return {
            "serving_default": _signature(from_images, image=images),
            "serving_jpeg": _signature(from_files, image_bytes=files),
            "pose": _signature(from_pairs, target=images, source=images),
            "pose_jpeg": _signature(
                from_pairs_of_files, target_bytes=files, source_bytes=files
            ),
            # TensorFlow Serving turns down signatures without an input.
            "metadata": _signature(describe, request=files),
        }

    def _depth(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        disparity = self._disparity(self._prepare(images))
        disparity = resize(disparity, tf.unstack(tf.shape(images)[1:3]))
        return {"depth": 1.0 / disparity, "disparity": disparity}

    def _motion(
        self, target: tf.Tensor, source: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        sizes = tf.stack([tf.shape(target), tf.shape(source)])
        target = _require(
            tf.reduce_all(sizes[0] == sizes[1]),
            "target and source must have the same size and number, got"
            " (batch, height, width, channels)",
            sizes,
            then=target,
        )
        return {
            "source_from_target": self._source_from_target(
                self._prepare(target), self._prepare(source)
            )
        }

    def _prepare(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 of any size to what the networks see."""
        pixels = resize(tf.cast(images, tf.float32), self._image_size)
        pixels.set_shape([None, *self._image_size, 3])
        # The weights of the interpolation add up to 1 only within rounding.
        return tf.clip_by_value(pixels / 255.0, 0.0, 1.0)


def _signature(function, **inputs: tuple[tuple, tf.DType]) -> Any:
    specs = [
        tf.TensorSpec(shape, dtype, name)
        for name, (shape, dtype) in inputs.items()
    ]
    return tf.function(function, input_signature=specs, autograph=False)


# === Requests that are refused ===


def _require(
    condition: tf.Tensor, message: str, got: tf.Tensor, then: tf.Tensor
) -> tf.Tensor:
    """`then`, once the condition holds; an InvalidArgumentError otherwise.

    The plain op: `tf.debugging.Assert` adds a conditional for some types,
    which other readers of SavedModels stumble on.
    """
    check = tf.raw_ops.Assert(
        condition=condition, data=[message, got], summarize=16
    )
    with tf.control_dependencies([check]):
        return tf.identity(then)


def _check_images(images: tf.Tensor) -> tf.Tensor:
    """Refuses [B, H, W, 3] that are empty, tiny, huge or not of 3 channels.

    TensorFlow Serving does not compare requests with the signature's shape,
    and TensorFlow takes its last number for granted: it has to be counted.
    """
    size = tf.shape(images)[:3]
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    values = tf.size(images, out_type=tf.int64)
    images = _require(
        values == 3 * pixels,
        "expected images of 3 channels (red, green, blue), got",
        values // tf.maximum(pixels, 1),
        then=images,
    )
    return _check_size(size, then=images)


def _check_size(size: tf.Tensor, then: tf.Tensor) -> tf.Tensor:
    """Refuses a batch, height and width [3] that are beyond the limits."""
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    got = ", got (batch, height, width)"
    for condition, message in (
        (size[0] >= 1, "expected at least one image"),
        (size[0] <= MAX_BATCH, f"expected at most {MAX_BATCH} images"),
        (
            tf.reduce_all(size[1:] >= MIN_SIDE),
            f"expected images of at least {MIN_SIDE} x {MIN_SIDE} pixels",
        ),
        (
            tf.reduce_all(size[1:] <= MAX_SIDE),
            f"expected images of at most {MAX_SIDE} pixels a side",
        ),
        (
            pixels <= MAX_PIXELS,
            f"expected at most {MAX_PIXELS} pixels in all images together",
        ),
    ):
        then = _require(condition, message + got, size, then)
    return then


def _decode(files: tf.Tensor) -> tf.Tensor:
    """JPEG or PNG files [B] to uint8 [B, H, W, 3], after a look at what
    their headers say of their size: a few bytes can claim gigabytes.
    """
    count = tf.shape(files)
    files = _require(
        (count[0] >= 1) & (count[0] <= MAX_BATCH),
        f"expected 1 to {MAX_BATCH} images, got",
        count,
        then=files,
    )
    size = tf.TensorSpec([2], tf.int32)
    sizes = tf.map_fn(_size_in_header, files, fn_output_signature=size)
    files = _require(
        tf.reduce_all(sizes == sizes[:1]),
        "the images of one request must have one size, got (height, width)",
        sizes,
        then=files,
    )
    files = _check_size(tf.concat([count, sizes[0]], axis=0), then=files)
    return tf.map_fn(
        lambda file: tf.io.decode_image(file, 3, expand_animations=False),
        files,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )


def _size_in_header(file: tf.Tensor) -> tf.Tensor:
    """Height and width [2] int32 of one file, undecoded."""
    is_jpeg = tf.strings.substr(file, 0, len(_JPEG)) == _JPEG
    is_png = tf.strings.substr(file, 0, len(_PNG)) == _PNG
    length = tf.strings.length(file)
    file = _require(
        (is_jpeg | is_png) & (length >= 24),
        "expected the bytes of a JPEG or PNG file, got another kind of this"
        " length",
        length,
        then=file,
    )
    return tf.cond(
        is_jpeg,
        lambda: tf.image.extract_jpeg_shape(file)[:2],
        lambda: _png_size(file),
    )


def _png_size(file: tf.Tensor) -> tf.Tensor:
    """From IHDR, by the standard the first chunk: 4-byte width and height
    after the signature, the chunk's length and its name.
    """
    fields = tf.strings.substr(file, 16, 8)
    width_height = tf.io.decode_raw(fields, tf.int32, little_endian=False)
    return tf.ensure_shape(width_height, [2])[::-1]


# === Resizing ===


def resize(
    images: tf.Tensor, size: tuple[int | tf.Tensor, int | tf.Tensor]
) -> tf.Tensor:
    """Bilinear resize with antialiasing, half-pixel centres.

    As `tf.image.resize(..., antialias=True)`, with which the networks were
    trained, to 3e-6 of the range. Two products with the matrices of the
    filter, since that one's ScaleAndTranslate is an op that OpenVINO, for
    one, cannot read.

    Args:
        images: [B, H, W, C] float32.
        size: height and width of the result.

    Returns:
        [B, h, w, C] float32 in the range of the input.
    """
    batch, height, width, _ = tf.unstack(tf.shape(images))
    channels = images.shape[3]
    rows = _triangle_filter(height, size[0])
    columns = _triangle_filter(width, size[1])
    # Channels go before columns: matrices of three columns are slow.
    x = rows @ tf.reshape(images, [batch, height, width * channels])
    x = tf.reshape(x, [batch, size[0], width, channels])
    x = tf.transpose(x, [0, 1, 3, 2])
    x = tf.reshape(x, [batch * size[0] * channels, width])
    x = tf.matmul(x, columns, transpose_b=True)
    x = tf.reshape(x, [batch, size[0], channels, size[1]])
    return tf.transpose(x, [0, 1, 3, 2])


def _triangle_filter(size: tf.Tensor, new_size: int | tf.Tensor) -> tf.Tensor:
    """[new_size, size]: the weights of the old samples in each new one."""
    scale = tf.cast(size, tf.float32) / tf.cast(new_size, tf.float32)
    centres = (tf.cast(tf.range(new_size), tf.float32) + 0.5) * scale
    samples = tf.cast(tf.range(size), tf.float32) + 0.5
    distances = tf.abs(centres[:, None] - samples) / tf.maximum(scale, 1.0)
    weights = tf.maximum(1.0 - distances, 0.0)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)


# === What the model says about itself ===


def read_description(path: str | Path) -> dict[str, Any]:
    """What a SavedModel says about itself.

    Raises:
        FileNotFoundError: the folder is no SavedModel of ours.
    """
    file = Path(path) / METADATA_FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"{path} does not describe itself (no {METADATA_FILE}); `scdepth "
            "export RUN --out DIR --format savedmodel` writes SavedModels "
            "that do"
        )
    return json.loads(file.read_text(encoding="utf-8"))


def _describe(
    model: SCDepth, image_size: tuple[int, int], extra: Mapping[str, Any]
) -> str:
    depth_net = model.depth_net
    networks = depth_net.get_config()
    description = {
        "format": METADATA_FORMAT,
        "kind": "depth and pose",
        "producer": f"scdepth_tf {scdepth_tf.__version__}",
        "input": {
            "size": list(image_size),
            "color": "RGB",
            "range": [0, 255],
            "resize": "bilinear, antialiased, half-pixel centres",
            "limits": {
                "min_side": MIN_SIDE,
                "max_side": MAX_SIDE,
                "max_pixels": MAX_PIXELS,
                "max_batch": MAX_BATCH,
            },
        },
        "output": {
            "size": "the image's; disparity is resized, depth = 1 / disparity",
            "disparity_range": [
                depth_net.min_disparity,
                depth_net.max_disparity,
            ],
            "is_metric": False,
            "unit": "scene units: one unknown scale for all images",
            "pose": "source_from_target takes points of the target camera"
            " (x right, y down, z forward) to the source camera",
        },
        "network": {
            **{k: networks[k] for k in ("encoder", "decoder", "upsampling")},
            "pose_encoder": model.pose_net.get_config()["encoder"],
        },
    }
    redefined = description.keys() & extra.keys()
    if redefined:
        raise ValueError(
            "these keys describe the model itself and cannot be given: "
            f"{', '.join(sorted(redefined))}; rename them"
        )
    try:
        return json.dumps({**description, **extra}, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the metadata of a SavedModel must be JSON: {error}; give plain"
            " numbers, strings, lists and dicts"
        ) from error


def _check_networks(model: SCDepth) -> None:
    if not isinstance(model.depth_net, DepthNet):
        raise ValueError(
            "only a DepthNet can be exported, the depth network is a "
            f"{type(model.depth_net).__name__}"
        )
    for network in (model.depth_net, model.pose_net):
        _check_finite(network)


def _check_finite(network: keras.Model) -> None:
    for weight in network.weights:
        if not np.isfinite(weight.numpy()).all():
            raise ValueError(
                f"{stack.path(weight)} is not finite: the training diverged;"
                " export an earlier checkpoint"
            )
