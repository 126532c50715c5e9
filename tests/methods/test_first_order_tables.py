"""The first-order tables' program on a small instance: its plain recursions against the library."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_programs import program
from reference_data import need

import newtonfl as nf


@pytest.fixture(scope="module")
def tables():
    with program("first_order_tables") as tables:
        yield tables


@pytest.fixture(scope="module")
def bench(tables):
    need("syn40")
    return tables.Bench(tables.by_twenty("syn40"), 3e-2, [2.0, 4.0, 8.0], 200)


@pytest.mark.data
def test_a_small_heat_map(tables, bench):
    """The library needs the rounds and the bits that the recursion needs, with its own theoretical step."""
    (ef21, clag), (gd, late) = tables.heat_map(bench, [4, 40], [0.0, 8.0])
    assert (bench.cells, bench.differ) == (4, 0)
    assert ef21.bits == 32 * 40 + 32 * 4 * ef21.rounds
    assert gd.bits == 32 * 40 * (1 + gd.rounds)
    assert clag.bits < 32 * 40 + 32 * 4 * clag.rounds
    assert late.bits < 32 * 40 * (1 + late.rounds)


@pytest.mark.data
def test_a_ladder(tables, bench):
    way = tables.Way((1, 4, 20), 2.0)
    rounds, bits = bench.play(way, 8.0, np.inf, bench.rounds)
    taken = tables.arrive(bench.problem, way.method(bench.problem, 8.0), bench.tol, bench.rounds)
    assert taken == (rounds, pytest.approx(bits, rel=1e-12)) and np.isfinite(bits)


@pytest.mark.data
def test_the_best_multiple_is_the_best_of_all(tables, bench):
    way = tables.Way((4,), 8.0)
    every = {multiple: bench.play(way, multiple, np.inf, bench.rounds)[1] for multiple in bench.multiples}
    for near in (2.0, 8.0):
        found = bench.best(way, near)
        assert found.bits == min(every.values()) == every[found.multiple] < np.inf


@pytest.mark.parametrize("over", ["clients", "aggregate"])
def test_the_dense_m_fac(tables, over):
    bench = tables.Bench(nf.load("breast_cancer", clients=6), 2e-2, [1.0], 300)
    gamma = 2.0 * 0.1 / bench.smoothness[0]
    method = nf.m_fac(window=4, dampening=0.1, over=over, stepsize="theory*2")
    rounds = tables.arrive(bench.problem, method, bench.tol, 300)[0]
    assert 4 < rounds == tables.descend(bench, gamma, 300, 4, 0.1, over)


def test_the_published_map_has_its_least_inside(tables):
    told = tables.tell_shape(np.array(list(tables.IJCNN1.values())), list(tables.IJCNN1), tables.ZETAS)
    assert told.startswith("least 2,216 at K=3, ζ=128 (K < d, ζ > 0)") and "1.36" in told and "2.21" in told
