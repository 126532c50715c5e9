"""Options for all tests."""

from __future__ import annotations

import os

# Before numpy is imported anywhere: bits must not depend on a thread count, and ranks share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest


def pytest_addoption(parser):
    parser.addoption("--data-must-be-at-hand", action="store_true", help="fail where a test skips for want of data")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--data-must-be-at-hand") and "NEWTONFL_DATA" in str(report.longrepr):
        report.outcome = "failed"
