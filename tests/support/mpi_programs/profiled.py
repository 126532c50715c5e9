"""A profiled solve over ranks; a line of JSON: every rank's table, and whether all ranks have the same."""

from __future__ import annotations

import json
import sys
import time

from mpi4py import MPI

import newtonfl as nf

comm = MPI.COMM_WORLD
problem = nf.load("breast_cancer", clients=6, comm=comm)


def look(record, state):
    time.sleep(0.01)  # on rank 0, while the others wait


profile = comm.Get_rank() < 2 if "apart" in sys.argv else True
result = nf.solve(problem, "bl1", rounds=10, tol=0.0, callback=look, profile=profile)
tables = comm.gather(result.profile.to_json())
if comm.Get_rank() == 0:
    plain = nf.load("breast_cancer", clients=6)
    same_bits = nf.solve(plain, "bl1", rounds=10, tol=0.0).x_sha256 == result.x_sha256
    print(json.dumps([tables[0], all(table == tables[0] for table in tables), same_bits]))
