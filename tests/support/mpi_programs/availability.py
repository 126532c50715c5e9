"""Solves whose clients come and go, and one whose clients are lost; a line of JSON of what was found."""

from __future__ import annotations

import json

import newtonfl as nf
from newtonfl.comm.launcher import launched

AWAY = "independent:0.7"
"""Three clients in ten are away, in every round."""


def solved(comm=None):
    """Hashes of the answers, and who was missing."""
    problem = nf.load("breast_cancer", clients=8, comm=comm)
    found = {}
    for method, on_missing in (("bl2", "skip"), ("newton-3pc", "wait")):
        result = nf.solve(problem, method, availability=AWAY, on_missing=on_missing, rounds=15, tol=0.0)
        missing = [record.missing for record in result.history[1:]]
        found[on_missing] = [result.x_sha256, missing, result.history[-1].waits]
    lost = nf.solve(problem, "bl2", availability="lost:3:4", on_missing="skip", rounds=15, tol=0.0)
    others = problem.without([0, 1, 5])
    final = nf.solve(others, "bl2", x0=lost.x, tol=1e-9)
    found["lost"] = [lost.reason.name, lost.rounds, others.objective, final.x_sha256]
    try:
        nf.solve(problem, "newton-3pc", availability=AWAY, rounds=15)
    except (nf.MissingClients, RuntimeError) as error:
        found["raise"] = str(error).removeprefix("rank 0, the server: MissingClients: ")
    return found


if __name__ == "__main__":
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    found = solved(comm)
    if comm is None or comm.Get_rank() == comm.Get_size() - 1:  # the last rank knows as much as the first
        print(json.dumps(found))
