"""Altered packets through whole solves: python benchmarks/altered.py [SECONDS] [SEED]

One packet of a solve is altered on its way, with the checksum made right again, as tests/support/altered.py does: kind,
round, client, flags, a section's part or form, a section out, twice or elsewhere, a byte, a cut, bytes more. Counts how
solves of all presets end: refused (WireError), the same x, other numbers; anything else is printed with its trace.
"""

from __future__ import annotations

import copy
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from timing import machine

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.coding import WireError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from altered import CHANGES, Altering

ROUNDS = 2


def main() -> None:
    seconds, seed = (float(sys.argv[1]) if len(sys.argv) > 1 else 60.0), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    draw = np.random.default_rng(seed)
    X, y = draw.standard_normal((12, 3)), draw.integers(0, 2, 12)
    problem = nf.from_arrays(X, y, "logistic", l2=0.1, clients=3)
    names = [name for name in registry.METHODS if not registry.asks_for_optimum(name)]
    methods = {name: registry.method(name).resolved(problem) for name in names}
    warnings.simplefilter("ignore")

    def solve(name: str, transport: Altering | None) -> str:
        mine = copy.copy(problem)
        mine.transport = transport
        with np.errstate(all="ignore"):
            return nf.solve(mine, methods[name], rounds=ROUNDS, tol=0.0).x_sha256

    whole = {name: solve(name, None) for name in names}
    ends: Counter[str] = Counter()
    until, slowest = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        name, change = names[draw.integers(len(names))], CHANGES[draw.integers(len(CHANGES))]
        transport, begun = Altering(change, int(draw.integers(1, 7)), draw), time.monotonic()
        try:
            end = "the same x" if solve(name, transport) == whole[name] else "other numbers"
        except WireError:
            end = "refused"
        except Exception as error:
            end = type(error).__name__
            print(f"{name}, {change}: {traceback.format_exc()}", flush=True)
        slowest = max(slowest, time.monotonic() - begun)
        ends["altered"] += transport.done
        ends[end] += 1
    print(machine())
    print(f"{sum(ends.values()) - ends['altered']:,} solves: {dict(ends.most_common())}; the slowest {slowest:.2f} s")


if __name__ == "__main__":
    main()
