"""Clients in groups and threads, packets measured or laid out: the same solve in every bit."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm, functions_problem, sparse_glm

import newtonfl as nf
import newtonfl.solver.local_clients as local
import newtonfl.solver.session as session
from newtonfl.comm.transport import InProcess
from newtonfl.kernels import compiled

METHODS = {
    "fednl": lambda: nf.fednl(compressor="topk:5"),
    "newton-3pc, some": lambda: nf.newton_3pc(compressor="topk:5", participation="uniform:3"),
    "newton-3pc, lazy": lambda: nf.newton_3pc(mechanism="cbag:0.5/topk:5"),
    "newton-3pc, whole": lambda: nf.newton_3pc(compressor="rank:1", basis="symmetric"),
    "bl1": lambda: nf.bl1(),
    "newton": lambda: nf.newton(),
    "ef21": lambda: nf.ef21(compressor="topk:2"),
    "adacgd": lambda: nf.adacgd(),
    "newton-cg": lambda: nf.newton_cg(),
    "giant": lambda: nf.giant(),
    "dane": lambda: nf.dane(),
    "disco": lambda: nf.disco(client=4),
    "fedns": lambda: nf.fedns(),
}


def traces(result):
    """Everything that a solve leaves: x, the records less the clock, and the ledger."""
    rows = [[value for name, value in vars(record).items() if name != "seconds"] for record in result.history]
    tallies = [getattr(way, kind) for way in (result.ledger.up, result.ledger.down) for kind in vars(way)]
    return result.x.tobytes(), repr(rows), [tally.tolist() for tally in tallies], result.reason


class LaidOut(InProcess):
    """Every packet in bytes, as between ranks."""

    lays_out_all = True


@pytest.mark.parametrize("problem", [lambda: dense_glm(n=6), lambda: sparse_glm(n=6)], ids=["dense", "sparse"])
@pytest.mark.parametrize("method", METHODS)
def test_groups_threads_and_bytes_change_nothing(monkeypatch, method, problem):
    """One group, groups of a client or two, two threads, and packets that are laid out: equal in every bit."""

    def solved():
        return traces(nf.solve(made, METHODS[method](), rounds=7, tol=0.0, seed=3))

    made = problem()
    expected = solved()
    made.transport = LaidOut()
    assert solved() == expected
    made.transport = None
    for numbers, few, threads in ((1, 10**9, 1), (100, 10**9, 1), (1, 1, 2), (10**9, 1, 3)):
        monkeypatch.setattr(local, "_NUMBERS", numbers)
        monkeypatch.setattr(local, "_FEW", few)
        monkeypatch.setattr(session, "threads", lambda ranks, threads=threads: threads)
        made = problem()
        assert solved() == expected
    if compiled.available():
        with compiled.forced("numba"):
            assert solved() == expected


def test_functions_of_a_user_are_asked_by_one_thread_alone(monkeypatch):
    monkeypatch.setattr(local, "_FEW", 1)
    monkeypatch.setattr(session, "threads", lambda ranks: 2)
    problem = functions_problem()[0]
    opened = session.Session(problem, nf.newton_3pc().resolved(problem))
    assert opened.local._pool is None and not problem.threads_well


def test_a_number_that_is_not_finite_ends_the_solve_and_is_no_fault(monkeypatch):
    """Wherever it is found: where packets are only measured, where they are read at once, in a group of many."""
    made = dense_glm(n=6)
    far = np.full(made.dim, 1e200)
    reasons = set()
    for numbers in (10**9, 1):
        monkeypatch.setattr(local, "_NUMBERS", numbers)
        for method in (nf.gd(stepsize=1e200), nf.ef21(compressor="topk:2", stepsize=1e300)):
            with np.errstate(all="ignore"):
                reasons.add(nf.solve(made, method, x0=far, rounds=9).reason)
    assert reasons <= {nf.Reason.NOT_FINITE, nf.Reason.DIVERGED} and nf.Reason.NOT_FINITE in reasons


def test_the_cores_and_the_threads_variable_say_how_many(monkeypatch):
    from newtonfl.comm import launcher

    monkeypatch.setattr(launcher.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for said, ranks, expected in (("", 1, 4), ("", 4, 1), ("3", 1, 3), ("2", 4, 2), ("99", 1, 4), ("none", 1, 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert launcher.threads(ranks) == expected
