"""byz-vr-marina-pp on a9a with 5 Byzantine clients of 20, with and without clipping: as figure 1 of arXiv 2311.14127.

    NEWTONFL_DATA=… python benchmarks/byzantine.py [ROUNDS [ROWS]]

Every client holds all rows of a9a, or the first ROWS, λ = 0.05; 4 clients a round, Rand-0.1d, p = 0.1, γ = 0.2, from 0.
The Byzantine clients send the truth until they are the majority of a round, and then a step back to x⁰; or the opposite
of the truth; or the number 10 in every place. Prints f - f* a third of the way, two thirds of it, and at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import scipy.sparse

import newtonfl as nf
from newtonfl.datasets.sources import read
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from attacks import attacked, constant, flipped, shift_back

CLIENTS, BYZANTINE, L2, GAMMA = 20, range(15, 20), 0.05, 0.2


def problem(rows: int | None) -> GLM:
    """Logistic regression whose clients all hold the same rows."""
    table = read("libsvm:a9a", features=123)
    own, labels = table.rows[:rows], np.where(table.labels[:rows] > 0, 1.0, -1.0)
    stacked = scipy.sparse.vstack([scipy.sparse.csr_array(own)] * CLIENTS, format="csr")
    return GLM(
        stacked, np.tile(labels, CLIENTS), [len(labels)] * CLIENTS, Logistic(), len(labels) * CLIENTS,
        n_clients=CLIENTS, ridge=L2, objective="a9a, the same rows for all",
    )  # fmt: skip


def main(rounds: int, rows: int | None) -> None:
    f = problem(rows)
    x0 = np.zeros(f.dim)
    attacks = {"shift back": shift_back(x0, GAMMA), "sign flip": flipped, "constant 10": constant(10.0)}
    least = float(nf.solve(f, "newton", tol=1e-12).history[-1].f)
    print(f"{'attack':14}{'aggregator':22}{'clip':8}{'f - f*, by thirds of the rounds':>36}")
    for name, attack in attacks.items():
        for rule in ("bucketed:2/median", "median", "geometric-median"):
            for clip in ("theory", "none"):
                method = nf.byz_vr_marina_pp(
                    aggregator=rule, clip=clip, participation=nf.Uniform(4), compressor=nf.RandK("0.1d"), stepsize=GAMMA
                )
                history = nf.solve(f, attacked(method, BYZANTINE, attack), rounds=rounds, tol=0.0, x0=x0).history
                gaps = [history[min(rounds * third // 3, len(history) - 1)].f - least for third in (1, 2, 3)]
                cells = (f"{gap:12.1e}" if np.isfinite(gap) else f"{'diverged':>12}" for gap in gaps)
                print(f"{name:14}{rule:22}{clip:8}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1200, int(sys.argv[2]) if len(sys.argv) > 2 else None)
