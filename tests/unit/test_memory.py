"""Free memory, and Hessians that are refused because they do not fit in it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.sparse

import newtonfl as nf
from newtonfl.core import symmetric
from newtonfl.core.memory import available
from newtonfl.core.symmetric import TooLarge
from newtonfl.methods.argument import as_method

GIB = 2**30


def machine(folder, files):
    """A root with these files."""
    for name, words in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words)
    return folder


FREE = {"proc/meminfo": "MemTotal: 9999 kB\nMemAvailable:    3000 kB\nSwapFree: 5 kB\n"}
V2 = {
    "proc/self/cgroup": "0::/a/b\n",
    "sys/fs/cgroup/a/b/memory.max": "max\n",
    "sys/fs/cgroup/a/b/memory.current": "500\n",
    "sys/fs/cgroup/a/memory.max": "900000\n",
    "sys/fs/cgroup/a/memory.current": "600000\n",
    "sys/fs/cgroup/a/memory.stat": "anon 7\ninactive_file 100000\n",
}
V1 = {
    "proc/self/cgroup": "5:cpu,memory:/job\n",
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "800000\n",
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "100000\n",
}


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, None),
        (FREE, 3000 * 1024),
        (FREE | V2, 400_000),  # 900 000 less 600 000, of which 100 000 can be dropped; the inner group has no limit
        (FREE | V1, 700_000),
        (FREE | V1 | {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712\n"}, 3000 * 1024),
        ({"proc/meminfo": "not what it was\n"}, None),
    ],
    ids=["none", "machine", "v2", "v1", "v1 without limit", "strange"],
)
def test_what_is_free(tmp_path, files, expected):
    assert available(machine(tmp_path, files)) == expected


def test_here_something_is_free():
    found = available()
    assert found is None or 0 < found < 2**50


@pytest.fixture
def one_gib(monkeypatch):
    monkeypatch.setattr(symmetric, "available", lambda: GIB)


def wide(sparse):
    """Ten clients of two rows each in 4000 columns: a triangle has 64 MB, and a matrix twice as much."""
    rows = np.zeros((20, 4000))
    rows[np.arange(20), np.arange(20) * 7] = 1.0
    return nf.from_arrays(scipy.sparse.csr_array(rows) if sparse else rows, np.arange(20) % 2, l2=0.1, clients=10)


TWO = ("newton", "newton,basis=rotation", "giant", "bl3", "dingo", "fib-ios", "dane", "local-newton")
"""Methods of which every client keeps two triangles."""
LESS = ("newton", "newton,basis=data", "nl1", "newton-cg", "disco", "adahessian", "l-bfgs", "ef21")


@pytest.mark.parametrize(
    "method, size",
    [(name, "2.09") for name in TWO]
    + [("fednew", "2.68"), ("fedns", "2.68"), ("newton-3pc", "1.49"), ("newton-3pc,mechanism=3pc-v2:randk:9", "2.09")],
)
def test_the_clients_hessians_are_counted(one_gib, method, size):
    """Of 10 clients one to three triangles each, one and seven matrices: without the clients' 0.89 GiB would fit."""
    with pytest.raises(TooLarge, match=re.escape(
        f"with its factor and those of 10 clients it takes {size} GiB at least, and 1 GiB are free; take newton-cg or "
        "l-bfgs"
    )):  # fmt: skip
        nf.solve(wide(False), method, rounds=1)


@pytest.mark.parametrize("method", LESS)
def test_who_keeps_less_is_served(one_gib, method):
    """Where rows are sparse, their support is what newton learns."""
    problem = wide(sparse=method in ("newton", "nl1"))
    assert as_method(method).resolved(problem).name == method.partition(",")[0]
