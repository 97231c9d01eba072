"""Videos and folders: what is read, and what is refused in one line."""

import av
import numpy as np
import pytest
from PIL import Image

from scdepth_tf.prepare.footage import check_same_camera, open_footage
from tests.prepare import clips


def read(path):
    footage = open_footage(path, 10)
    return footage, list(footage.frames())


def assert_shows(image, expected):
    """Equal but for the loss of compression, which is local."""
    assert image.shape == expected.shape
    difference = np.abs(image.astype(float) - expected)
    assert difference.mean() < 12  # another picture differs by about 60


def test_a_video_gives_its_frames_and_times(tmp_path):
    images = clips.glide(6)
    footage, frames = read(clips.write_video(tmp_path / "a.mp4", images))
    assert footage.expected_frames == 6
    assert footage.stored_size == (clips.HEIGHT, clips.WIDTH)
    assert not footage.warnings
    np.testing.assert_allclose([f.time for f in frames], np.arange(6) / 10)
    for frame, image in zip(frames, images, strict=True):
        assert_shows(frame.read(), image)


def test_times_of_a_variable_frame_rate_are_the_files_own(tmp_path):
    times = [0, 33, 66, 300, 350, 1000]
    path = clips.write_video(
        tmp_path / "a.mkv", clips.glide(6), milliseconds=times
    )
    _, frames = read(path)
    np.testing.assert_allclose(
        [frame.time for frame in frames], np.array(times) / 1000, atol=2e-3
    )


@pytest.mark.parametrize("turned", [90, -90, 180])
def test_a_phone_video_is_turned_as_players_turn_it(tmp_path, turned):
    images = clips.glide(3)
    path = clips.write_video(tmp_path / "a.mp4", images, turned=turned)
    footage, frames = read(path)
    expected = np.rot90(images[0], turned // 90)
    assert_shows(frames[0].read(), expected)
    shown = footage.orientation.show_size(footage.stored_size)
    assert shown == expected.shape[:2]


def test_odd_sizes_are_read(tmp_path):
    images = [clips.view(4 * i, size=(95, 161)) for i in range(3)]
    path = clips.write_video(tmp_path / "a.mp4", images, pixel_format="yuv444p")
    footage, frames = read(path)
    assert footage.stored_size == (95, 161)
    assert_shows(frames[1].read(), images[1])


def test_a_folder_is_read_in_natural_order_and_upright(tmp_path):
    images = clips.glide(11)
    for index, image in enumerate(images):
        stored = Image.fromarray(np.ascontiguousarray(np.rot90(image, 1)))
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned clockwise
        stored.save(tmp_path / f"{index}.png", exif=exif)
    (tmp_path / "notes.txt").write_text("not a picture")
    footage, frames = read(tmp_path)
    assert footage.stored_size == (clips.WIDTH, clips.HEIGHT)
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.read(), image)


def truncated(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def refused(tmp_path):
    """(path, what the line must say) for each way to be useless."""
    video = clips.write_video(tmp_path / "whole.mp4", clips.glide(5))
    yield tmp_path / "absent.mp4", "no such file or folder"
    (tmp_path / "zero.mp4").touch()
    yield tmp_path / "zero.mp4", "0 bytes"
    (tmp_path / "text.mp4").write_text("hello" * 100)
    yield tmp_path / "text.mp4", "not a video"
    yield clips.write_audio(tmp_path / "sound.m4a"), "has no video, only audio"
    yield truncated(video, 0.7), "truncated"
    (tmp_path / "empty").mkdir()
    yield tmp_path / "empty", "holds no pictures"
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "a.HEIC").touch()
    yield tmp_path / "phone", "convert them to .jpg"
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mov").touch()
    yield tmp_path / "films", "it holds videos"
    (tmp_path / "rgbd").mkdir()
    Image.fromarray(clips.view(0)).save(tmp_path / "rgbd" / "1.5.color.jpg")
    depth = np.full((32, 64), 1200, np.uint16)
    Image.fromarray(depth).save(tmp_path / "rgbd" / "1.5.depth.png")
    yield tmp_path / "rgbd", r"depth\.png: grey of more than 8 bits"
    Image.fromarray(clips.view(0)).save(tmp_path / "one.jpg")
    yield tmp_path / "one.jpg", "one picture is no footage"


@pytest.mark.parametrize("case", range(10))
def test_what_cannot_be_used_is_one_line_with_its_name(tmp_path, case):
    path, message = list(refused(tmp_path))[case]
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        open_footage(path, 10)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)


def test_a_video_cut_off_in_its_middle_is_read_so_far_and_said_so(tmp_path):
    """With its index in front, a truncated file can still be decoded."""
    path = clips.write_video(
        tmp_path / "a.mp4",
        clips.glide(60),
        options={"movflags": "faststart"},
    )
    footage, frames = read(truncated(path, 0.5))
    assert 10 < len(frames) < 50
    assert any("truncated" in warning for warning in footage.warnings)


def test_damage_inside_a_video_is_counted_and_survived(tmp_path):
    path = clips.write_video(tmp_path / "a.mkv", clips.glide(40))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    footage, frames = read(path)
    assert len(frames) > 5
    assert footage.warnings or any(frame.damaged for frame in frames)


def test_a_damaged_picture_is_named(tmp_path):
    for index, image in enumerate(clips.glide(3)):
        Image.fromarray(image).save(tmp_path / f"{index}.jpg")
    truncated(tmp_path / "1.jpg", 0.5)
    _, frames = read(tmp_path)
    with pytest.raises(ValueError, match=r"1\.jpg.*truncated"):
        frames[1].read()


def test_pictures_of_different_sizes_are_refused(tmp_path):
    Image.fromarray(clips.view(0)).save(tmp_path / "0.png")
    Image.fromarray(clips.view(0, size=(80, 80))).save(tmp_path / "1.png")
    _, frames = read(tmp_path)
    with pytest.raises(ValueError, match=r"1\.png: 80x80.*160x96"):
        frames[1].read()


def test_files_of_different_cameras_do_not_go_together(tmp_path):
    one = clips.write_video(tmp_path / "a.mp4", clips.glide(2))
    small = [image[:64, :64] for image in clips.glide(2)]
    other = clips.write_video(tmp_path / "b.mp4", small)
    with pytest.raises(ValueError, match=r"b\.mp4: 64x64"):
        check_same_camera([open_footage(path, 10) for path in (one, other)])


def test_cover_art_is_no_video(tmp_path):
    """A song with a picture of its album has a video stream of one frame."""
    path = clips.write_audio(tmp_path / "song.m4a")
    with (
        av.open(str(path)) as sound,
        av.open(str(tmp_path / "cover.mp4"), "w") as out,
    ):
        audio = out.add_stream_from_template(sound.streams.audio[0])
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(
            np.zeros((64, 64, 3), np.uint8), format="rgb24"
        )
        out.mux(cover.encode(frame))
        out.mux(cover.encode())
        for packet in sound.demux(sound.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = audio
                out.mux(packet)
    with pytest.raises(ValueError, match="has no video, only audio"):
        open_footage(tmp_path / "cover.mp4", 10)
