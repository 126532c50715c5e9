"""Clients that are not always there: drawn at random, or dropping out for a while.

Start it with ``mpiexec -n 3 python mpi_examples/04_partial_participation.py``. FedNL-PP needs some of the clients in a
round, and its server remembers what the others last sent. Who takes part is drawn from the seed, never from the
ranks: a client that is away sends and receives nothing in that round, wherever it lives. A trace tells who was there
when, round by round, and begins again after its end; before it comes one round of all clients.
"""

import numpy as np
from mpi4py import MPI

import newtonfl as nf

CLIENTS, PERIOD, TOL = 8, 16, 1e-8

# Every client drops out for five rounds of sixteen, one after the other.
there = [tuple(c for c in range(CLIENTS) if (k - 2 * c) % PERIOD >= 5) for k in range(PERIOD)]
trace = nf.Trace(tuple(there), path="drop-outs")

comm = MPI.COMM_WORLD
problem = nf.load("breast_cancer", comm=comm, clients=CLIENTS)
answers = {}
for participation in (nf.Uniform(4), nf.Independent(0.5), trace):  # four of eight; a coin each; as recorded
    result = nf.solve(problem, nf.fednl_pp(participation=participation, compressor=nf.TopK("8d")), tol=TOL)
    answers[str(participation)] = result
    if comm.rank == 0:
        sent = result.ledger.up.bytes
        print(f"{participation!s:16} {result.rounds} rounds; a client sent {sent.min()} to {sent.max()} bytes")

if comm.rank == 0:
    assert all(result.converged for result in answers.values())
    # The server sends x, d numbers of 32 bits in the papers' count, to those that take part and to nobody else.
    rounds = answers[str(trace)].rounds
    present = np.array([1 + sum(c in there[k % PERIOD] for k in range(rounds - 1)) for c in range(CLIENTS)])
    received = answers[str(trace)].ledger.down.formula_bits
    assert np.array_equal(received, 32 * problem.dim * present), "a client that was away was sent something"
    # The objective is λ-strongly convex: two points with gradients of norm TOL are at most 2·TOL/λ apart.
    xs = [result.x for result in answers.values()]
    assert all(np.linalg.norm(x - xs[0]) <= 2 * TOL / problem.strong_convexity for x in xs)
    print(f"all three agree; in the trace, clients took part in {present.min()} to {present.max()} of {rounds} rounds")
