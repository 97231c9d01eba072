"""From scene units to metres: the one global scale, found in several ways.

- `ground`: the camera's height above the road;
- `travelled`: how far it went, by poses, GPS or speed (`tracks` reads those);
- `distances`: lengths measured between points that a frame shows;
- `stereo`: a second camera beside the first;
- `scale`: the median of what frames say, and how well it is known.

NumPy only; `scdepth_tf.calibrate` puts them together for a run.
"""

from scdepth_tf.metres.distances import (
    MeasuredDistance,
    parse_distance,
    read_distances,
    scale_of_distance,
)
from scdepth_tf.metres.ground import Plane, fit_plane, ground_plane
from scdepth_tf.metres.scale import Scale, combine
from scdepth_tf.metres.stereo import scale_of_pair
from scdepth_tf.metres.tracks import Track, read_track
from scdepth_tf.metres.travelled import (
    Stretches,
    scales_of_distances,
    scales_of_positions,
)

__all__ = [
    "Scale",
    "combine",
    "Plane",
    "fit_plane",
    "ground_plane",
    "Stretches",
    "scales_of_positions",
    "scales_of_distances",
    "Track",
    "read_track",
    "MeasuredDistance",
    "parse_distance",
    "read_distances",
    "scale_of_distance",
    "scale_of_pair",
]
