"""Several solves of one problem at once: in threads, in a callback; each as if it were alone."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cases import dense_glm, sparse_glm
from cut_off import same

import newtonfl as nf

METHODS = ["newton-3pc", "bl1,basis=data", "fednl,ridge=clients", "ef21", "nl1", "lattice-newton"]


@pytest.mark.parametrize("method", METHODS)
def test_a_solve_in_a_callback(method):
    """Neither the inner nor the outer one sees the other, nor what the callback asks of the problem itself."""
    problem = dense_glm(n=5)
    alone = nf.solve(dense_glm(n=5), method, rounds=6, tol=0.0)
    inner = []

    def look(record):
        inner.append(nf.solve(problem, method, rounds=6, tol=0.0))
        nf.optimum(problem)

    same(alone, nf.solve(problem, method, rounds=6, tol=0.0, callback=look))
    assert len(inner) == 7
    for result in inner:
        same(alone, result)
    same(alone, nf.solve(problem, method, rounds=6, tol=0.0))  # and the problem is as it was


@pytest.mark.parametrize("make", [dense_glm, sparse_glm])
def test_solves_in_threads(make):
    """Six methods, four threads, one problem: x, records and ledgers are those of one after the other."""
    problem, turns = make(n=5), METHODS * 3
    alone = {method: nf.solve(make(n=5), method, rounds=8, tol=0.0) for method in METHODS}
    ready = threading.Barrier(4)

    def work(method):
        if ready.n_waiting < 4 and not ready.broken:
            with contextlib.suppress(threading.BrokenBarrierError):
                ready.wait(1)
        return nf.solve(problem, method, rounds=8, tol=0.0)

    with ThreadPoolExecutor(4) as pool:
        for method, result in zip(turns, pool.map(work, turns), strict=True):
            same(alone[method], result)


def test_the_blas_limit_is_given_back():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpoolctl.threadpool_limits(2, "blas"):
        before = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
        nf.solve(dense_glm(), "newton-3pc", rounds=2)
        with pytest.raises(RuntimeError):
            nf.solve(dense_glm(), "newton-3pc", callback=lambda record: (_ for _ in ()).throw(RuntimeError("no")))
        first_has_begun, second_has_ended = threading.Event(), threading.Event()

        def first(record):
            first_has_begun.set()
            second_has_ended.wait(5)

        thread = threading.Thread(target=lambda: nf.solve(dense_glm(), "newton", rounds=1, callback=first))
        thread.start()
        first_has_begun.wait(5)  # within it the second one begins, and ends after it
        nf.solve(dense_glm(), "newton", rounds=1, callback=lambda record: second_has_ended.set() or thread.join(5))
        assert not thread.is_alive()
        assert [library["num_threads"] for library in threadpoolctl.threadpool_info()] == before


def test_what_an_ended_solve_held_is_free(tmp_path: Path):
    """Also where it ended in an error: the next one counts its own Hessians on the problem itself."""
    problem = dense_glm()
    with pytest.raises(ZeroDivisionError):
        nf.solve(problem, "newton", rounds=3, tol=0.0, callback=lambda record: 1 / 0)
    nf.solve(problem, "newton", rounds=3, tol=0.0)
    assert problem.hessian_counts.tolist() == [3] * 4
