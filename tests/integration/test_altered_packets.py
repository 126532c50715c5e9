"""Packets altered on their way through a whole solve, with a right checksum: refused in words, or harmless."""

from __future__ import annotations

import copy
from collections import Counter
from functools import cache

import numpy as np
import pytest
from altered import CHANGES, Altering
from cases import dense_glm, sparse_glm

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.coding import WireError

REFUSED = ("kind", "client")
"""What is always refused, whether it would have done harm or not."""

NAMES = [name for name in registry.METHODS if not registry.asks_for_optimum(name)]
PROBLEMS = {"dense": dense_glm(n=4), "sparse": sparse_glm(n=4)}
INHERENT = ("byte", "cut", "part", "form", "section taken out", "flags")
"""What may make another packet that could have been meant: other numbers, another coin, a part that may be missing."""


def solve(name, problem, transport=None):
    mine = copy.copy(problem)
    mine.transport = transport
    with np.errstate(all="ignore"):
        return nf.solve(mine, name, rounds=3, tol=0.0)


@cache
def unaltered(name, kind):
    return solve(name, PROBLEMS[kind]).x_sha256


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", PROBLEMS)
def test_an_altered_packet_is_refused_or_does_no_harm(change, kind):
    """Whatever packet of whatever method: no error but a WireError, and no other x but by other numbers."""
    draw = np.random.default_rng(CHANGES.index(change))
    ends = Counter()
    for name in NAMES:
        for when in (1, 2, 3, 4, int(draw.integers(5, 9))):
            transport = Altering(change, when, draw)
            try:
                result = solve(name, PROBLEMS[kind], transport)
            except WireError:
                ends["refused"] += 1
                continue
            assert not (transport.done and change in REFUSED), (name, when)
            same = result.x_sha256 == unaltered(name, kind)
            assert same or (transport.done and change in INHERENT), (name, when)
            ends["same" if same else "other"] += 1
    # Another byte of a whole vector is another number: codes alone refuse one, some twenty times in these draws.
    assert ends["refused"] > (10 if change == "byte" else 20) or change in ("order", "round")
