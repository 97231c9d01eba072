import re

import numpy as np
import pytest
from PIL import Image

from scdepth_tf.data import (
    find_unreadable,
    load_depth,
    load_image,
    load_instance,
)
from scdepth_tf.data.images import (
    common_size,
    load_cut,
    load_kitti_depth,
)


def noise(rng, size=(24, 32)):
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_image_is_named_when_opening(suffix, tmp_path, rng, truncate):
    frames = [tmp_path / f"{index}{suffix}" for index in range(3)]
    for frame in frames:
        Image.fromarray(noise(rng)).save(frame)
    truncate(frames[1])
    with pytest.raises(ValueError, match=f"1{suffix}.*truncated.*copy it"):
        common_size(frames)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_bytes_that_a_camera_appended_are_no_truncation(suffix, tmp_path, rng):
    frame = tmp_path / f"frame{suffix}"
    Image.fromarray(noise(rng)).save(frame)
    frame.write_bytes(frame.read_bytes() + b"maker note" * 20)
    assert common_size([frame]) == (24, 32)


def test_sixteen_bit_frame_is_refused_instead_of_clipped(tmp_path):
    frame = tmp_path / "frame.png"
    Image.fromarray(np.full((4, 5), 4000, np.uint16)).save(frame)
    with pytest.raises(ValueError, match=r"frame\.png.*8-bit"):
        common_size([frame])


def test_text_file_named_png_is_unreadable(tmp_path):
    frame = tmp_path / "frame.png"
    frame.write_text("not an image")
    with pytest.raises(ValueError, match=r"frame\.png: not a readable image"):
        common_size([frame])
    with pytest.raises(ValueError, match=r"frame\.png: not a readable image"):
        load_image(frame)


def test_empty_file_is_unreadable(tmp_path):
    frame = tmp_path / "frame.jpg"
    frame.touch()
    with pytest.raises(ValueError, match=r"frame\.jpg: not a readable image"):
        common_size([frame])


def test_broken_link_is_a_missing_file(tmp_path):
    frame = tmp_path / "frame.jpg"
    frame.symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(FileNotFoundError, match=r"frame\.jpg: no such file"):
        common_size([frame])


def test_other_size_names_both_frames(tmp_path, rng):
    frames = [tmp_path / "0.png", tmp_path / "1.png"]
    Image.fromarray(noise(rng, (24, 32))).save(frames[0])
    Image.fromarray(noise(rng, (24, 40))).save(frames[1])
    with pytest.raises(ValueError, match=r"1\.png: 40x24.*0\.png has 32x24"):
        common_size(frames)


def test_damage_in_the_middle_is_found_by_decoding(tmp_path, rng):
    frames = [tmp_path / f"{index}.png" for index in range(4)]
    for frame in frames:
        Image.fromarray(noise(rng)).save(frame)
    content = bytearray(frames[2].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    frames[2].write_bytes(content)
    common_size(frames)  # headers and ends are intact
    complaints = find_unreadable([*frames, tmp_path / "gone.png"])
    assert len(complaints) == 2
    assert "2.png: not a readable image" in complaints[0]
    assert "gone.png: no such file" in complaints[1]


def test_image_is_rgb_whatever_the_file_holds(tmp_path, rng):
    pixels = noise(rng)
    grey = np.repeat(pixels[..., :1], 3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(
        tmp_path / "rgba.png"
    )
    np.testing.assert_array_equal(load_image(tmp_path / "rgb.png"), pixels)
    np.testing.assert_array_equal(load_image(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(load_image(tmp_path / "rgba.png"), pixels)


def test_all_depth_files_agree(tmp_path):
    metres = np.array([[0.0, 1.5, 60.0], [2.25, 0.5, 0.0]], np.float32)
    np.savez(tmp_path / "a.npz", depth=metres.astype(np.float16))
    np.savez(tmp_path / "b.npz", velodyne_depth=metres[..., None])
    np.save(tmp_path / "c.npy", metres.astype(np.float64))
    Image.fromarray((metres * 1000).astype(np.uint16)).save(tmp_path / "d.png")
    for name in ("a.npz", "b.npz", "c.npy", "d.png"):
        depth = load_depth(tmp_path / name)
        assert depth.dtype == np.float32
        np.testing.assert_array_equal(depth, metres)
    Image.fromarray((metres * 256).astype(np.uint16)).save(tmp_path / "e.png")
    np.testing.assert_array_equal(load_kitti_depth(tmp_path / "e.png"), metres)


def test_invalid_depth_reads_as_none(tmp_path):
    values = np.array([[np.nan, np.inf, -1.0, 3.0]])
    np.save(tmp_path / "a.npy", values)
    codes = np.array([[0, 65535, 0, 3000]], np.uint16)
    Image.fromarray(codes).save(tmp_path / "a.png")
    for name in ("a.npy", "a.png"):
        np.testing.assert_array_equal(
            load_depth(tmp_path / name), np.float32([[0, 0, 0, 3]])
        )


def test_unusable_depth_is_named(tmp_path, truncate):
    np.savez(tmp_path / "key.npz", z=np.ones((2, 2)))
    np.save(tmp_path / "shape.npy", np.ones((2, 2, 2)))
    Image.fromarray(np.ones((2, 2), np.uint8)).save(tmp_path / "eight.png")
    np.savez(tmp_path / "cut.npz", depth=np.ones((9, 9)))
    truncate(tmp_path / "cut.npz")
    (tmp_path / "text.npy").write_text("no array")
    for name, complaint in {
        "key.npz": "expected an array named depth or velodyne_depth, got z",
        "shape.npy": "expected one depth map [H, W]",
        "eight.png": "expected a 16-bit greyscale depth .png",
        "cut.npz": "not a readable .npy or .npz file",
        "text.npy": "not a readable .npy or .npz file",
    }.items():
        with pytest.raises(ValueError, match=re.escape(f"{name}: {complaint}")):
            load_depth(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"gone\.npz: no such file"):
        load_depth(tmp_path / "gone.npz")


def test_instance_mask_comes_with_the_depth_that_has_one(tmp_path):
    mask = np.array([[0, 1], [2, 0]], np.uint8)
    np.savez(tmp_path / "with.npz", depth=np.ones((2, 2)), instance=mask)
    np.savez(tmp_path / "without.npz", depth=np.ones((2, 2)))
    np.testing.assert_array_equal(load_instance(tmp_path / "with.npz"), mask)
    assert load_instance(tmp_path / "without.npz") is None
    assert load_instance(tmp_path / "none.png") is None


def test_other_formats_under_a_false_name_are_refused(tmp_path, rng):
    """TensorFlow would fail on them in the middle of training."""
    frame = tmp_path / "frame.jpg"
    Image.fromarray(noise(rng)).save(frame, format="TIFF")
    with pytest.raises(ValueError, match=r"frame\.jpg.*neither JPEG nor PNG"):
        common_size([frame])


def test_png_with_wrong_checksums_is_refused(tmp_path):
    path = tmp_path / "frame.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(path)
    content = bytearray(path.read_bytes())
    content[2000:-2000] = bytes(len(content) - 4000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"frame\.png: not a readable image"):
        load_image(path)
    with pytest.raises(ValueError, match=r"frame\.png: not a readable image"):
        load_cut(path, (32, 32))
