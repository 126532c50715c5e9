"""Data that stay where they are: every client has a file, and no rank opens another rank's.

Start it with ``mpiexec -n 3 python mpi_examples/02_every_rank_its_own_file.py``. Six silos of different size are
written as CSV files, each by the rank that holds the silo; a problem file names them by a pattern, and
``split = "files"`` makes every file a client. The ranks see the names of all files and read their own; what they tell
the others is the number of rows and columns, and the labels that occur. There must be at least as many files as ranks.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from mpi4py import MPI

import newtonfl as nf

SILOS = 6
PROBLEM = """
title = "Six silos"
[data]
source = "csv:silo_*.csv"
[objective]
loss = "logistic"
l2 = 1e-2
intercept = true
[clients]
split = "files"
"""

comm = MPI.COMM_WORLD
# Rank 0 makes a folder and tells the others which: bcast returns rank 0's value on every rank.
folder = Path(comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None))
for silo in np.array_split(np.arange(SILOS), comm.size)[comm.rank]:
    draw = np.random.default_rng([1, silo])
    rows = draw.normal(0.2 * silo, 1.0, (40 + 10 * silo, 4))  # every silo has its own size and its own mean
    labels = rows @ [1.0, -2.0, 0.5, 0.0] + draw.normal(size=len(rows)) > 0
    np.savetxt(folder / f"silo_{silo}.csv", np.column_stack([rows, labels]), delimiter=",")
if comm.rank == 0:
    (folder / "silos.toml").write_text(PROBLEM)
comm.barrier()  # no rank goes on before all files are there

problem = nf.load(folder / "silos.toml", comm=comm)
result = nf.solve(problem, nf.newton_3pc())

held = comm.gather(problem.clients.tolist())  # on rank 0 a list with every rank's entry, elsewhere None
if comm.rank == 0:
    print(f"the silos of each rank: {held}; {result.reason}, in {result.rounds} rounds")
    alone = nf.solve(nf.load(folder / "silos.toml"), nf.newton_3pc())
    shutil.rmtree(folder)
    assert [silo for silos in held for silo in silos] == list(range(SILOS)), "every silo belongs to one rank"
    assert result.converged and result.x_sha256 == alone.x_sha256, "x has other bits than in one process"
    print("x has the same bits where one process reads all six")
