"""LiteRT.js, the runtime of the page: fetched once, checked, made to fit.

It is @litertjs/core on npm, 11.8 MB that do not belong into git. The exact
file is named by its SHA-256; npm itself is not needed to get it.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tarfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from scdepth_tf.files import replace_file

VERSION = "2.5.3"

URL = f"https://registry.npmjs.org/@litertjs/core/-/core-{VERSION}.tgz"

SHA256 = "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd"

VARIANTS = {
    "relaxed": "litert_wasm_internal",
    "compatible": "litert_wasm_compat_internal",
}
"""With relaxed SIMD, a quarter faster on float32, and without it."""

_TIMEOUT = 60  # seconds without a byte

_log = logging.getLogger(__name__)


class Runtime(NamedTuple):
    """What a worker of the page needs to run a model."""

    code: str
    """JavaScript of a classic worker; wants `createWasmLib` defined."""

    wasm: bytes
    """WebAssembly module that the code starts."""


def find_package(given: str | Path | None = None) -> Path:
    """The npm package, from the cache or fetched into it.

    Args:
        given: the package as a file, where this machine has no network.

    Raises:
        FileNotFoundError: no such file.
        ConnectionError: it cannot be fetched.
        ValueError: another file than the one we know.
    """
    if given is not None:
        if not Path(given).is_file():
            raise FileNotFoundError(
                f"no file at {given}; expected LiteRT.js as npm packs it, {URL}"
            )
        _check(Path(given), str(given))
        return Path(given)
    package = _cache() / f"litertjs-core-{VERSION}.tgz"
    if not package.exists():
        _log.info("fetching LiteRT.js %s from %s", VERSION, URL)
        content = _fetch()
        with replace_file(package) as unfinished:
            unfinished.write_bytes(content)
            _check(unfinished, URL)
    _check(package, str(package))
    return package


def read_runtime(package: Path, variant: str) -> Runtime:
    """The code and module of one of the `VARIANTS`.

    LiteRT.js is a module of two packages that fetches its files. Here it
    becomes one classic script that is handed its files.

    Raises:
        ValueError: the package is not the one this was written for.
    """
    with tarfile.open(package) as files:

        def read(name: str) -> bytes:
            try:
                return files.extractfile(f"package/{name}").read()
            except KeyError as error:
                raise ValueError(
                    f"{package} has no {name}; expected LiteRT.js {VERSION}"
                ) from error

        core = read("dist/index.js").decode()
        glue = read(f"wasm/{VARIANTS[variant]}.js").decode()
        wasm = read(f"wasm/{VARIANTS[variant]}.wasm")
    core = _replace(core, _IMPORT, "")
    start, exports, _ = core.partition("export {\n")
    if not exports:
        raise ValueError(f"LiteRT.js {VERSION} exports nothing")
    return Runtime(f"{glue}\n{start}", wasm)


_IMPORT = 'import { createWasmLib } from "@litertjs/wasm-utils";\n'


def _replace(code: str, old: str, new: str) -> str:
    if code.count(old) != 1:
        raise ValueError(
            f"LiteRT.js {VERSION} has {code.count(old)} times, expected once:"
            f" {old.strip().splitlines()[0]}"
        )
    return code.replace(old, new)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "scdepth-tf"


def _fetch() -> bytes:
    try:
        with urllib.request.urlopen(URL, timeout=_TIMEOUT) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ConnectionError(
            f"cannot fetch LiteRT.js from {URL} ({reason}); with a connection"
            " try again, or fetch that file elsewhere and give it with"
            " --runtime FILE"
        ) from error


def _check(package: Path, origin: str) -> None:
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{origin} is not LiteRT.js {VERSION} (SHA-256 {found}, expected"
            f" {SHA256}); delete it where it is a copy, and get {URL}"
        )
