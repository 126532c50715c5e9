"""robust-newton with 2 Byzantine clients of 10: rules and attacks, on the same rows for all and on rows of their own.

    NEWTONFL_DATA=… python benchmarks/byzantine_newton.py

a1a, λ = 0.01, Top-d, from 0, at most 60 rounds. f and f* are those of the eight honest clients. Prints f - f* at the
end: of the honest alone, and with two clients that send the number 10 in every place, the opposite of the truth, or the
honest mean less some standard deviations (ALIE); of the Hessians as well.
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
from attacks import a_little, attacked, constant, flipped

RULES = ("mean", "geometric-median", "bucketed:2/geometric-median", "median", "trimmed:2", "krum:2", "centred-clip:0.1")
ATTACKS = {"constant 10": constant(10.0), "sign flip": flipped, "ALIE": a_little}


def problem(blocks: list[np.ndarray]) -> GLM:
    """Logistic regression on rows of a1a, a list of their numbers a client."""
    table = read("libsvm:a1a", features=123)
    chosen = np.concatenate(blocks)
    labels = np.where(table.labels[chosen] > 0, 1.0, -1.0)
    return GLM(
        scipy.sparse.csr_array(table.rows)[chosen], labels, [len(block) for block in blocks], Logistic(), len(labels),
        n_clients=len(blocks), ridge=0.01, objective="a1a",
    )  # fmt: skip


def gap(honest: GLM, least: float, method: nf.methods.Method, of: GLM) -> str:
    """f - f* where a method comes to on the problem `of`."""
    x = nf.solve(of, method, rounds=60, tol=1e-11, x0=np.zeros(of.dim)).x
    f = float(np.mean(honest.at_uncached(x).value)) + 0.005 * float(x @ x)
    return f"{max(f - least, 0.0):14.1e}" if np.isfinite(f) else f"{'diverged':>14}"


def main() -> None:
    for title, blocks in {
        "the same 1605 rows": [np.arange(1605)] * 10,
        "160 rows of its own": np.split(np.arange(1600), 10),
    }.items():
        all_of_them, honest = problem(blocks), problem(blocks[:8])
        least = float(nf.solve(honest, "newton", tol=1e-12).history[-1].f)
        print(f"\neach client {title}\n{'aggregator':30}{'honest':>14}" + "".join(f"{name:>14}" for name in ATTACKS))
        for rule in RULES:
            method = nf.robust_newton(aggregator=rule)
            cells = [gap(honest, least, method, honest)]
            cells += [gap(honest, least, attacked(method, (8, 9), attack), all_of_them) for attack in ATTACKS.values()]
            print(f"{rule:30}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
