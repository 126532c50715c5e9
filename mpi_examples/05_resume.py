"""A run that is stopped, and gone on with later from its checkpoint, in the same bits.

Start it with ``mpiexec -n 3 python mpi_examples/05_resume.py``. Rank 0 keeps the whole state in a folder: x, what the
clients and the server have learned, the ledger and the history. The same call goes on from there, on any number of
ranks, as if the run had never stopped; so does a job that was killed. See docs/checkpoints.md.
"""

import shutil
import tempfile

from mpi4py import MPI

import newtonfl as nf

METHOD = nf.newton_3pc(compressor=nf.TopK(100))

comm = MPI.COMM_WORLD
problem = nf.load("breast_cancer", comm=comm, clients=8)
folder = tempfile.mkdtemp() if comm.rank == 0 else "rank 0's alone is used"

# The callback runs on rank 0 after every round; a true return stops all ranks. So do Ctrl-C, SIGTERM, and a limit.
first = nf.solve(problem, METHOD, checkpoint=folder, callback=lambda record: record.gradient_norm < 1e-3)

# Later, perhaps in another job, of another number of ranks: the same line again.
second = nf.solve(problem, METHOD, checkpoint=folder)
whole = nf.solve(problem, METHOD)  # what would have been without the stop

if comm.rank == 0:
    shutil.rmtree(folder)
    print(f"{first.rounds} rounds, {first.reason}; {second.resumed}, to round {second.rounds}")
    assert first.reason is nf.Reason.STOPPED and second.converged
    assert second.x_sha256 == whole.x_sha256 and second.rounds == whole.rounds, "going on depends on the stop"
    assert second.ledger.totals() == whole.ledger.totals(), "bytes are counted twice, or not at all"
    print("the same bits, rounds and bytes as without the stop")
