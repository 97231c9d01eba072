import numpy as np
import pytest
from PIL import Image

from scdepth_tf.config import PredictConfig
from scdepth_tf.predict import job
from scdepth_tf.predict.sources import open_sources
from tests import planes
from tests.prepare.clips import HEIGHT, WIDTH, glide, write_video
from tests.streets import write_folder, write_scene


def test_scene_is_frames_with_names_times_and_camera(tmp_path):
    (source,) = open_sources(
        write_scene(tmp_path / "street"), PredictConfig(frame_rate=5)
    )
    np.testing.assert_allclose(source.intrinsics, planes.INTRINSICS)
    frames = list(source.frames())
    assert [frame.name for frame in frames] == [f"{i:06d}" for i in range(5)]
    assert [frame.time for frame in frames] == pytest.approx(np.arange(5) / 5)
    with Image.open(tmp_path / "street" / "000003.png") as file:
        np.testing.assert_array_equal(frames[3].read(), np.asarray(file))


def test_folder_of_scenes_is_a_source_each(tmp_path):
    root = write_folder(tmp_path / "data")
    sources = open_sources(root, PredictConfig())
    assert [source.name for source in sources] == ["a", "b", "c"]
    (only,) = open_sources(root, PredictConfig(), scenes=("b",))
    assert only.name == "b"


def test_video_is_thinned_to_the_frame_rate(tmp_path):
    video = write_video(tmp_path / "drive.mp4", glide(12), rate=10)
    (source,) = open_sources(video, PredictConfig())
    assert len(list(source.frames())) == 12
    assert source.image_size == (HEIGHT, WIDTH)
    assert source.intrinsics is None
    (source,) = open_sources(video, PredictConfig(frame_rate=5))
    frames = list(source.frames())
    assert [frame.name for frame in frames] == [
        f"{i:06d}" for i in range(0, 12, 2)
    ]


def test_field_of_view_is_a_camera(tmp_path):
    video = write_video(tmp_path / "drive.mp4", glide(3))
    (source,) = open_sources(video, PredictConfig(fov=90))
    assert source.intrinsics[0, 0] == pytest.approx(WIDTH / 2)


def test_what_needs_the_camera_says_so_before_the_work(tmp_path):
    video = write_video(tmp_path / "drive.mp4", glide(3))
    config = PredictConfig(write=("video", "cloud"))
    with pytest.raises(
        ValueError, match="camera of drive must be known for cloud"
    ):
        job._check(open_sources(video, config), config)


def test_camera_of_scenes_is_not_told_twice(tmp_path):
    root = write_folder(tmp_path / "data")
    with pytest.raises(ValueError, match=r"have a cam\.txt each"):
        open_sources(root, PredictConfig(fov=60))


def test_field_of_view_of_nothing_is_no_missing_option(tmp_path):
    video = write_video(tmp_path / "drive.mp4", glide(3))
    with pytest.raises(ValueError, match="--fov is 0; give"):
        open_sources(video, PredictConfig(fov=0.0))
    with pytest.raises(ValueError, match="--intrinsics is ''; give"):
        open_sources(video, PredictConfig(intrinsics=""))


def test_pictures_of_another_size_are_named(tmp_path):
    for index, width in enumerate((64, 64, 80)):
        picture = Image.new("RGB", (width, 32))
        picture.save(tmp_path / f"{index}.png")
    (source,) = open_sources(tmp_path, PredictConfig())
    with pytest.raises(ValueError, match=r"2\.png: 80x32"):
        [frame.read() for frame in source.frames()]


def test_a_picture_is_a_sequence_of_one(tmp_path):
    pixels = np.arange(32 * 64 * 3, dtype=np.uint8).reshape(32, 64, 3)
    Image.fromarray(pixels).save(tmp_path / "holiday.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "another.png")
    config = PredictConfig(frame_rate=5, fov=90)
    (source,) = open_sources(tmp_path / "holiday.png", config)
    assert (source.name, source.expected_frames) == ("holiday", 1)
    np.testing.assert_allclose(source.intrinsics[0, 0], 32)
    (frame,) = source.frames()
    assert frame.name == "holiday"
    np.testing.assert_array_equal(frame.read(), pixels)


def test_empty_folder_and_missing_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        open_sources(tmp_path, PredictConfig())
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_sources(tmp_path / "drive.mp4", PredictConfig())


@pytest.mark.parametrize(
    "options, what",
    [
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"voxel": -1.0}, "--voxel is -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, what):
    with pytest.raises(ValueError, match=what):
        job._check([], PredictConfig(**options))
