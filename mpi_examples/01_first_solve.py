"""A first solve on several ranks.

Start it with ``mpiexec -n 3 python mpi_examples/01_first_solve.py``. That runs this file three times, once in each of
three processes; they are called ranks, and ``MPI.COMM_WORLD`` is how they reach each other. The problem's 16 clients
are spread over the ranks, every rank makes the same calls, and every rank gets the same result. How many ranks there
are changes no bit of it, and the end of this script holds it to that.
"""

from mpi4py import MPI

import newtonfl as nf

comm = MPI.COMM_WORLD
method = nf.newton_3pc(compressor=nf.TopK(100))

problem = nf.load("breast_cancer", comm=comm)  # rank 0 reads the data and hands every rank its clients' rows
result = nf.solve(problem, method)

if comm.rank == 0:  # all ranks hold the same result, so one of them prints it
    last = result.history[-1]
    print(f"{problem.n_clients} clients on {comm.size} ranks: {result.reason}, in {result.rounds} rounds")
    print(f"gradient norm {last.gradient_norm:.1e}, gap {last.gap:.1e}")
    print(f"a client sent {last.bytes_up:.0f} bytes on average, and received {last.bytes_down:.0f}")

    # Without comm= the same lines run in one process.
    alone = nf.solve(nf.load("breast_cancer"), method)
    assert result.converged and last.gap < 1e-12
    assert result.x_sha256 == alone.x_sha256, "x has other bits than in one process"
    assert result.ledger.totals() == alone.ledger.totals(), "other bytes were counted than in one process"
    print("x and the bytes are those of one process, bit for bit")
