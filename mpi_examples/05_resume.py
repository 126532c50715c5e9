"""A run that is stopped, kept as a file, and gone on with later.

Start it with ``mpiexec -n 3 python mpi_examples/05_resume.py``. What is kept is x, and a second solve starts there, on
any number of ranks. It is a new run: the Hessians that the server had learned are not kept, so the clients send theirs
again when they join, which the ledger counts as set-up, and rounds and random draws begin again at 0. The answer is the
same to the tolerance, and not in every bit.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from mpi4py import MPI

import newtonfl as nf

TOL = 1e-10
METHOD = nf.newton_3pc(compressor=nf.TopK(100))

comm = MPI.COMM_WORLD
problem = nf.load("breast_cancer", comm=comm, clients=8)

# The callback runs on rank 0 after every round; a true return stops all ranks. So does a limit: solve(…, rounds=20).
first = nf.solve(problem, METHOD, tol=TOL, callback=lambda record: record.gradient_norm < 1e-3)
if comm.rank == 0:
    file = Path(tempfile.mkdtemp()) / "x.npy"
    np.save(file, first.x)

# Later, perhaps in another job: rank 0's start counts, so rank 0 alone reads the file.
x0 = np.load(file) if comm.rank == 0 else None
second = nf.solve(problem, METHOD, tol=TOL, x0=x0)
whole = nf.solve(problem, METHOD, tol=TOL)  # what would have been without the stop

if comm.rank == 0:
    alone = nf.solve(nf.load("breast_cancer", clients=8), METHOD, tol=TOL, x0=x0)  # the second part, on one rank
    shutil.rmtree(file.parent)
    setup = {name: int(r.ledger.up.setup_bytes.sum()) for name, r in (("first", first), ("second", second))}
    print(f"{first.rounds} rounds, {first.reason}; then {second.rounds}, against {whole.rounds} without the stop")
    print(f"Hessians sent at the start: {setup['first']} bytes by the first part, {setup['second']} by the second")
    assert first.reason is nf.Reason.STOPPED and second.converged and whole.converged
    assert setup["first"] == setup["second"] > 0, "the Hessians are sent at each start"
    assert second.rounds < whole.rounds, "the second part began from the start again"
    assert second.x_sha256 == alone.x_sha256, "the second part depends on the number of ranks"
    # The objective is λ-strongly convex: two points with gradients of norm TOL are at most 2·TOL/λ apart.
    assert np.linalg.norm(second.x - whole.x) <= 2 * TOL / problem.strong_convexity
    print("both answers agree, to the distance that their tolerance allows")
