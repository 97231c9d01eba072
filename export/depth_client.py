"""Depth of photos from a TensorFlow Serving (or KServe) REST endpoint.

    python depth_client.py http://localhost:8501/v1/models/depth photo.jpg …

writes photo.depth.npy, float32 [H, W] in scene units, beside each photo.
Needs NumPy only; copy it wherever it is of use.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="http://HOST:PORT/v1/models/NAME")
    parser.add_argument("photos", nargs="+", type=Path, help="JPEG or PNG")
    arguments = parser.parse_args()
    for photo in arguments.photos:
        try:
            depth = depth_of(arguments.model, photo.read_bytes())
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{photo}: {error}\n")
            return 1
        np.save(photo.with_suffix(".depth.npy"), depth)
        sys.stdout.write(
            f"{photo}: {depth.shape[1]} x {depth.shape[0]}, depth "
            f"{depth.min():.3g} to {depth.max():.3g} scene units\n"
        )
    return 0


def depth_of(model: str, photo: bytes) -> np.ndarray:
    """Depth [H, W] float32 of one JPEG or PNG file.

    Raises:
        ValueError: the server refuses the file.
        OSError: it cannot be reached.
    """
    (answer,) = predict(model, "serving_jpeg", [as_json(photo)])
    return np.array(answer["depth"], np.float32)[..., 0]


def pose_between(model: str, target: bytes, source: bytes) -> np.ndarray:
    """source_from_target [4, 4] of two JPEG or PNG files.

    Raises:
        ValueError: the server refuses the files.
        OSError: it cannot be reached.
    """
    pair = {"target_bytes": as_json(target), "source_bytes": as_json(source)}
    (answer,) = predict(model, "pose_jpeg", [pair])
    return np.array(answer)


def as_json(file: bytes) -> dict[str, str]:
    """Bytes as TensorFlow Serving wants them in JSON."""
    return {"b64": base64.b64encode(file).decode()}


def predict(model: str, signature: str, instances: list[Any]) -> list[Any]:
    """One answer for each instance, in TensorFlow Serving's row format.

    Raises:
        ValueError: the server refuses the request.
        OSError: it cannot be reached.
    """
    body = json.dumps({"signature_name": signature, "instances": instances})
    request = urllib.request.Request(
        f"{model}:predict",
        body.encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        reason = error.read().decode(errors="replace")
        raise ValueError(f"HTTP {error.code}: {reason[:300]}") from error
    except urllib.error.URLError as error:
        raise ValueError(
            f"no answer from {request.full_url} ({error.reason}); is the "
            "server there?"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
