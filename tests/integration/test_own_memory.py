"""Mechanisms with a memory of their own: kept wherever a method has a mechanism, and in the same bits on any ranks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mpi_launch import launch
from mpi_programs import own_memory
from mpi_programs.own_memory import METHODS, Impatient, Momentum, solved, vectors

import newtonfl as nf
from newtonfl.bases import Coordinates
from newtonfl.checks import check_mechanism, check_method
from newtonfl.comm.messages import Nothing
from newtonfl.components.participation import Participation
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

PROGRAM = Path(own_memory.__file__)


@pytest.fixture(scope="module")
def alone():
    return {name: json.loads(json.dumps(solved(make()))) for name, make in METHODS.items()}


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_same_bits_on_any_number_of_ranks(ranks, alone):
    ended = launch(ranks, PROGRAM, timeout=120)
    assert ended.status == 0, ended.err
    found = {line.pop("name"): line for line in map(json.loads, ended.out.splitlines())}
    assert found == alone


@pytest.mark.parametrize("name", METHODS)
def test_every_place_keeps_it(name, alone, monkeypatch):
    """Were the memory lost or never moved on, the run would be that of a mechanism that stays at its first one."""
    for kind in (Momentum, Impatient):
        monkeypatch.setattr(kind, "update_own_memory", lambda self, points, messages, encoder, coin: points.own)
    assert solved(METHODS[name]())["x"] != alone[name]["x"]


@pytest.mark.parametrize("name", METHODS)
def test_the_checks_of_methods_pass(name):
    """Among them that the clients' state has their axis first, and that no client depends on its neighbours."""
    # By a name of its own: these mechanisms have none that a preset's settings could be read back from.
    method = replace(METHODS[name](), name="own")
    check_method(method, nf.load("breast_cancer", clients=7), rounds=12, falls=0.9, first_order=False)


@dataclass(frozen=True)
class Pairs(Participation):
    """Clients 2k and 2k + 1 by turns."""

    text = "pairs"

    def draw(self, n_clients, key):
        return np.array([0, 1]) + 2 * (key.round % (n_clients // 2))

    def share(self, n_clients):
        return 2 / n_clients


def test_momentum_under_partial_participation():
    """Written out: v_i and h_i move when client i takes part, and begin at ∇f_i(x⁰), which round 0 sends whole."""
    problem, gamma, beta, k = nf.load("breast_cancer", clients=6), 0.5, 0.4, 7
    method = vectors(
        nf.ef21_pp(stepsize=gamma, participation=nf.Uniform(2)), Momentum(nf.TopK(k), beta), participation=Pairs()
    )
    x = np.zeros(problem.dim)
    h = problem.at(x).gradient + 0.0
    v = h.copy()
    for number in range(1, 13):
        x = x - gamma * (h.mean(axis=0) + problem.ridge * x)
        for i in 2 * (number % 3), 2 * (number % 3) + 1:
            v[i] = (1 - beta) * v[i] + beta * problem.at(x).gradient[i]
            change = v[i] - h[i]
            kept = np.argsort(-abs(change))[:k]
            h[i, kept] += change[kept]
    result = nf.solve(problem, method, rounds=13, tol=0.0)
    np.testing.assert_allclose(result.x, x - gamma * (h.mean(axis=0) + problem.ridge * x), rtol=1e-10, atol=1e-13)


def test_nobody_keeps_still_for_longer_than_allowed():
    """The message that a client sends after `most` silent rounds starts its count again."""
    mechanism = Impatient(nf.TopK(2), zeta=1e9, most=2)
    space = nf.Symmetric().from_setup(3, [{}] * 2)
    draw, key = np.random.default_rng(0), Key(0)
    memory = mechanism.init_memory(_blocks(draw), _blocks(draw))
    spoken = []
    for k in range(7):
        sent = mechanism.send(memory, _blocks(draw), space, np.arange(2), key.at(k))
        memory = sent.memory
        spoken.append([not isinstance(message, Nothing) for message in sent.messages])
        np.testing.assert_allclose(memory.own.left.values, sent.residual.values, rtol=0, atol=1e-14)
    assert spoken == [[k % 3 == 2] * 2 for k in range(7)]


def _blocks(draw):
    return Blocks.of([draw.standard_normal(6) for _ in range(2)])


@pytest.mark.parametrize(
    "mechanism", [Momentum(nf.TopK(5)), Momentum(nf.Natural(), 0.2), Impatient(nf.TopK(5))], ids=str
)
def test_check_mechanism_passes_them(mechanism):
    check_mechanism(mechanism, dim=4, draws=50)
    check_mechanism(nf.ThreePCv3(nf.TopK(3), replace(mechanism, compressor=nf.TopK(4))), dim=4, draws=50)


def test_mechanisms_without_one_keep_none():
    assert nf.CLAG(nf.TopK(2)).init_memory(_blocks(np.random.default_rng(0))).own is None


@dataclass(frozen=True)
class Resting(Momentum):
    """Momentum that rests on tails."""

    coin = 0.5

    def skips(self, coin):
        return not coin


def test_within_v3_it_rests_where_its_mechanism_does():
    """On tails v3 corrects h alone, and what the mechanism remembers stays as it is."""
    mechanism, space, draw = (
        nf.ThreePCv3(nf.TopK(2), Resting(nf.TopK(2))),
        Coordinates(np.full(2, 6)),
        np.random.default_rng(0),
    )
    memory = mechanism.init_memory(_blocks(draw), _blocks(draw))
    told = memory.own.values.copy()
    sent = mechanism.send(memory, _blocks(draw), space, np.arange(2), Key(0), False)
    np.testing.assert_array_equal(sent.memory.own.values, told)


@dataclass(frozen=True)
class Anchored(nf.EF21):
    """Remembers h⁰ for good."""

    def init_own_memory(self, estimate):
        return estimate


def test_what_is_never_moved_on_stays():
    mechanism, draw = Anchored(nf.TopK(2)), np.random.default_rng(0)
    memory = mechanism.init_memory(_blocks(draw))
    sent = mechanism.send(memory, _blocks(draw), Coordinates(np.full(2, 6)), np.arange(2), Key(0))
    assert sent.memory.own is memory.own
