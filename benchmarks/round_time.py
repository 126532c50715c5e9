"""Seconds a round, and where the bytes go: python benchmarks/round_time.py [PROBLEM [ROUNDS]]

CPU seconds of one process with one BLAS thread, the median over rounds, objective values left out. The default is w8a
with 142 clients (needs its file; see README).
"""

from __future__ import annotations

import statistics
import sys
import time
from itertools import pairwise

import newtonfl as nf

METHODS = {
    "fednl topk:8d": lambda: nf.fednl(compressor=nf.TopK("8d")),
    "fednl topk:8d symmetric": lambda: nf.fednl(compressor=nf.TopK("8d"), basis="symmetric"),
    "newton-3pc topk:8d": lambda: nf.newton_3pc(compressor=nf.TopK("8d")),
    "newton-3pc topk:8d float32": lambda: nf.newton_3pc(compressor=nf.TopK("8d"), wire="float32"),
    "newton-3pc topk:1d": lambda: nf.newton_3pc(compressor=nf.TopK("1d")),
    "gd": lambda: nf.gd(),
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "w8a"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    problem = nf.load(name)
    print(f"{problem.title}: {problem.n_clients} clients, dimension {problem.dim}, {rounds} rounds")
    print(f"{'method':30}{'s a round':>11}{'bytes up':>12}{'formula':>12}   a client and round")
    for label, make in METHODS.items():
        begun = time.process_time()
        result = nf.solve(problem, make(), rounds=rounds, tol=0.0)
        total = time.process_time() - begun
        clock = [record.seconds for record in result.history]
        each = statistics.median(after - before for before, after in pairwise(clock))
        last = result.history[-1]
        up, formula = last.bytes_up / last.round, last.formula_bits_up / 8 / last.round
        print(f"{label:30}{each:11.3f}{up:12,.0f}{formula:12,.0f}   {total:.1f} CPU s in all")


if __name__ == "__main__":
    main()
