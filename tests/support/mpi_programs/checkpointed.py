"""Solves with a checkpoint, and kills its own rank 0 where it is told to; a line of JSON of what was found.

Run as a program: ``python checkpointed.py NAME FOLDER ROUND`` with a name from :data:`METHODS`; ROUND -1 kills none.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys

import newtonfl as nf
from newtonfl.comm.launcher import launched

METHODS = {
    "bl1": lambda: nf.bl1(),
    "newton-3pc-bc-pp": lambda: nf.newton_3pc_bc_pp(participation="uniform:0.5"),
    "fednl-cr": lambda: nf.fednl_cr(),
    "adacgd": lambda: nf.adacgd(),
    "ef21-pp": lambda: nf.ef21_pp(participation="independent:0.5"),
    "m-fac": lambda: nf.m_fac(),
}
ROUNDS = 12


def solved(name, folder=None, kill=-1, comm=None, rounds=ROUNDS):
    """What can be compared of a solve that is killed before round `kill` is kept."""
    problem = nf.load("breast_cancer", clients=8, comm=comm)

    def look(record):
        if record.round == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    result = nf.solve(problem, METHODS[name](), rounds=rounds, tol=0.0, checkpoint=folder, callback=look)
    history = [{**json.loads(record.to_json()), "seconds": 0} for record in result.history]
    arrays = result.ledger.to_arrays()
    digest = hashlib.sha256(b"".join(arrays[key].tobytes() for key in sorted(arrays))).hexdigest()
    return {"x": result.x_sha256, "history": history, "ledger": digest}


if __name__ == "__main__":
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    found = solved(sys.argv[1], sys.argv[2], int(sys.argv[3]), comm)
    if comm is None or comm.Get_rank() == 0:
        print(json.dumps(found))
