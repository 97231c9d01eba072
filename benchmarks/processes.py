"""Modules that run in processes of their own, one after another (stdlib
only).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parent.parent
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


def run_module(
    module: str,
    *arguments: str | Path,
    log: IO[bytes],
    one_thread: bool,
    python: str = sys.executable,
) -> None:
    """`python -m module arguments`, to its end.

    Args:
        module: its name.
        *arguments: of its command line.
        log: where its output goes.
        one_thread: as it should be where several run at once.
        python: interpreter.

    Raises:
        SystemExit: it failed.
    """
    command = [python, "-m", module, *map(str, arguments)]
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if one_thread:
        environment |= _ONE_THREAD
    done = subprocess.run(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed; see {log.name}")
