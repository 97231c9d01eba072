"""The SavedModel: the Keras model's numbers, on whatever a request brings."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import scdepth_tf as sd
from scdepth_tf import cli
from scdepth_tf.export import export_saved_model
from scdepth_tf.export.saved_model import (
    MAX_BATCH,
    MAX_PIXELS,
    MAX_SIDE,
    read_description,
)
from tests.export.conftest import IMAGE_SIZE
from tests.small_depth_net import frames, spread_logits

slow = pytest.mark.skipif(
    not os.environ.get("SCDEPTH_SLOW_TESTS"), reason="SCDEPTH_SLOW_TESTS unset"
)


@pytest.fixture(scope="module")
def model(depth_net):
    keras.utils.set_random_seed(1)
    pose_net = sd.PoseNet("optical_flow")
    motion = pose_net.network.get_layer("motion")
    # Fresh weights say "no motion", which hides every error.
    motion.set_weights([w + 0.1 for w in motion.get_weights()])
    return sd.SCDepth(depth_net, pose_net)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Made as a user makes it, of a preset."""
    folder = tmp_path_factory.mktemp("server")
    model.save_to_preset(
        folder / "preset", image_size=IMAGE_SIZE, trained_on="blocks"
    )
    command = ["export", str(folder / "preset"), "--format", "savedmodel"]
    path = folder / "models" / "depth" / "1"
    assert cli.main([*command, "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def serve(folder):
    """Signature name and arrays to the answer, as arrays."""
    loaded = tf.saved_model.load(str(folder))

    def serve(signature, **request):
        answer = loaded.signatures[signature](
            **{name: tf.constant(value) for name, value in request.items()}
        )
        return {name: tensor.numpy() for name, tensor in answer.items()}

    return serve


def seen_by_networks(images):
    """TensorFlow's own antialiased resize, with which training resizes."""
    pixels = tf.image.resize(images, IMAGE_SIZE, antialias=True)
    return tf.clip_by_value(pixels / 255, 0, 1)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    picture = (
        image if isinstance(image, Image.Image) else Image.fromarray(image)
    )
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "size", [IMAGE_SIZE, (100, 151), (37, 53), (33, 700), (480, 40)]
)
def test_depth_is_that_of_the_keras_model_at_the_images_size(
    model, serve, size
):
    images = np.stack(list(frames(2, size, seed=1)))
    answer = serve("serving_default", image=images)
    disparity = tf.image.resize(
        1 / model(seen_by_networks(images)), size, antialias=True
    ).numpy()
    assert np.ptp(np.log(disparity)) > 1, "the network sees no structure"
    assert answer["depth"].shape == (2, *size, 1)
    np.testing.assert_allclose(answer["disparity"], disparity, rtol=1e-4)
    np.testing.assert_allclose(answer["depth"], 1 / disparity, rtol=1e-4)


def test_image_of_the_networks_size_is_not_interpolated_at_all(model, serve):
    images = np.stack(list(frames(2, IMAGE_SIZE, seed=2)))
    expected = model(images / np.float32(255))
    answer = serve("serving_default", image=images)
    np.testing.assert_allclose(answer["depth"], expected, rtol=2e-5)


def test_images_of_a_batch_do_not_see_each_other(serve):
    images = np.stack(list(frames(3, (50, 70), seed=3)))
    together = serve("serving_default", image=images)["depth"]
    for image, depth in zip(images, together, strict=True):
        alone = serve("serving_default", image=image[np.newaxis])["depth"][0]
        np.testing.assert_allclose(alone, depth, rtol=1e-4)


def test_files_give_the_depth_of_their_pixels(serve):
    images = list(frames(2, (90, 61), seed=4))
    jpegs = [encoded(image, "JPEG", quality=90) for image in images]
    for files, pixels in (
        ([encoded(image) for image in images], images),
        (jpegs, [tf.io.decode_jpeg(file).numpy() for file in jpegs]),
        (
            [encoded(images[0]), jpegs[0]],
            [images[0], tf.io.decode_jpeg(jpegs[0])],
        ),
    ):
        answer = serve("serving_jpeg", image_bytes=files)
        expected = serve("serving_default", image=np.stack(pixels))
        np.testing.assert_array_equal(answer["depth"], expected["depth"])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16"])
def test_every_kind_of_png_is_read_as_colour(serve, mode):
    picture = Image.fromarray(next(frames(1, (48, 40), seed=5)))
    if mode == "I;16":
        grey = np.asarray(picture.convert("L"))
        file = encoded(Image.fromarray(grey.astype(np.uint16) * 257))
        pixels = np.stack([grey] * 3, axis=-1)
    else:
        picture = picture.convert(mode)
        file, pixels = encoded(picture), np.asarray(picture.convert("RGB"))
    answer = serve("serving_jpeg", image_bytes=[file])
    expected = serve("serving_default", image=pixels[np.newaxis])
    np.testing.assert_array_equal(answer["depth"], expected["depth"])


def test_pose_is_that_of_the_keras_model(model, serve):
    target = np.stack(list(frames(2, (80, 130), seed=6)))
    source = np.roll(target, 3, axis=2)
    expected = model.source_from_target(
        seen_by_networks(target), seen_by_networks(source)
    ).numpy()
    assert np.abs(expected - np.eye(4)).max() > 1e-3, "no motion to get wrong"
    answer = serve("pose", target=target, source=source)
    np.testing.assert_allclose(
        answer["source_from_target"], expected, atol=1e-5
    )
    of_files = serve(
        "pose_jpeg",
        target_bytes=[encoded(image) for image in target],
        source_bytes=[encoded(image) for image in source],
    )
    np.testing.assert_array_equal(
        of_files["source_from_target"], answer["source_from_target"]
    )


def black(*shape):
    return np.zeros(shape, np.uint8)


def png_that_claims(width, height):
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk + checksum


def jpeg_that_claims(width, height):
    file = bytearray(encoded(black(64, 64, 3), "JPEG"))
    start = file.index(b"\xff\xc0") + 5
    file[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(file)


JPEG = encoded(black(64, 64, 3), "JPEG")

HOSTILE_IMAGES = {
    "no image": (black(0, 64, 96, 3), "at least one image"),
    "no pixels": (black(1, 0, 0, 3), "at least 32 x 32"),
    "1 x 1": (black(1, 1, 1, 3), "at least 32 x 32"),
    "a strip": (black(1, 32, MAX_SIDE + 1, 3), f"at most {MAX_SIDE} pixels a"),
    "huge": (black(1, 4097, 4096, 3), f"at most {MAX_PIXELS} pixels"),
    "many": (black(MAX_BATCH + 1, 32, 32, 3), f"at most {MAX_BATCH} images"),
    "grey": (black(1, 64, 96, 1), r"3 channels .*, got\] \[1\]"),
    "RGBA": (black(2, 64, 96, 4), r"3 channels .*, got\] \[4\]"),
}

# Where both limits are passed, either may be named.
AT_MOST = f"at most ({MAX_SIDE}|{MAX_PIXELS}) pixels"

HOSTILE_FILES = {
    "no file": ([], "1 to 32 images"),
    "many files": ([JPEG] * (MAX_BATCH + 1), "1 to 32 images"),
    "empty": ([b""], "JPEG or PNG"),
    "text": ([b"<html>not found, sorry</html>"], "JPEG or PNG"),
    "only a signature": ([b"\x89PNG\r\n\x1a\n"], "JPEG or PNG"),
    "GIF": ([encoded(black(64, 64), "GIF")], "JPEG or PNG"),
    "BMP": ([encoded(black(64, 64, 3), "BMP")], "JPEG or PNG"),
    "cut JPEG": ([JPEG[:-40]], "JPEG"),
    "cut PNG": ([encoded(next(frames(1, (64, 64))))[:-300]], "PNG"),
    "JPEG signature and noise": ([b"\xff\xd8\xff" + bytes(range(256))], "JPEG"),
    "1 x 1 file": ([encoded(black(1, 1, 3))], "at least 32 x 32"),
    "two sizes": ([JPEG, encoded(black(64, 65, 3))], "have one size"),
    "PNG bomb": ([png_that_claims(2**31 - 1, 2**31 - 1)], AT_MOST),
    "PNG of negative size": ([png_that_claims(2**32 - 1, 64)], "at least 32"),
    "wide PNG bomb": ([png_that_claims(16384, 16384)], AT_MOST),
    "JPEG bomb": ([jpeg_that_claims(65500, 65500)], AT_MOST),
}


@pytest.mark.parametrize("name", HOSTILE_IMAGES)
def test_hostile_images_are_refused_with_the_reason(serve, name):
    images, reason = HOSTILE_IMAGES[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        serve("serving_default", image=images)
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        serve("pose", target=images, source=images)


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_hostile_files_are_refused_with_the_reason(serve, name):
    files, reason = HOSTILE_FILES[name]
    files = np.array(files, object)
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        serve("serving_jpeg", image_bytes=files)


@pytest.mark.parametrize(
    "image", [black(64, 96, 3), np.zeros((1, 64, 96, 3), np.float32)]
)
def test_other_types_and_ranks_do_not_fit_the_signature(serve, image):
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError, ValueError)):
        serve("serving_default", image=image)


def test_pair_of_two_sizes_is_refused(serve):
    with pytest.raises(tf.errors.InvalidArgumentError, match="same size"):
        serve("pose", target=black(1, 64, 96, 3), source=black(1, 64, 97, 3))


def test_it_still_serves_after_hostile_requests(serve):
    image = next(frames(1, (64, 64)))[np.newaxis]
    before = serve("serving_default", image=image)["depth"]
    for images, _ in HOSTILE_IMAGES.values():
        with pytest.raises(tf.errors.InvalidArgumentError):
            serve("serving_default", image=images)
    after = serve("serving_default", image=image)["depth"]
    np.testing.assert_array_equal(before, after)


def test_model_says_what_it_is_in_a_file_and_to_a_client(folder, serve):
    description = read_description(folder)
    assert description["input"]["size"] == list(IMAGE_SIZE)
    assert description["output"]["is_metric"] is False
    assert description["producer"] == f"scdepth_tf {sd.__version__}"
    assert description["training_data"] == "blocks"
    assert description["network"]["encoder"] == "efficientnet_lite0"
    answers = serve("metadata", request=["", "again"])["metadata"]
    assert [json.loads(answer) for answer in answers] == [description] * 2


OTHER_PROCESS = """
    import sys

    for name in ("scdepth_tf", "keras", "tf_keras"):
        sys.modules[name] = None  # cannot be imported

    import numpy as np
    import tensorflow as tf
    from tensorflow.python.tools import saved_model_cli

    folder, image, outdir = sys.argv[1:]

    def command(*arguments):
        sys.argv[1:] = arguments
        try:
            saved_model_cli.main()
        except SystemExit as done:
            assert not done.code, done.code

    command("show", "--dir", folder, "--all")
    command(
        "run", "--dir", folder, "--tag_set", "serve",
        "--signature_def", "serving_default",
        "--inputs", f"image={image}", "--outdir", outdir,
    )
    loaded = tf.saved_model.load(folder)
    answer = loaded.signatures["serving_default"](image=np.load(image))
    np.save(f"{outdir}/loaded.npy", answer["depth"])
"""


def test_process_with_tensorflow_alone_serves_it(folder, serve, tmp_path):
    """By `saved_model_cli`, which feeds a session as TensorFlow Serving does,
    and by `tf.saved_model.load`; our package and Keras cannot be imported.
    """
    image = next(frames(1, (70, 110), seed=7))[np.newaxis]
    np.save(tmp_path / "image.npy", image)
    program = [sys.executable, "-c", textwrap.dedent(OTHER_PROCESS)]
    arguments = [folder, tmp_path / "image.npy", tmp_path]
    done = subprocess.run(
        [*program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "inputs['image']",
        "outputs['source_from_target']",
        "DT_UINT8",
    ):
        assert line in done.stdout
    expected = serve("serving_default", image=image)["depth"]
    for name in ("depth.npy", "loaded.npy"):
        depth = np.load(tmp_path / name)
        np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_openvino_reads_it_and_finds_the_same_depth(folder, serve):
    openvino = pytest.importorskip("openvino")
    # By default it computes in bfloat16 where the processor has that.
    compiled = openvino.Core().compile_model(
        str(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    for size in ((70, 111), IMAGE_SIZE):
        images = np.stack(list(frames(2, size, seed=8)))
        expected = serve("serving_default", image=images)
        answer = compiled(images)
        for name in ("depth", "disparity"):
            np.testing.assert_allclose(answer[name], expected[name], rtol=1e-3)


@pytest.mark.parametrize(
    ("depth_encoder", "decoder", "upsampling", "pose_encoder"),
    [
        pytest.param(
            "resnet18", "reference", "nearest", "optical_flow", marks=slow
        ),
        pytest.param(
            "resnet50", "reference", "bilinear", "resnet18", marks=slow
        ),
        pytest.param("resnet18", "mobile", None, "resnet50", marks=slow),
        pytest.param(
            "efficientnet_lite0",
            "reference",
            None,
            "efficientnet_lite0",
            marks=slow,
        ),
    ],
)
def test_all_networks_serve_the_keras_models_numbers(
    tmp_path, depth_encoder, decoder, upsampling, pose_encoder
):
    keras.utils.set_random_seed(0)
    model = sd.SCDepth(
        sd.DepthNet(depth_encoder, decoder, upsampling),
        sd.PoseNet(pose_encoder),
    )
    images = np.stack(list(frames(2, (75, 101), seed=9)))
    seen = seen_by_networks(images)
    spread_logits(model.depth_net.network, seen)
    path = export_saved_model(model, tmp_path / "saved", IMAGE_SIZE)
    signatures = tf.saved_model.load(str(path)).signatures
    served = signatures["serving_default"](image=tf.constant(images))
    disparity = tf.image.resize(1 / model(seen), (75, 101), antialias=True)
    np.testing.assert_allclose(served["disparity"], disparity, rtol=2e-4)
    pair = {"target": tf.constant(images), "source": tf.constant(images[::-1])}
    np.testing.assert_allclose(
        signatures["pose"](**pair)["source_from_target"],
        model.source_from_target(seen, seen[::-1]),
        atol=1e-5,
    )


def test_python_of_the_readme_runs(folder, model, monkeypatch):
    """The export as far as the refusal of what exists, the rest to its end."""
    monkeypatch.chdir(folder.parents[2])
    readme = Path(__file__).parents[2] / "export" / "README.md"
    _, text = readme.read_text().split("# Depth on a server")
    export, use = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    with pytest.raises(ValueError, match="models/depth/1 exists"):
        exec(export, {"model": model})
    names = {"images": np.stack(list(frames(2, (50, 60))))}
    exec(use, names)
    assert names["depth"].shape == (2, 50, 60, 1)


# === The folder ===


def test_what_exists_is_refused_before_any_work(folder, tmp_path, capsys):
    command = ["export", str(folder.parents[2] / "preset")]
    command += ["--format", "savedmodel", "--out"]
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for arguments, reason in (
        ([str(folder)], f"{folder} exists"),
        ([str(tmp_path / "mine"), "--overwrite"], "it has no saved_model.pb"),
        ([str(tmp_path / "file"), "--overwrite"], "it has no saved_model.pb"),
        ([str(tmp_path / "file" / "1")], "is no folder"),
    ):
        assert cli.main([*command, *arguments]) == 1
        error = capsys.readouterr().err
        assert error.startswith("scdepth: ") and error.count("\n") == 1
        assert reason in error
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_choices_are_one_line_and_leave_nothing(model, tmp_path):
    head = model.depth_net.network.get_layer("logits")
    weights = head.get_weights()
    for choices, reason in (
        ({"image_size": (60, 96)}, "divisible by 32"),
        ({"metadata": {"input": 1}}, "cannot be given: input"),
        ({"metadata": {"score": np.float32(1)}}, "must be JSON"),
    ):
        with pytest.raises(ValueError, match=reason) as caught:
            export_saved_model(
                model, tmp_path / "s", **{"image_size": IMAGE_SIZE, **choices}
            )
        assert "\n" not in str(caught.value)
    head.set_weights([weight * np.nan for weight in weights])
    try:
        with pytest.raises(ValueError, match=r"logits/kernel is not finite"):
            export_saved_model(model, tmp_path / "s", IMAGE_SIZE)
    finally:
        head.set_weights(weights)
    assert not list(tmp_path.iterdir())
