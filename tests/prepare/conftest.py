"""Footage of our own making: a camera that glides over a random picture."""

import pytest

pytest.importorskip("av", reason="the extra `video` is not installed")
pytest.importorskip("cv2", reason="the extra `video` is not installed")
