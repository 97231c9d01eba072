"""The page of `scdepth web`: a folder of static files.

Nothing of it is fetched by script, so that it may forbid itself every
connection (its Content-Security-Policy) and works when opened from a disk:
model and runtime are scripts that hand over compressed data.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import scdepth_tf
from scdepth_tf.files import check_can_write, replace_file, write_whole
from scdepth_tf.lite import read_metadata
from scdepth_tf.web import runtime

_MARK = '<meta name="generator" content="scdepth-tf"'
"""In an index.html that may be replaced."""

_PLAIN = (
    "style.css",
    "unpack.js",
    "colors.js",
    "facts.js",
    "gl.js",
    "orbit.js",
    "cloud.js",
    "range.js",
    "network.js",
    "sources.js",
    "app.js",
    "icon.svg",
    "manifest.webmanifest",
    "LICENSES.txt",
)
"""Files of the page that are copied as they are."""

_IN_WORKER = ("model.js", "resize.js", "worker.js")
"""Files of the page that follow LiteRT.js in its worker."""

_log = logging.getLogger(__name__)


def write_site(
    model: str | Path, out: str | Path, package: str | Path | None = None
) -> Path:
    """Write the page that runs a model on camera, video and pictures.

    Args:
        model: .tflite file of `scdepth export`.
        out: folder to make, or a page of ours to replace.
        package: LiteRT.js as npm packs it; by default it is fetched once.

    Returns:
        The page, OUT/index.html.

    Raises:
        FileNotFoundError: no model or package there.
        ConnectionError: LiteRT.js cannot be fetched.
        ValueError: the model is no depth network of ours, `out` holds other
            files or cannot be written, or LiteRT.js is another than expected.
    """
    model, out = Path(model), Path(out)
    check_site(out)
    metadata = read_metadata(model)
    if metadata["kind"] != "depth":
        raise ValueError(
            f"{model} holds a {metadata['kind']} network, expected a depth"
            " network"
        )
    files = _parts(model, runtime.find_package(package))
    version = _digest(files)
    sizes = {name: len(content) for name, content in files.items()}
    files["index.html"] = (
        _page("index.html")
        .read_text("utf-8")
        .replace("@VERSION@", version)
        .replace("@PARTS@", json.dumps(sizes).replace('"', "&quot;"))
    )
    kept = ["./", "LICENSES.txt", *(f"{name}?v={version}" for name in _PLAIN)]
    files["sw.js"] = (
        _page("sw.js")
        .read_text("utf-8")
        .replace("@VERSION@", version)
        .replace('"@FILES@"', json.dumps(kept))
    )
    for name in _PLAIN:
        with (
            replace_file(out / name) as unfinished,
            resources.as_file(_page(name)) as source,
        ):
            shutil.copyfile(source, unfinished)
    # The page itself comes last: where it is, everything is.
    for name, content in sorted(files.items(), key=_is_index):
        write_whole(out / name, content)
    _log.info("wrote %s (scdepth_tf %s)", out, scdepth_tf.__version__)
    return out / "index.html"


def check_site(out: str | Path) -> None:
    """Find out before long work that the page could not be written.

    Raises:
        ValueError: `out` holds files that are no page of ours, or cannot be
            written.
    """
    out = Path(out)
    if out.is_file():
        raise ValueError(f"cannot write {out}: it is a file; name a folder")
    index = out / "index.html"
    check_can_write(index)
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not index.is_file() or _MARK not in index.read_text("utf-8", "replace"):
        raise ValueError(
            f"{out} holds files that are no page of `scdepth web`; choose"
            " another --out or empty it"
        )


def _parts(model: Path, package: Path) -> dict[str, str]:
    """Scripts that hand over model and runtime, by file name."""
    parts = {
        "model-data.js": _part(
            "model", name=model.name, bytes=packed(model.read_bytes())
        ),
        "sample-data.js": _part(
            "sample", bytes=_base64(_page("sample.jpg").read_bytes())
        ),
    }
    ours = "\n".join(_page(name).read_text("utf-8") for name in _IN_WORKER)
    for variant in runtime.VARIANTS:
        litert = runtime.read_runtime(package, variant)
        parts[f"runtime-{variant}.js"] = _part(
            "runtime",
            code=packed(f"{litert.code}\n{ours}".encode()),
            wasm=packed(litert.wasm),
        )
    return parts


def _part(part: str, **content: str) -> str:
    return (
        f"// See LICENSES.txt.\nscdepth.parts.{part} = {json.dumps(content)};\n"
    )


def packed(content: bytes) -> str:
    """Text that the page's `unpack` makes bytes of again."""
    # mtime: equal content is equal files.
    return _base64(gzip.compress(content, compresslevel=9, mtime=0))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _digest(files: Mapping[str, str]) -> str:
    """Of everything that browsers may keep."""
    digest = hashlib.sha256()
    for content in files.values():
        digest.update(content.encode())
    for name in (*_PLAIN, "index.html", "sw.js"):
        digest.update(_page(name).read_bytes())
    return digest.hexdigest()[:16]


def _is_index(item: tuple[str, str]) -> bool:
    return item[0] == "index.html"


def _page(name: str) -> resources.abc.Traversable:
    return resources.files("scdepth_tf.web") / "page" / name
