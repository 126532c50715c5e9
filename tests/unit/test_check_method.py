"""check_method passes every preset, and fails methods that break a promise, saying which."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases import COMPRESSORS, METHODS, dense_glm, functions_problem, sparse_glm

import newtonfl as nf
from newtonfl import registry
from newtonfl.checks import check_basis, check_method
from newtonfl.comm.ledger import Tally
from newtonfl.core.ragged import Blocks
from newtonfl.methods import Announcement, Method
from newtonfl.registry.lookup import Entry, entries

PRESETS = METHODS + [(name, {}) for name in registry.METHODS if name not in dict(METHODS)]


FIRST_ORDER = {name for name, make in registry.METHODS.items() if "stepsize" in inspect.signature(make).parameters}
"""Those whose theory takes small steps."""


@pytest.mark.parametrize(
    "name, settings", [case for case in PRESETS if not registry.asks_for_optimum(case[0])], ids=str
)
def test_methods(name, settings):
    patient = {"rounds": 8, "falls": 0.995} if name in FIRST_ORDER else {"rounds": 4, "falls": 0.5}
    check_method(registry.method(name, settings), dense_glm(n=4), **patient)


SAME_SOCKETS = {
    "ef21-pp", "ef21-hb", "ef21-sgd", "ef21-sgdm", "ef21-page", "clag", "3pc-v1", "3pc-v3", "3pc-v4", "3pc-v5",
    "vr-diana", "vr-marina", "pp-marina", "byz-vr-marina-pp", "ef-bv", "econtrol", "dasha",
}  # fmt: skip
"""First-order presets whose compressors stand in the same sockets as ef21's, 3pc-v2's, marina's and diana's."""
WITH_COMPRESSOR = [
    name
    for name, make in registry.METHODS.items()
    if "compressor" in inspect.signature(make).parameters and name not in SAME_SOCKETS
]
VECTORS = FIRST_ORDER - {"gd", "accelerated-gd"}
UNBIASED = {
    "marina", "pp-marina", "byz-vr-marina-pp", "dasha", "diana", "vr-diana", "artemis", "dore", "adiana", "scallion",
    "locodl", "5gcs-cc", "masha1", "lead", "gradskip-plus",
} & set(registry.METHODS)  # fmt: skip
ROWWISE = ("nl1", "nl2", "cubic-newton-learn")  # compress a number a row: no matrix there


@pytest.mark.slow
@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("name", WITH_COMPRESSOR)
def test_methods_with_every_compressor(name, compressor):
    """Every preset with every compressor that its theory admits; where it does not, it says so."""
    method, problem = registry.METHODS[name](compressor=COMPRESSORS[compressor]), dense_glm(n=3)
    if name in ROWWISE and COMPRESSORS[compressor].acts_on == "symmetric":
        with pytest.raises(ValueError, match="matrices, and"):
            method.resolved(problem)
        return
    if name in VECTORS and COMPRESSORS[compressor].acts_on == "symmetric":
        with pytest.raises(ValueError, match=r"matrices, and these are vectors|is not unbiased"):
            method.resolved(problem)
        return
    if name in (UNBIASED - {"marina"}) | {"masha2"} and COMPRESSORS[compressor].correlated:
        with pytest.raises(ValueError, match="its clients draw together"):
            method.resolved(problem)
        return
    if name in UNBIASED and not unbiased(COMPRESSORS[compressor]):
        with pytest.raises(ValueError, match="is not unbiased: give one that is"):
            method.resolved(problem)
        return
    if compressor == "clip" and name in VECTORS - {"m-fac", "scafcom"}:  # whose steps are not of the compressor
        with pytest.raises(ValueError, match="clip:2 contracts bounded vectors alone"):
            nf.solve(problem, method, rounds=1)
        if name in ("masha2", "beer", "motef", "motef-vr"):  # whose p or γ is of the compressor as well
            return
        method = registry.METHODS[name](compressor=COMPRESSORS[compressor], stepsize=0.1)
    patient = {"rounds": 8, "falls": 0.999} if name in FIRST_ORDER else {"rounds": 3, "falls": 0.9}
    check_method(method, problem, **patient)


def unbiased(compressor):
    contract = compressor.contract(7)
    return isinstance(contract, nf.Unbiased) or (isinstance(contract, nf.Contractive) and contract.delta == 1)


def test_methods_on_sparse_rows_and_functions():
    """On a support, with a client without rows; and on a problem that has none."""
    check_method(nf.newton_3pc(), sparse_glm(n=5), rounds=8, falls=0.5)
    check_method(nf.newton_3pc(), functions_problem()[0], rounds=8, falls=0.5)


@dataclass
class OwnState:
    model: Any
    more: Any = None


@dataclass
class OwnServer:
    x: Any


@dataclass(frozen=True)
class Own(Method):
    """Gradient descent in a few lines, which breaks the promise that it is told to break."""

    breaks: str = ""
    name: str = "own"

    def parameters(self):
        return {"breaks": self.breaks}

    def setup_sizes(self, dim):
        return lambda part, client, heard: dim

    def init_clients(self, problem, x0, key):
        n = len(problem.clients)
        more = {"list": [0.0] * n, "one row": np.zeros(n + 1), "blocks": Blocks.of([np.zeros(2)]), "number": 3.0}
        return [{} for _ in range(n)], OwnState(np.tile(x0, (n, 1)), more.get(self.breaks))

    def init_server(self, facts, x0, setup_messages):
        return x0 if self.breaks == "no x" else OwnServer(x0 + (self.breaks == "other start"))

    def round(self, server, exchange, key):
        size = 3 if self.breaks == "sizes" else len(server.x)
        told = exchange(Announcement(key.round, {"model": nf.Dense(server.x)}), lambda part, client, heard: size)
        mean = np.mean([message.coordinates()[1] for message in told.messages("gradient")], axis=0)
        noise = 1e-6 * np.random.default_rng().random() if self.breaks == "seed" else 0.0
        step = {"no progress": 0.0, "ascent": -1.0, "infinite": np.inf}.get(self.breaks, 1.0)
        return OwnServer(server.x - step * (mean + 0.1 * server.x) + noise)

    def respond(self, clients, announcement, problem, key):
        x = announcement.to_all["model"].coordinates()[1]
        point = problem.at(x)
        gradient = point.gradient + 0.0
        if self.breaks == "neighbours":
            gradient = gradient + 1e-3 * gradient.mean(axis=0)
        if self.breaks == "hessian":
            assert len(point.hessians)
        replies = [{"gradient": nf.Dense(row)} for row in gradient]
        return replies[1:] if self.breaks == "silence" else replies, clients


@pytest.mark.parametrize(
    "breaks, words",
    [
        ("list", r"clients' state.more is list, must be an array"),
        ("number", r"clients' state.more is float, must be an array"),
        ("one row", r"clients' state.more has shape \(5,\), must have the 4 clients' axis first"),
        ("blocks", "clients' state.more has 1 blocks for 4 clients"),
        ("no x", "must have a field x"),
        ("other start", "x must be the start x0"),
        ("sizes", r"a solve must run: WireError.*gradient"),
        ("seed", "the same seed must give the same bits again"),
        ("neighbours", "clients in groups, as on several ranks, must give the same bits"),
        ("no progress", "the gradient norm must fall to 0.5 times its start"),
        ("ascent", "the gradient norm must fall|diverged"),
        ("infinite", "not finite|NotFinite"),
        ("hessian", "of first order, and each client computed"),
        ("silence", "4 of 4 clients were to reply, and 3 replied"),
    ],
)
def test_broken_methods(breaks, words):
    with pytest.raises(AssertionError, match=f"(?s)^own.*{words}"):
        check_method(Own(breaks), dense_glm(n=4), rounds=12, falls=0.5, first_order=True)


def test_an_own_method_that_keeps_its_promises():
    check_method(Own(), dense_glm(n=4), rounds=12, falls=0.5, first_order=True)


@pytest.mark.parametrize("way", ["up", "down", "setup"])
def test_a_false_ledger_is_found(monkeypatch, way):
    count = Tally.count

    def generous(self, clients, length, formula_bits, setup):
        wanted = setup if way == "setup" else not setup and (np.ndim(length) == 1) == (way == "up")
        count(self, clients, length - 1 if wanted else length, formula_bits, setup)

    monkeypatch.setattr(Tally, "count", generous)
    with pytest.raises(AssertionError, match=rf"the ledger has .* bytes {way}.*, the packets"):
        check_method(Own(), dense_glm(n=4), rounds=3)


def test_settings_that_do_not_come_back_are_found(monkeypatch):
    made = registry.METHODS["gd"]
    other = Entry(lambda stepsize="theory": made(stepsize=0.5))
    monkeypatch.setitem(entries("method"), "gd", other)
    with pytest.raises(AssertionError, match=r"gd: its settings .* became"):
        check_method(made(stepsize=0.1), dense_glm(n=4), rounds=3)


def test_a_problem_spread_over_processes_is_refused():
    for check, part in ((check_method, Own()), (check_basis, nf.Symmetric())):
        with pytest.raises(AssertionError, match="must be in this process"):
            check(part, dense_glm(n=4).select(np.array([1, 2])))
