"""Costs as ratios of two things measured in turn in this process: what a busy machine slows, it slows alike."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import dump_svmlight_file

import newtonfl as nf
from newtonfl.core.backend import one_blas_thread
from newtonfl.datasets.libsvm_reader import read_libsvm


def ratio(one, other, repeats=5):
    """How many times the CPU seconds of `other` those of `one` are: the median of pairs, after a pair not counted."""
    found = []
    for _ in range(repeats + 1):
        stamps = [time.process_time()]
        for call in (one, other):
            call()
            stamps.append(time.process_time())
        found.append((stamps[1] - stamps[0]) / (stamps[2] - stamps[1]))
    return statistics.median(found[1:])


def rounds_of(problem, method, rounds):
    """The CPU seconds of each round, with its record."""
    stamps = []
    nf.solve(problem, method, rounds=rounds, tol=0.0, callback=lambda record: stamps.append(time.process_time()))
    return [after - before for before, after in pairwise(stamps)]


def clients(n, m, d):
    draw = np.random.default_rng(n)
    X = draw.standard_normal((n * m, d))
    return nf.from_arrays(X, np.sign(X[:, 0] + draw.standard_normal(n * m)), l2=1e-2, clients=n)


@pytest.mark.slow
def test_a_client_costs_as_much_among_many_as_among_few():
    few, many, method = clients(200, 5, 4), clients(2000, 5, 4), "newton-3pc,compressor=topk:4d"
    pairs = [(min(rounds_of(few, method, 4)) / 200, min(rounds_of(many, method, 2)) / 2000) for _ in range(3)]
    assert statistics.median(b / a for a, b in pairs) < 2.0


def test_a_round_of_wide_dense_rows_costs_its_arithmetic():
    """Margins, slopes, gradients and Hessians of all clients and one Cholesky solve, written out in NumPy."""
    n, m, d, rounds = 4, 2000, 120, 3
    problem = clients(n, m, d)
    blocks, signs = problem.host[0].reshape(n, m, d), problem.host[1].reshape(n, m)

    def arithmetic():
        x = np.zeros(d)
        for _ in range(rounds + 1):
            gradient, hessian = np.zeros(d), np.zeros((d, d))
            for A, s in zip(blocks, signs, strict=True):
                p = 1.0 / (1.0 + np.exp(s * (A @ x)))
                gradient += A.T @ (-s * p) / (n * m)
                hessian += A.T @ (A * (p * (1.0 - p))[:, None]) / (n * m)
            factor = scipy.linalg.cho_factor(hessian + 1e-2 * np.eye(d))
            x = x - scipy.linalg.cho_solve(factor, gradient + 1e-2 * x)

    with one_blas_thread():
        assert ratio(lambda: nf.solve(problem, "newton", rounds=rounds, tol=0.0), arithmetic) < 2.0


def test_reading_libsvm_costs_little_more_than_its_numbers(tmp_path):
    draw, path = np.random.default_rng(5), tmp_path / "f"
    with path.open("wb") as stream:
        dump_svmlight_file(np.round(draw.random((4000, 30)), 3), np.arange(4000) % 2, stream, zero_based=False)
    content = path.read_bytes()
    numbers = content.replace(b":", b" ")
    assert ratio(lambda: read_libsvm(path, None), lambda: list(map(float, numbers.split()))) < 2.5
