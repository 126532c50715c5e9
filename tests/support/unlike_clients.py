"""A problem of unlike clients: plain averages of their local steps do not reach its minimiser."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import transcriptions as T

import newtonfl as nf

N, M, D, RIDGE = 8, 30, 10, 0.1


@cache
def unlike():
    """Ridge logistic regression of unlike clients: rows grow with the client, and L_i/μ by a factor of 8."""
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(N, M, D)) * np.linspace(0.7, 3.6, N)[:, None, None]
    labels = np.sign(np.einsum("nmd,nd->nm", rows, generator.normal(size=(N, D))) + 0.3 * generator.normal(size=(N, M)))
    problem = nf.from_arrays(rows.reshape(-1, D), labels.ravel(), clients=N, l2=RIDGE)
    dense = T.Logistic(list(rows), list(labels), RIDGE)
    return SimpleNamespace(
        problem=problem, p=dense, x_star=nf.optimum(problem)[0], each=problem.client_smoothness + RIDGE
    )
