"""Graphs and nonsmooth terms refuse in plain words what they cannot be; graphs of one's own are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.components.graph import Graph
from newtonfl.components.graph.base import checked_mixing

RING = nf.Ring().mixing(4).toarray()


@dataclass(frozen=True, eq=False)
class Own(Graph):
    """Edges and weights as they are given."""

    made: object = None
    weights: object = None

    def edges(self, n_clients):
        return self.made

    def mixing(self, n_clients):
        return super().mixing(n_clients) if self.weights is None else self.weights


@pytest.mark.parametrize(
    "made",
    [
        [[0, 1], [1, 2], [2, 3]], np.array([[0.0, 1.0]]), np.array([[-1, 0]]), np.array([[0, 9]]), np.array([[0, 0]]),
        np.array([[1, 0]]), np.array([[0, 1], [0, 1]]), np.arange(4), None,
    ],
)  # fmt: skip
def test_edges_of_ones_own_must_be_pairs_of_clients(made):
    with pytest.raises(ValueError, match=r"graph=.*: edges\(4\) gave .*must be an integer array of shape"):
        Own(made).mixing(4)


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        (2.0 * RING, "a row whose sum differs from 1 by 1"),
        (RING + np.diag([0.1, 0.0, 0.0], 1) - np.diag([0.1, 0.0, 0.0, 0.0]), "differ by 0.1"),
        (RING * np.nan, "numbers that are not finite"),
        (np.eye(3), r"of shape \(3, 3\), must be \(4, 4\)"),
        ([[1.0]], "must be a csr_array"),
        (np.eye(4), "no path leads from client 0 to client 1"),
        (3.0 * RING - 2.0 * np.eye(4), "the eigenvalue -3 beside 1, with which differences stay or grow, must"),
        (2.0 * np.eye(4) - RING, r"the eigenvalue 1\.66666666667 beside 1, with which differences stay or grow"),
        (np.eye(4) - np.outer([1, 2, -1, -2], [1, 2, -1, -2]) / 10.0, "the eigenvalue 1 beside 1"),
    ],
)
def test_weights_of_ones_own_must_mix(weights, why):
    with pytest.raises(ValueError, match=rf"graph=.*: .*{why}"):
        checked_mixing(Own(weights=weights), 4)


def test_edges_of_ones_own_are_looked_at_beside_weights_too():
    """DADAO uses edges, whatever the weights are."""
    problem = nf.load("breast_cancer", clients=4, l2=0.1)
    for made, why in ([[[0, 1], [2, 3]], "no path leads from"], [[[0, 1], [2, 9]], "must be an integer array"]):
        with pytest.raises(ValueError, match=why):
            nf.solve(problem, nf.dadao(graph=Own(np.array(made), RING)), rounds=1)


def test_weights_of_ones_own_are_the_same_array_every_time():
    graph = Own(weights=RING)
    assert checked_mixing(graph, 4) is checked_mixing(graph, 4)
    assert np.array_equal(checked_mixing(graph, 4).toarray(), RING) and graph.spectrum(4) == nf.Ring().spectrum(4)
    faster = 2.0 * RING - RING @ RING  # some below 0, and eigenvalues from -7/9
    assert np.array_equal(checked_mixing(Own(weights=faster), 4).toarray(), faster) and faster.min() < 0.0
    unsigned = Own(np.array([[0, 1], [0, 3], [1, 2], [2, 3]], np.uint64))
    assert np.array_equal(checked_mixing(unsigned, 4).toarray(), RING)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        *[(lambda pairs=pairs: nf.Edges(pairs), "edges: given .* pairs of") for pairs in ((0, 1), 5, None)],
        *[
            (lambda pair=pair: nf.Edges((pair,)), "must be the numbers of two clients")
            for pair in ((True, 0), (0, 1, 2), (0, -1), ("a", 1), (1, 1))
        ],
        *[
            (lambda seed=seed: nf.ErdosRenyi(0.5, seed), "seed: given .*, must be a whole number from 0 to")
            for seed in ("a", 1.5, None, True, -3, 2**200)
        ],
        *[
            (lambda weight=weight: nf.L1(weight), "weight: given .*, must be a finite number above 0")
            for weight in ("a", None, np.ones(2), 1j, True, 10**400)
        ],
        *[
            (lambda ends=ends: nf.Box(*ends), "box: given .*, must be two numbers, the first one smaller")
            for ends in (("a", "b"), (None, 1), (np.ones(2), 2), (-np.inf, np.inf), (1, 0), (np.nan, 1), (True, 2))
        ],
    ],
)
def test_what_cannot_be_is_said(make, why):
    with pytest.raises(ValueError, match=why):
        make()


def test_numpys_numbers_are_numbers():
    assert nf.Edges(np.array([[2, 1]])).pairs == ((1, 2),) and nf.L1(np.float32(0.5)).formula() == "0.5‖x‖₁"
    assert nf.ErdosRenyi(0.9, np.int64(3)).edges(3).tolist() == nf.ErdosRenyi(0.9, 3).edges(3).tolist()
    assert nf.Box(-np.inf, np.float32(1.0)).high == 1.0 and nf.fib_ios(grid=np.float32(0.5)).grid == 0.5
