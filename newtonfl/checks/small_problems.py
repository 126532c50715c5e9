"""Small problems, on which parts are tried that need one."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from newtonfl.objectives.base import Problem
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic


def dense_problem() -> Problem:
    """Logistic regression: 6 coordinates, 4 clients of unequal size."""
    return _problem([9, 14, 6, 11], 1.0)


def sparse_problem() -> Problem:
    """The same with rows that are mostly zeros, all of them with the second client."""
    return _problem([9, 4, 6, 11], 0.4)


def _problem(sizes: list[int], share: float) -> Problem:
    draw, dim = np.random.default_rng(0), 6
    rows = draw.standard_normal((sum(sizes), dim))
    labels = np.where(rows @ draw.standard_normal(dim) + draw.logistic(size=len(rows)) > 0, 1.0, -1.0)
    more = {"n_clients": len(sizes), "ridge": 0.1, "objective": "logistic loss, random rows"}
    if share == 1.0:
        return GLM(rows, labels, sizes, Logistic(), float(len(rows)), **more)
    rows *= draw.random(rows.shape) < share
    rows[sizes[0] : sizes[0] + sizes[1]] = 0.0
    return GLM(scipy.sparse.csr_array(rows), labels, sizes, Logistic(), float(len(rows)), **more)
