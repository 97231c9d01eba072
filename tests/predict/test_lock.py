"""Two processes do not write into one folder."""

import subprocess
import sys

import pytest

from scdepth_tf.predict.lock import alone_in


def test_second_process_is_told_in_one_line(tmp_path):
    with alone_in(tmp_path), pytest.raises(ValueError, match="another process"):
        with alone_in(tmp_path):
            pass
    with alone_in(tmp_path):
        pass


def test_killed_process_keeps_nobody_out(tmp_path):
    program = (
        "import os, pathlib, signal\n"
        "from scdepth_tf.predict.lock import alone_in\n"
        f"with alone_in(pathlib.Path({str(tmp_path)!r})):\n"
        "    os.write(1, b'in\\n')\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"in\n"
        with pytest.raises(ValueError, match="another process"):
            with alone_in(tmp_path):
                pass
        process.kill()
    with alone_in(tmp_path):
        pass


def test_lock_leaves_no_file_and_no_empty_folder(tmp_path):
    with alone_in(tmp_path / "empty"):
        assert not list((tmp_path / "empty").iterdir())
    assert not (tmp_path / "empty").exists()
    with alone_in(tmp_path / "full"):
        (tmp_path / "full" / "depth.mp4").touch()
    assert [path.name for path in (tmp_path / "full").iterdir()] == [
        "depth.mp4"
    ]


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match="is a file; choose another --out"):
        with alone_in(tmp_path / "thesis.txt"):
            pass
    with pytest.raises(ValueError, match="cannot make"):
        with alone_in(tmp_path / "thesis.txt" / "out"):
            pass
