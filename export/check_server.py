"""Asks a server of a depth SavedModel what a user would, and worse.

    python check_server.py http://localhost:8501/v1/models/depth photo.jpg

Good requests must be answered and agree with each other, hostile ones
refused, and after each of those the server must serve as before. Exit code 1
where one does not. Needs NumPy, Pillow and depth_client.py beside it.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from depth_client import as_json, depth_of, pose_between, predict
from PIL import Image


def main() -> int:
    if len(sys.argv) != 3:
        sys.stderr.write(__doc__)
        return 2
    model, photo = sys.argv[1], Path(sys.argv[2]).read_bytes()
    check_good_requests(model, photo)
    small = _encoded(np.full((48, 64, 3), 99, np.uint8), "PNG")
    usual = depth_of(model, small)
    failures = 0
    for name, signature, instances in hostile_requests():
        problem, answer = None, "an answer"
        try:
            predict(model, signature, instances)
            problem = "expected an error"
        except ValueError as error:
            answer = " ".join(str(error).split())[:110]
            if not answer.startswith("HTTP 4"):
                problem = "expected a client's error"
        if not np.allclose(depth_of(model, small), usual, rtol=1e-5):
            problem = "the server gives other depth than before"
        failures += problem is not None
        sys.stdout.write(f"{name:24} {answer}\n")
        if problem:
            sys.stdout.write(f"{'':24} FAILED: {problem}\n")
    sys.stdout.write(f"{failures} failures\n")
    return min(failures, 1)


def check_good_requests(model: str, photo: bytes) -> None:
    depth = depth_of(model, photo)
    pixels = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"))
    if depth.shape != pixels.shape[:2]:
        raise SystemExit(f"depth is {depth.shape}, photo {pixels.shape}")
    png = _encoded(pixels, "PNG")
    (raw,) = predict(model, "serving_default", [pixels.tolist()])
    _agree(
        "pixels and PNG", np.array(raw["depth"])[..., 0], depth_of(model, png)
    )
    both = predict(model, "serving_jpeg", [as_json(png), as_json(photo)])
    _agree("batch and single", np.array(both[1]["depth"])[..., 0], depth)
    pose = pose_between(model, photo, photo)
    _agree("rotation and its inverse", pose[:3, :3] @ pose[:3, :3].T, np.eye(3))
    (about,) = predict(model, "metadata", [""])
    output = json.loads(about)["output"]
    sys.stdout.write(
        f"depth {depth.min():.3g} to {depth.max():.3g} {output['unit']}\n"
    )


def hostile_requests() -> Iterator[tuple[str, str, list[Any]]]:
    """Name, signature and instances."""
    jpeg = _encoded(np.zeros((64, 64, 3), np.uint8), "JPEG")
    start = jpeg.index(b"\xff\xc0") + 5
    bomb = jpeg[:start] + b"\xff\xdc\xff\xdc" + jpeg[start + 4 :]
    yield "nothing", "serving_default", []
    yield "an image without pixels", "serving_default", [[]]
    yield "1 x 1", "serving_default", [[[[0, 0, 0]]]]
    yield "grey", "serving_default", [np.zeros((64, 64, 1), int).tolist()]
    yield "two sizes", "serving_default", [_black(40, 40), _black(40, 41)]
    yield "fractions", "serving_default", [_black(40, 40, 0.5)]
    yield "NaN", "serving_default", [_black(40, 40, float("nan"))]
    yield "text for pixels", "serving_default", ["a photo"]
    yield "33 images", "serving_jpeg", [as_json(jpeg)] * 33
    yield "an empty file", "serving_jpeg", [as_json(b"")]
    yield "HTML", "serving_jpeg", [as_json(b"<html>" * 9)]
    yield "a cut JPEG", "serving_jpeg", [as_json(jpeg[:-40])]
    yield "65500 x 65500", "serving_jpeg", [as_json(bomb)]
    yield "not base64", "serving_jpeg", [{"b64": "%%%"}]
    yield "a pair of one", "pose_jpeg", [{"target_bytes": as_json(jpeg)}]
    yield "another signature", "no_such_signature", [as_json(jpeg)]


def _black(height: int, width: int, value: float = 0) -> list[Any]:
    return np.full((height, width, 3), value, object).tolist()


def _encoded(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _agree(what: str, one: np.ndarray, other: np.ndarray) -> None:
    difference = float(np.max(np.abs(one - other)))
    sys.stdout.write(f"{what}: they differ by {difference:.1e}\n")
    if not difference < 1e-4:
        raise SystemExit(f"{what} differ by {difference}")


if __name__ == "__main__":
    sys.exit(main())
