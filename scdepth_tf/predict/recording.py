"""A recording for the Rerun viewer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from scdepth_tf.files import replace_file
from scdepth_tf.predict.sequence import PredictedFrame, Sequence

FILE = "recording.rrd"

_JPEG_QUALITY = 80


@contextlib.contextmanager
def write_recording(
    sequence: Sequence,
) -> Iterator[Callable[[PredictedFrame], None]]:
    """recording.rrd: camera, images, depth and path over time.

    Raises:
        ValueError: the file cannot be written.
    """
    import rerun

    with replace_file(sequence.folder / FILE) as unfinished:
        recording = rerun.RecordingStream("scdepth_tf", recording_id=None)
        recording.save(unfinished)
        recording.log(
            "world", rerun.ViewCoordinates.RIGHT_HAND_Y_DOWN, static=True
        )
        recording.log(
            "unit",
            rerun.TextDocument(f"Lengths in {sequence.unit}."),
            static=True,
        )
        recording.log(
            "world/path",
            rerun.LineStrips3D([sequence.poses[:, :3, 3]]),
            static=True,
        )
        for name, camera, (height, width) in (
            ("camera", sequence.intrinsics, sequence.image_size),
            ("depth", sequence.depth_intrinsics, sequence.depth_size),
        ):
            recording.log(
                f"world/{name}",
                rerun.Pinhole(
                    image_from_camera=camera,
                    resolution=(width, height),
                    camera_xyz=rerun.ViewCoordinates.RDF,
                    image_plane_distance=sequence.depth.median / 4,
                ),
                static=True,
            )

        def add(frame: PredictedFrame) -> None:
            recording.set_time("time", duration=frame.time)
            pose = rerun.Transform3D(
                translation=frame.pose[:3, 3], mat3x3=frame.pose[:3, :3]
            )
            for name in ("camera", "depth"):
                recording.log(f"world/{name}", pose)
            recording.log(
                "world/camera/image",
                rerun.Image(frame.image).compress(_JPEG_QUALITY),
            )
            recording.log(
                "world/depth/image",
                rerun.DepthImage(np.ascontiguousarray(frame.depth), meter=1.0),
            )

        yield add
        recording.flush()
        recording.disconnect()
