"""Newton-type methods whose clients answer one after the other, beside the same with all together, in simulated time.

    NEWTONFL_DATA=… python benchmarks/asynchrony.py [PROBLEM]

Exponential service times with a tenfold spread of speeds, from x* + 0.1·1 to f - f* ≤ 1e-12: the rounds, simulated
seconds, KiB of a client both ways and gradients of a client.
"""

from __future__ import annotations

import sys

import newtonfl as nf

METHODS = ("fednl-pp", "newton-3pc-bc-pp,model=exact", "bl2")


def main(name: str) -> None:
    problem = nf.load(name)
    x0 = nf.optimum(problem)[0] + 0.1
    print(f"{'method':32}{'order':10}{'rounds':>8}{'seconds':>10}{'KiB':>8}{'gradients':>11}{'gap':>10}")
    for method in METHODS:
        for order in ("together", "pure", "random", "shuffled"):
            spec = f"{method},participation=arrivals:{order}"
            last = nf.solve(problem, spec, rounds=8000, tol=0, x0=x0, accuracy=1e-12).history[-1]
            sent = (last.bytes_up + last.bytes_down) / 1024
            cells = f"{last.round:8}{last.time:10.1f}{sent:8.1f}{last.gradients:11.1f}{last.gap:10.1e}"
            print(f"{method:32}{order:10}{cells}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "a1a")
