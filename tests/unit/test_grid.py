"""Rounding to a grid: what it loses, what it costs, and what its message refuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from cases import dense_glm
from hypothesis import given, settings
from hypothesis import strategies as st

import newtonfl as nf
from newtonfl import EF21, Grid, Key
from newtonfl.bases import Coordinates
from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Dense, Integers, Nothing
from newtonfl.core.ragged import Blocks

KEY = Key(0)
DRAW = np.random.default_rng(0)


def decoded(message, size):
    values = message.coordinates()[1]
    return np.zeros(size) if len(values) == 0 and size else values


@pytest.mark.parametrize("width", [2.0**-40, 0.01, 0.25, 1.0, 1.99])
@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-160, 1.0, 1e160, 1e307])
def test_no_coordinate_is_off_by_more_than_half_the_grid(width, scale):
    """Gaussian, one large among small, and alike; where the grid is a float, the contract's bound holds too."""
    for v in (DRAW.standard_normal(50), np.eye(50)[7] + 1e-9, np.ones(3), np.array([-2.0])):
        v = scale * v
        off = np.abs(decoded(Grid(width).compress(v, KEY), len(v)) - v)
        rms = scale * np.sqrt(np.mean((v / scale) ** 2))
        assert off.max() <= width * rms / 2 * (1 + 1e-12) + 1e-323
        if scale > 1e-200:
            assert np.sum((off / scale) ** 2) <= width**2 / 4 * np.sum((v / scale) ** 2) * (1 + 1e-12)


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_its_bytes_are_near_the_entropy(width):
    """Of Laplace's law within 1 %, of a Gaussian within 4 %: the integers' own empirical entropy, and a few bytes."""
    for v, more in ((DRAW.laplace(size=20_000), 1.01), (DRAW.standard_normal(20_000), 1.04)):
        message = Grid(width).compress(v, KEY)
        counts = np.unique(message.codes, return_counts=True)[1]
        entropy = -np.sum(counts * np.log2(counts / len(v))) / 8
        assert entropy <= len(message.payload()) <= more * entropy + 8


def test_zeros_need_no_code_and_what_is_not_finite_stays():
    clients = Blocks.of([np.zeros(4), np.array([1.0, np.nan]), np.zeros(0), np.array([3.0]), np.array([np.inf])])
    found = Grid().compress_all(clients, [KEY.of(i) for i in range(5)])
    assert [type(message) for message in found] == [Nothing, Dense, Nothing, Integers, Dense]
    assert np.isnan(found[1].values[1])


def test_the_grid_gets_finer_with_the_differences():
    """EF21 of a fixed target: what is left shrinks by width/2 a round at least, down to rounding."""
    target = Blocks.of([DRAW.standard_normal(30) * 10.0 ** DRAW.uniform(-6, 6, 30)])
    mechanism, space = EF21(Grid(0.5)), Coordinates(target.sizes)
    memory, left = mechanism.init_memory(Blocks.of([np.zeros(30)])), [np.linalg.norm(target.values)]
    for k in range(12):
        memory = mechanism.send(memory, target, space, np.array([0]), Key(0, k)).memory
        left.append(np.linalg.norm((target - memory.estimate).values))
    assert all(after <= 0.25 * before * (1 + 1e-12) for before, after in pairwise(left))


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=30), st.integers(0, 40))
def test_whatever_bytes_are_read_or_refused(code, size):
    """And what is read is what these numbers are coded as, or a code of them under another law."""
    try:
        message = Integers.read(memoryview(code), size, "float64")
    except WireError:
        return
    assert len(message.codes) == size and message.payload() == code
    again = Integers.of_many(message.codes, np.array([size]), np.array([message.exponent]))[0]
    read = Integers.read(memoryview(again.payload()), size, "float64")
    assert np.array_equal(read.codes, message.codes) and read.exponent == message.exponent


def test_more_integers_than_the_bytes_can_be_are_refused_without_room_for_them():
    with pytest.raises(WireError, match="6 bytes are not the code of 1000000000000 integers"):
        Integers.read(memoryview(b"\0" * 6), 10**12, "float64")


@pytest.mark.parametrize("width", [0.0, -1.0, 2.0, float("nan"), True, "wide", 2.0**-41])
def test_a_width_that_cannot_be_is_refused(width):
    with pytest.raises(ValueError, match="grid: given the width"):
        Grid(width)


def test_counts_may_be_one_number_for_all(form):
    """Broadcast, as of messages of one size to several clients; numba's forms take arrays that lie in memory alone."""
    result = nf.solve(dense_glm(n=5), "fednl-pp,model=grid:1.9,participation=uniform:3", rounds=5, tol=0.0)
    assert result.rounds == 5
