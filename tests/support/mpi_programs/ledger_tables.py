"""What every preset's ledger says by part, a line a preset: the same in one process and on any number of ranks."""

from __future__ import annotations

import json

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.launcher import launched

ROUNDS = 3


def solved(name, transport=None):
    """A few rounds of a preset, of four clients."""
    problem = nf.load("breast_cancer", clients=4, comm=transport)
    problem.transport = transport
    extra = {"optimum": nf.optimum(nf.load("breast_cancer", clients=4))[0]} if registry.asks_for_optimum(name) else {}
    return nf.solve(problem, registry.method(name, extra), rounds=ROUNDS)


if __name__ == "__main__":
    from mpi4py import MPI

    assert launched() is not None
    for name in registry.METHODS:
        table = list(solved(name, nf.load("breast_cancer", clients=4, comm=MPI.COMM_WORLD).transport).ledger.table())
        every = MPI.COMM_WORLD.gather(table)
        if MPI.COMM_WORLD.rank == 0:
            assert all(other == table for other in every), "ranks returned different tables"
            print(json.dumps({"preset": name, "table": table}), flush=True)
