"""Files of torch.save: read without torch, and without running them."""

import functools
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scdepth_tf.nets.torch_files import read_torch_file
from scdepth_tf.nets.weights import lite0_weights_file
from tests.nets import torch_writer

GOLDEN = Path(__file__).parent / "golden"
FORMATS = ("zip", "legacy")


@pytest.mark.parametrize("format", FORMATS)
def test_tensors_of_every_kind_are_those_that_pytorch_saved(format):
    state = read_torch_file(GOLDEN / f"state_{format}.pth")
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    expected = {
        "plain": base,
        "transposed": base.transpose(2, 1, 0),
        "slice": base[:, 1:, 2],
        "scalar": np.array(5),
        "empty": np.zeros((0, 3), np.float32),
        "double": np.array([0.1]),
        "half": np.array([1.5, -2], np.float16),
        "bytes": np.array([1, 255], np.uint8),
        "flags": np.array([True, False]),
        "parameter": np.ones(2, np.float32),
    }
    assert list(state) == list(expected)
    for name, array in expected.items():
        assert state[name].dtype == array.dtype, name
        np.testing.assert_array_equal(state[name], array, name)


@pytest.mark.parametrize("format", FORMATS)
def test_state_dict_of_a_lightning_checkpoint_is_read(format):
    """Its Namespace, paths, NumPy objects and optimizer are passed over."""
    state = read_torch_file(GOLDEN / f"checkpoint_{format}.pth")
    assert set(state) == {
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    np.testing.assert_array_equal(state["running_var"], [1, 1])


@pytest.mark.parametrize("legacy", [False, True])
def test_writer_of_the_tests_writes_what_the_reader_reads(legacy, tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = {"a": array, "b": array.T, "height": 192}
    path = torch_writer.save(tmp_path / "file.pth", state, legacy)
    read = read_torch_file(path)
    assert list(read) == ["a", "b"]
    np.testing.assert_array_equal(read["b"], array.T)


# === What is not rebuilt ===


class _Command:
    """A pickle that touches a file when loaded the ordinary way."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


class _Late:
    """The same in several steps: an attribute, then a call of it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (functools.partial(os.mkdir, self.marker), ())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", [_Command, _Late])
def test_code_in_a_file_is_not_run(kind, legacy, tmp_path):
    marker = tmp_path / "ran"
    path = torch_writer.save(tmp_path / "evil.pth", kind(marker), legacy)
    with pytest.raises(ValueError, match="is not rebuilt") as error:
        read_torch_file(path)
    assert "\n" not in str(error.value)
    content = {"state_dict": {"a": np.ones(1)}, "x": kind(marker)}
    content["state_dict"]["a"] = np.ones(1, np.float32)
    path = torch_writer.save(tmp_path / "hidden.pth", content, legacy)
    assert list(read_torch_file(path)) == ["a"]
    assert not marker.exists()


def test_the_evil_files_of_these_tests_are_evil(tmp_path):
    for index, kind in enumerate((_Command, _Late)):
        marker = tmp_path / str(index)
        pickle.loads(pickle.dumps(kind(marker)))
        assert marker.exists()


def test_what_is_no_tensor_is_named(tmp_path):
    path = torch_writer.save(
        tmp_path / "model.pth", {"net": np.random.default_rng}
    )
    with pytest.raises(ValueError, match="'net' is numpy") as error:
        read_torch_file(path)
    assert "is not loaded" in str(error.value)
    path = torch_writer.save(tmp_path / "model.pth", Path("whole/model"))
    with pytest.raises(ValueError, match="an object of pathlib") as error:
        read_torch_file(path)
    assert "save model.state_dict() anew" in str(error.value)


def test_file_without_tensors_says_what_it_has(tmp_path):
    content = {"epoch": 3, "model": {"a": np.ones(1, np.float32)}}
    path = torch_writer.save(tmp_path / "other.pth", content)
    with pytest.raises(ValueError, match=r"no tensors.* epoch, model"):
        read_torch_file(path)


@pytest.mark.parametrize(
    "opcodes",
    [
        # BUILD on what rebuilds tensors would set its attributes.
        b"ctorch._utils\n_rebuild_tensor_v2\n(dX\x01\x00\x00\x00aK\x01sb.",
        b"ccollections\nOrderedDict\n(NdX\x01\x00\x00\x00aK\x01stb.",
        b"cos\nsystem\n(dX\x01\x00\x00\x00aK\x01sb.",
        b"(I1\nd.",
        b"I1\n.",
        b"\x8a\xff.",
    ],
)
def test_a_pickle_cannot_change_the_reader(opcodes, tmp_path):
    path = tmp_path / "odd.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + opcodes)
    with pytest.raises(ValueError, match=r"odd\.pth is not"):
        read_torch_file(path)
    state = read_torch_file(GOLDEN / "state_zip.pth")
    assert state["plain"].shape == (2, 3, 4)


# === Damage ===


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (5, (2,), (1,)),
        (-1, (2,), (1,)),
        (0, (2, 2), (4, -1)),
        (0, (1 << 40,), (0,)),
        (0, (3,), (4,)),
        (0, (3,), ()),
        (0, (3.5,), (1,)),
    ],
)
def test_tensor_beyond_its_storage_is_refused(
    offset, shape, strides, legacy, tmp_path, monkeypatch
):
    original = torch_writer._Pickler.reducer_override

    def reach_beyond(self, value):
        rebuild = original(self, value)
        if rebuild is NotImplemented:
            return rebuild
        storage, *_, gradient, hooks = rebuild[1]
        return rebuild[0], (storage, offset, shape, strides, gradient, hooks)

    monkeypatch.setattr(torch_writer._Pickler, "reducer_override", reach_beyond)
    state = {"a": np.arange(6, dtype=np.float32)}
    path = torch_writer.save(tmp_path / "beyond.pth", state, legacy)
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_torch_file(path)


@pytest.mark.parametrize("name", ["state_zip.pth", "checkpoint_legacy.pth"])
def test_every_cut_of_a_file_is_refused(name, tmp_path):
    content = (GOLDEN / name).read_bytes()
    path = tmp_path / "cut.pth"
    for size in range(0, len(content), 29):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"cut\.pth is not"):
            read_torch_file(path)


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_bytes_never_crash_the_reader(format, tmp_path, rng):
    content = (GOLDEN / f"checkpoint_{format}.pth").read_bytes()
    path = tmp_path / "damaged.pth"
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_torch_file(path)
        except ValueError as error:
            assert "damaged.pth" in str(error)


def test_cut_published_file_is_refused(tmp_path):
    content = lite0_weights_file().read_bytes()
    path = tmp_path / "cut.pth"
    for size in (0, 1000, 100_000, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"cut\.pth is not"):
            read_torch_file(path)


def test_other_files_are_refused_with_their_first_bytes(tmp_path):
    page = tmp_path / "download.pth"
    page.write_text("<!DOCTYPE html><title>Too many downloads</title>")
    with pytest.raises(ValueError, match="starts with b'<!DOCTYPE"):
        read_torch_file(page)
    archive = tmp_path / "archive.pth"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("readme.txt", "hello")
    archive.write_bytes(content.getvalue())
    with pytest.raises(ValueError, match=r"without one data\.pkl"):
        read_torch_file(archive)
    with pytest.raises(FileNotFoundError, match=r"none\.pth: no such file"):
        read_torch_file(tmp_path / "none.pth")
