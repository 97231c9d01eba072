"""`scdepth calibrate`: how many metres a run's scene unit is.

Free of TensorFlow: predictors are any functions. One pass over the frames
asks each network once; every way to find the scale looks at what it needs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from scdepth_tf.alignment import refine, scene_frames
from scdepth_tf.config import CalibrateConfig
from scdepth_tf.data import Scene, load_image
from scdepth_tf.evaluate.odometry import PredictMotion, predict_trajectory
from scdepth_tf.evaluate.samples import contiguous_parts, frame_name
from scdepth_tf.metres import (
    Scale,
    Stretches,
    Track,
    combine,
    ground_plane,
    parse_distance,
    read_distances,
    read_track,
    scale_of_distance,
    scale_of_pair,
    scales_of_distances,
    scales_of_positions,
)
from scdepth_tf.metres.tracks import seconds
from scdepth_tf.metrics.depth import GENERIC, median_scale, valid_depths
from scdepth_tf.metrics.reprojection import scale_intrinsics

PredictDepth = Callable[[np.ndarray], np.ndarray]
"""An image `[H, W, 3]` uint8 to depth `[h, w]` > 0, scene units."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, frames done and frames in all."""

GPS_STRETCH = 20.0
"""Metres: a fix of a good receiver is a metre or two off."""
SPEED_STRETCH = 5.0
"""Metres: a speedometer is not in step with the frames."""

_WAYS = (
    "depth",
    "poses",
    "right",
    "distance",
    "distances",
    "track",
    "speed",
    "camera_height",
)
"""What may be known, the surest first."""


def find_scale(
    scenes: Sequence[Scene],
    known: CalibrateConfig,
    predict_depth: PredictDepth,
    predict_motion: PredictMotion,
    progress: Progress | None = None,
) -> tuple[Scale, list[Scale]]:
    """Metres per scene unit, and what further ways to find it say.

    Args:
        scenes: frames of the camera that the network is for.
        known: what is known in metres.
        predict_depth: the depth network.
        predict_motion: the pose network.
        progress: called after each frame.

    Raises:
        ValueError: nothing is known, it does not fit the scenes, or it gives
            no scale; the line says which.
    """
    check_known(known, scenes)
    found = _Frames(known, predict_depth).scales(scenes, progress)
    if known.poses or known.track or known.speed:
        ways = _Ways(known, predict_depth, predict_motion)
        found |= ways.scales(scenes, progress)
    scale, *checks = (found[name] for name in _WAYS if name in found)
    return scale, checks


def check_known(known: CalibrateConfig, scenes: Sequence[Scene]) -> None:
    """Complain before the networks are asked.

    Raises:
        ValueError: what is known is not enough, not positive, or the scenes
            lack it.
    """
    # First: a camera height of 0 is not a missing one.
    for name in ("speed", "camera_height", "baseline", "frame_rate", "frames"):
        value = getattr(known, name)
        if value is not None and not 0 < value < np.inf:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} is {value:g}; give a number > 0")
    if not any(getattr(known, name) for name in _WAYS):
        raise ValueError(
            "nothing is known in metres; give --camera-height, --poses, "
            "--depth, --track, --speed, --distance or --right"
        )
    if (known.right is None) != (known.baseline is None):
        raise ValueError(
            "--right and --baseline belong together: give the folder of the "
            "second camera's pictures and its distance in metres"
        )
    if known.depth and not any(any(scene.depths or ()) for scene in scenes):
        raise ValueError("--depth: the scenes have no depth maps")
    if known.poses and not any(scene.poses is not None for scene in scenes):
        raise ValueError("--poses: the scenes have no poses")
    if known.track or known.speed:
        _check_times(known, scenes)


class _Frames:
    """Scales of single frames: what their depth says."""

    def __init__(
        self, known: CalibrateConfig, predict_depth: PredictDepth
    ) -> None:
        self._known = known
        self._predict = predict_depth
        self._methods: dict[str, tuple[str, Callable]] = {}
        if known.depth:
            self._methods["depth"] = "depth maps", _scale_of_depth
        if known.right:
            self._methods["right"] = (
                f"second camera {known.baseline:g} m beside",
                self._scale_of_pair,
            )
        if known.camera_height:
            self._methods["camera_height"] = (
                f"camera height {known.camera_height:g} m",
                self._scale_of_road,
            )
        self._distances = [parse_distance(one) for one in known.distance]
        if known.distances:
            self._distances += read_distances(known.distances)

    def scales(
        self, scenes: Sequence[Scene], progress: Progress | None
    ) -> dict[str, Scale]:
        found = {}
        if self._distances:
            found["distance"] = self._scale_of_distances(scenes)
        if not self._methods:
            return found
        total = sum(len(scene) for scene in scenes)
        every = max(1, -(-total // self._known.frames))
        single: dict[str, list[list[float | None]]] = {
            name: [] for name in self._methods
        }
        done = 0
        for scene in scenes:
            for values in single.values():
                values.append([])
            for index in range(0, len(scene), every):
                image = scene.image(index)
                depth = _checked(self._predict(image), scene, index)
                for name, (_, method) in self._methods.items():
                    single[name][-1].append(method(scene, index, image, depth))
                done += 1
                if progress:
                    progress("depth", done, -(-total // every))
        for name, (title, _) in self._methods.items():
            found[name] = _combined(single[name], title)
        return found

    def _scale_of_road(self, scene, index, image, depth) -> float | None:
        plane = ground_plane(depth, _at_size(scene, depth.shape))
        return plane and self._known.camera_height / plane.height

    def _scale_of_pair(self, scene, index, image, depth) -> float | None:
        other = _other_picture(self._known.right, scene, index)
        return scale_of_pair(
            image, other, depth, scene.intrinsics, self._known.baseline
        )

    def _scale_of_distances(self, scenes: Sequence[Scene]) -> Scale:
        scales = []
        for distance in self._distances:
            scene, index = _frame_called(distance.frame, scenes)
            depth = _checked(self._predict(scene.image(index)), scene, index)
            scales.append(
                scale_of_distance(
                    distance, depth, scene.intrinsics, scene.image_size
                )
            )
        # Each is a measurement of its own: no neighbours in time.
        return combine([np.array(scales)], "measured distances", "distances")


class _Ways:
    """Scales of stretches of the way: what the motion says."""

    def __init__(
        self,
        known: CalibrateConfig,
        predict_depth: PredictDepth,
        predict_motion: PredictMotion,
    ) -> None:
        self._known = known
        self._depth = predict_depth
        self._motion = predict_motion
        self._track = read_track(known.track) if known.track else None

    def scales(
        self, scenes: Sequence[Scene], progress: Progress | None
    ) -> dict[str, Scale]:
        known = self._known
        methods: dict[str, tuple[str, Callable]] = {}
        if known.poses:
            methods["poses"] = "poses", _scales_of_poses
        if self._track:
            methods["track"] = known.track.name, self._scales_of_track
        if known.speed:
            methods["speed"] = (
                f"speed {known.speed:g} m/s",
                self._scales_of_speed,
            )
        parts = [part for scene in scenes for part in contiguous_parts(scene)]
        single = {name: [] for name in methods}
        left_out = dict.fromkeys(methods, 0)
        for part in parts:
            predicted = self._path(part, progress)
            for name, (_, method) in methods.items():
                stretches = method(part, predicted)
                if stretches is not None:
                    single[name].append(stretches.scales)
                    left_out[name] += stretches.left_out
        return {
            name: combine(single[name], title, "stretches", left_out[name])
            for name, (title, _) in methods.items()
        }

    def _path(self, scene: Scene, progress: Progress | None) -> np.ndarray:
        """In the unit of the depth, which the pose network's is only about;
        not smoothed, so that each stretch speaks for itself.
        """

        def tell(what: str) -> Callable[[int, int], None] | None:
            return progress and functools.partial(progress, what)

        guess = predict_trajectory(self._motion, scene, tell("motion"))
        frames = scene_frames(scene, self._depth)
        return refine(frames, guess, np.inf, tell("alignment"))

    def _scales_of_speed(
        self, scene: Scene, predicted: np.ndarray
    ) -> Stretches:
        times = _frame_times(scene, self._known.frame_rate)
        return scales_of_distances(times * self._known.speed, predicted)

    def _scales_of_track(
        self, scene: Scene, predicted: np.ndarray
    ) -> Stretches:
        return scales_of_track(
            self._track, self._times_by_track(scene), predicted
        )

    def _times_by_track(self, scene: Scene) -> np.ndarray:
        times = _frame_times(scene, self._known.frame_rate)
        if self._known.first_frame_at is not None:
            return times - times[0] + seconds(self._known.first_frame_at)
        if scene.timestamps is None:
            return times - times[0] + self._track.times[0]
        return times


def scales_of_track(
    track: Track, times: np.ndarray, predicted: np.ndarray
) -> Stretches:
    """Scales of stretches that frames and track have in common.

    Positions are compared at the moments of the fixes, at which the predicted
    path is interpolated; distances at the moments of the frames.

    Args:
        track: from `read_track`.
        times: `[N]` of the frames, by the track's clock.
        predicted: world_from_camera `[N, 4, 4]`.

    Raises:
        ValueError: track and frames have no time in common.
    """
    common = (track.times >= times[0]) & (track.times <= times[-1])
    seen = (times >= track.times[0]) & (times <= track.times[-1])
    if not (common.sum() > 1 and seen.sum() > 1):
        raise ValueError(
            f"the track lasts from {track.times[0]:.1f} to "
            f"{track.times[-1]:.1f} s, the frames from {times[0]:.1f} to "
            f"{times[-1]:.1f} s by its clock: too little in common; give "
            "--first-frame-at TIME (and --frame-rate)"
        )
    if track.distances is not None:
        truth = np.interp(times[seen], track.times, track.distances)
        return scales_of_distances(truth, predicted[seen], SPEED_STRETCH)
    positions = np.stack(
        [
            np.interp(track.times[common], times, predicted[:, axis, 3])
            for axis in range(3)
        ],
        axis=-1,
    )
    return scales_of_positions(track.positions[common], positions, GPS_STRETCH)


def _scale_of_depth(scene, index, image, depth) -> float | None:
    truth = scene.depth(index)
    if truth is None or not GENERIC.mask(truth).any():
        return None
    return median_scale(*valid_depths(truth, depth, GENERIC))


def _scales_of_poses(scene: Scene, predicted: np.ndarray) -> Stretches | None:
    if scene.poses is None:
        return None
    return scales_of_positions(scene.poses[:, :3, 3], predicted[:, :3, 3])


def _combined(by_scene: list[list[float | None]], title: str) -> Scale:
    scales = [
        np.array([one for one in values if one is not None], np.float64)
        for values in by_scene
    ]
    left_out = sum(values.count(None) for values in by_scene)
    return combine(scales, title, "frames", left_out)


def _checked(depth: np.ndarray, scene: Scene, index: int) -> np.ndarray:
    if not (np.isfinite(depth).all() and (depth > 0).all()):
        raise ValueError(
            f"{frame_name(scene, index)}: the predicted depth is not finite "
            "and positive; look at the network's output"
        )
    return depth


def _at_size(scene: Scene, size: tuple[int, int]) -> np.ndarray:
    return scale_intrinsics(scene.intrinsics, scene.image_size, size)


def _frame_times(scene: Scene, frame_rate: float | None) -> np.ndarray:
    """`[N]` seconds."""
    if scene.timestamps is not None:
        return scene.timestamps / 1e9
    numbers = scene.frame_numbers or range(len(scene))
    return np.array(numbers, np.float64) / frame_rate


def _check_times(known: CalibrateConfig, scenes: Iterable[Scene]) -> None:
    without = [scene.name for scene in scenes if scene.timestamps is None]
    if without and known.frame_rate is None:
        raise ValueError(
            f"{without[0]} has no times; give --frame-rate (frames a second)"
        )
    if known.track and len(without) > 1 and known.first_frame_at is None:
        raise ValueError(
            f"--track with {len(without)} scenes that have no times: choose "
            "the one that was recorded with it by --scenes"
        )


def _frame_called(name: str, scenes: Iterable[Scene]) -> tuple[Scene, int]:
    found = [
        (scene, index)
        for scene in scenes
        for index, frame in enumerate(scene.frames)
        if name in (frame.stem, frame.name, frame_name(scene, index))
    ]
    if len(found) != 1:
        raise ValueError(
            f"--distance: {len(found) or 'no'} frames are called {name!r}; "
            "give SCENE/FRAME as the files are named, without ending"
        )
    return found[0]


def _other_picture(folder: Path, scene: Scene, index: int) -> np.ndarray:
    name = Path(scene.frames[index].name)
    for path in (folder / name, folder / scene.name / name):
        if path.is_file():
            return load_image(path)
    raise FileNotFoundError(
        f"{folder / name}: no such picture; --right is the folder with the "
        "second camera's, under the names of the first's"
    )
