"""Which problems there are, and their clients' values by direct formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from cases import LOSSES, dense_glm, sparse_glm

from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Problem
from newtonfl.objectives.glm import GLM

NAMES = [name for name, _, _ in LOSSES]
MAKERS = [dense_glm, sparse_glm]
EACH = pytest.mark.parametrize("make", MAKERS, ids=["dense", "sparse"])
EACH_LOSS = pytest.mark.parametrize("loss", NAMES)


def direct(problem: GLM, i: int, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """f_i, ∇f_i and ∇²f_i at x, row by row: f_i = (n/Σw) Σ w_j φ(a_jᵀx, y_j)."""
    rows, labels, weights = problem.host
    rows = rows.toarray() if scipy.sparse.issparse(rows) else rows
    weights = np.ones(len(rows)) if weights is None else weights
    value, gradient, hessian = 0.0, np.zeros(problem.dim), np.zeros((problem.dim, problem.dim))
    for j in range(problem.rows.offsets[i], problem.rows.offsets[i + 1]):
        a, y, w = rows[j], labels[j : j + 1], weights[j] * problem.n_clients / weights.sum()
        t = np.array([a @ x])
        value += w * problem.loss.value(t, y)[0]
        gradient += w * problem.loss.slope(t, y)[0] * a
        hessian += w * problem.loss.curvature(t, y)[0] * np.outer(a, a)
    return value, gradient, hessian


def on_clients(problem: Problem, x: np.ndarray) -> list[np.ndarray]:
    """Everything that a problem can tell of its clients at x, fresh."""
    problem.forget()
    point = problem.at(x)
    told = [point.value, point.gradient, point.hessians.values.reshape(-1, triangle(problem.dim).size)]
    return told
