"""Scaffnew's exchanges to three accuracies beside the figures of its authors' program, with the gradients they take.

    NEWTONFL_DATA=… python benchmarks/local_steps.py [SEEDS]

Logistic regression without an intercept on 10 clients of equal blocks of rows sorted by label; λ = L_b/κ, γ = 1/L with
L of the mean of the losses, p = √(λ/L), from 0: the setting of the program of VR-ProxSkip (arXiv 2207.04338), whose
logs have the counts below, each of one run. A row a data set and κ: the median over the seeds of the rounds to f - f* ≤
1e-4, 1e-6, 1e-8, the least and the most of them, theirs, and the median of the gradients of a client.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_svmlight_file

import newtonfl as nf

CLIENTS, BATCH = 10, 16
ACCURACIES = (1e-4, 1e-6, 1e-8)
LOGGED = {
    ("a9a", 1000): (56, 103, 166),
    ("a9a", 2000): (78, 142, 220),
    ("a9a", 10000): (163, 294, 434),
    ("w8a", 2000): (32, 87, 139),
}


def setting(name: str, kappa: float) -> tuple[nf.Problem, float, float]:
    """The problem, γ and p."""
    rows, labels = load_svmlight_file(str(Path(os.environ["NEWTONFL_DATA"]) / name))
    labels = np.where(labels > 0, 1.0, -1.0)
    n = rows.shape[0]
    largest = np.linalg.eigvalsh((rows.T @ rows).toarray())[-1] / (4 * n)
    longest = rows.multiply(rows).sum(axis=1).max() / 4
    bound = n / (n - 1) * (1 - 1 / BATCH) * largest + (n / BATCH - 1) / (n - 1) * longest
    order, l2 = np.argsort(labels), bound / kappa
    owner = np.repeat(np.arange(CLIENTS), [len(part) for part in np.array_split(order, CLIENTS)])
    problem = nf.from_arrays(rows[order], labels[order], clients=owner, l2=l2)
    return problem, 1 / largest, np.sqrt(l2 / largest)


def main(seeds: int) -> None:
    print(f"{'':10}{'κ':>8}  rounds to {ACCURACIES}, least, most, theirs, gradients")
    for (name, kappa), logged in LOGGED.items():
        problem, gamma, p = setting(name, kappa)
        _, f_star = nf.optimum(problem)
        found = []
        for seed in range(seeds):
            method = nf.scaffnew(stepsize=gamma, p=p)
            run = nf.solve(problem, method, tol=0, rounds=3000, f_star=f_star, accuracy=ACCURACIES[-1], seed=seed)
            found.append([(record.round, record.gradients) for record in map(run.history.__getitem__, firsts(run))])
        table = np.array(found)
        columns = [np.median(table, axis=0)[:, 0], table[..., 0].min(axis=0), table[..., 0].max(axis=0), logged]
        shown = [np.array(column).astype(int).tolist() for column in [*columns, np.median(table, axis=0)[:, 1]]]
        print(f"{name:10}{kappa:8}  " + "  ".join(map(str, shown)), flush=True)


def firsts(run: nf.Result) -> list[int]:
    """Where each accuracy was reached."""
    gaps = run.history.column("gap")
    return [int(np.argmax(gaps <= accuracy)) for accuracy in ACCURACIES]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
