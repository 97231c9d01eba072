"""Two streets that several test files look at."""

import pytest

from scdepth_tf.synthetic import make_street


@pytest.fixture(scope="session")
def street():
    """In frames 9 and 10 an oncoming car is near."""
    return make_street(14, frames=20)


@pytest.fixture(scope="session")
def other_street():
    return make_street(2, frames=2)
