"""Fixtures that every folder of tests can use."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from belfry import Belfry, Sink  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than some seconds; not run under sanitizers")


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink


@pytest.fixture
def fresh_belfry():
    """A server of the test's own."""
    with Belfry() as belfry:
        yield belfry


@pytest.fixture(scope="module")
def belfry():
    """One server that the tests of a file share."""
    with Belfry() as belfry:
        yield belfry
