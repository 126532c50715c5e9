"""Options for all tests; and marks that are held to: data and ranks are for tests that say so."""

from __future__ import annotations

import os

# Before numpy is imported anywhere: bits must not depend on a thread count, and ranks share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import mpi_launch
import pytest
from command_line import caller, small_problem

from newtonfl.kernels import compiled

DATA = "NEWTONFL_DATA"


def pytest_addoption(parser):
    parser.addoption("--data-must-be-at-hand", action="store_true", help="fail where a test skips for want of data")


@pytest.fixture(autouse=True, scope="session")
def kernels_of_numpy():
    """One form of the kernels, whatever ran before; tests of numba's ask for it."""
    with compiled.forced("numpy"):
        yield


@pytest.fixture(scope="module", params=["numpy", "numba"])
def form(request):
    """Both forms of the kernels, numba's where it is installed."""
    if request.param == "numba":
        pytest.importorskip("numba")
    with compiled.forced(request.param):
        yield request.param


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; returns (status, stdout, stderr)."""
    return caller(capsys, monkeypatch)


@pytest.fixture
def small(tmp_path):
    """A problem of 40 rows and 3 features beside its data."""
    return small_problem(tmp_path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test without the mark sees no data and may not launch ranks, so that a forgotten mark is found at once."""
    folder = None if item.get_closest_marker("data") else os.environ.pop(DATA, None)
    mpi_launch.allowed = item.get_closest_marker("mpi") is not None
    yield
    if folder is not None:
        os.environ[DATA] = folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.skipped or DATA not in str(report.longrepr):
        return
    if item.get_closest_marker("data") is None:
        report.outcome, report.longrepr = "failed", f"{item.nodeid} reads files of {DATA}: give it the mark data"
    elif item.config.getoption("--data-must-be-at-hand"):
        report.outcome = "failed"
