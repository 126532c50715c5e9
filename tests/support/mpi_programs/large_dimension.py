"""Solves a problem of more than a thousand columns in the data basis, and tells a line of JSON a method."""

from __future__ import annotations

import json

import numpy as np

import newtonfl as nf
from newtonfl.comm.launcher import launched

DIM = 1100
METHODS = {
    "project": lambda: nf.bl1(compressor=nf.TopK(3)),
    "shift": lambda: nf.bl1(compressor=nf.TopK(3), step="shift"),
    "plain, searched": lambda: nf.bl1(compressor=nf.TopK(3), step="plain", line_search=3),
    "rank": lambda: nf.bl1(compressor=nf.RankR(1), step="shift", shift_norm="spectral", init="zero"),
    "some clients": lambda: nf.bl2(compressor=nf.TopK(3), participation=nf.Uniform(3)),
}


def problem(comm=None, intercept=False, l2=0.05):
    """Five clients of six rows each; the third has the same row twice."""
    draw = np.random.default_rng(5)
    rows = draw.standard_normal((30, DIM)) * np.geomspace(1.0, 0.1, DIM)
    rows[13] = rows[15]
    labels = np.where(rows @ draw.standard_normal(DIM) > 0, 1.0, -1.0)
    return nf.from_arrays(rows, labels, l2=l2, clients=5, comm=comm, intercept=intercept)


def solved(method, rounds=8, comm=None):
    """What a solve found, as JSON has it."""
    result = nf.solve(problem(comm), method, rounds=rounds, tol=1e-9, seed=3)
    history = [{k: v for k, v in json.loads(record.to_json()).items() if k != "seconds"} for record in result.history]
    return {"x": result.x_sha256, "history": history, "ledger": result.ledger.totals(), "reason": result.reason.value}


if __name__ == "__main__":
    if launched() is None:
        world, rank = None, 0
    else:
        from mpi4py import MPI

        world, rank = MPI.COMM_WORLD, MPI.COMM_WORLD.Get_rank()
    for name, make in METHODS.items():
        line = json.dumps({"name": name, **solved(make(), comm=world)})
        if rank == 0:
            print(line, flush=True)
