"""Inference on breast_cancer by each covariance; a line of JSON of what was found."""

from __future__ import annotations

import json

import newtonfl as nf
from newtonfl.comm.launcher import launched


def found(comm=None):
    problem = nf.load("breast_cancer", clients=8, comm=comm)
    x = nf.solve(problem, "newton", tol=1e-9).x
    return {
        covariance: [result.to_json(), result.ledger.totals()]
        for covariance in ("model", "HC0", "cluster")
        for result in [nf.inference(problem, x, covariance=covariance)]
    }


if __name__ == "__main__":
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    answers = found(comm)
    if comm is None or comm.Get_rank() == comm.Get_size() - 1:  # the last rank knows as much as the first
        print(json.dumps(answers))
