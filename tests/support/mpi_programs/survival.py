"""Cox regression from arrays and by the estimator, on any number of ranks; a line of JSON of what was found."""

from __future__ import annotations

import json

import numpy as np

import newtonfl as nf
from newtonfl.comm.launcher import launched

DRAW = np.random.Generator(np.random.Philox(23))
X = DRAW.standard_normal((90, 3))
SITES = np.repeat(np.arange(4), [11, 30, 9, 40])
TIMES = np.ceil(5.0 * DRAW.exponential(np.exp(-X @ [0.6, -0.3, 0.0]) * (1 + SITES)))
EVENTS = DRAW.random(90) < 0.7
BOTH = np.column_stack([TIMES, EVENTS])


def found(comm=None):
    answers = {}
    for ties in ("efron", "breslow"):
        problem = nf.from_arrays(X, TIMES, f"cox:{ties}", event=EVENTS, clients=SITES, comm=comm)
        result = nf.solve(problem, "newton-3pc", tol=1e-10)
        answers[ties] = [problem.objective, result.x.tolist(), result.rounds, result.ledger.totals()]
        answers[f"{ties} inference"] = nf.inference(problem, result.x).to_json()
        answers[f"{ties} without"] = nf.solve(problem.without([1, 3]), "newton", tol=1e-10).x.tolist()
    own = np.ones(90, bool) if comm is None else SITES % comm.size == comm.rank
    for name, ranks, kept in (("same rows", "same", np.ones(90, bool)), ("own rows", "own", own)):
        model = nf.FederatedCoxRegression(alpha=0.0, ranks=None if comm is None else ranks, inference="model")
        model.fit(X[kept], BOTH[kept], groups=SITES[kept])
        answers[name] = [model.coef_.tolist(), model.inference_.to_json(), model.communication_]
    return answers


if __name__ == "__main__":
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    answers = found(comm)
    if comm is None or comm.rank == comm.size - 1:  # the last rank knows as much as the first
        print(json.dumps(answers))
