"""A compressor of your own, checked and then used on every rank.

Start it with ``mpiexec -n 3 python mpi_examples/06_your_own_compressor.py``. SignedTop keeps the K largest entries, as
Top-K does, and tells of them their signs and one number, the mean of their sizes. ``compress`` makes the message,
``contract`` says what theory may rely on, and ``check_compressor`` tries whether the two fit, and whether a message
arrives as it was sent. Every rank defines the same class; the compressor works where its client lives.
"""

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI

import newtonfl as nf
from newtonfl.checks import check_compressor


@dataclass(frozen=True)
class SignedTop(nf.Compressor):
    """±m on the K largest entries, where m is their mean size."""

    k: int = 30

    def contract(self, size):
        # What is lost is ‖v‖² - (Σ_kept |v_j|)²/K, at its worst where one entry is all, or where all are equal.
        k = max(min(self.k, size), 1)
        return nf.Contractive(min(1 / k, k / max(size, 1)))

    def compress(self, v, key):  # the key is for random draws, and nothing is drawn here
        kept = np.sort(np.argsort(-np.abs(v), kind="stable")[: self.k])
        mean = np.abs(v[kept]).sum() / max(len(kept), 1)
        bits = 32 + len(kept)  # the count by formula: one number, and a bit a sign
        return nf.Levels(np.sign(v[kept]).astype(np.int64), np.array([mean]), s=1, indices=kept, formula_bits=bits)


check_compressor(SignedTop())

comm = MPI.COMM_WORLD
problem = nf.load("breast_cancer", comm=comm, clients=8)
own = nf.solve(problem, nf.newton_3pc(compressor=SignedTop()))
topk = nf.solve(problem, nf.newton_3pc(compressor=nf.TopK(30)), rounds=10)  # for its bytes a round
if comm.rank == 0:
    for name, result in (("SignedTop(30)", own), ("TopK(30)", topk)):
        a_round = result.history[-1].bytes_up / result.rounds
        print(f"{name:14} {result.rounds} rounds, {a_round:.0f} bytes a round from each client: {result.reason}")
    assert own.converged and own.history[-1].gap < 1e-12
    assert own.history[-1].bytes_up / own.rounds < 0.7 * topk.history[-1].bytes_up / topk.rounds
    print(f"the gap is {own.history[-1].gap:.0e}, with less than 0.7 times Top-K's bytes a round")
