"""Scaffnew's exchanges to three accuracies beside the figures of its authors' program, with the gradients they take.

    NEWTONFL_DATA=… python benchmarks/local_steps.py [SEEDS]

Logistic regression without an intercept on 10 clients of equal blocks of rows sorted by label; λ = L_b/κ, γ = 1/L with
L of the mean of the losses, p = √(λ/L), from 0: the setting of the program of VR-ProxSkip (arXiv 2207.04338), whose
logs have the counts below, each of one run, and all of one seed. A row a data set and κ: the median over the seeds of
the rounds to f - f* ≤ 1e-4, 1e-6, 1e-8, the least and the most of them, theirs, those that Scaffnew takes with the
numbers of local steps of their log, and the median of the gradients of a client.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_svmlight_file

import newtonfl as nf
from newtonfl.core.random import Key
from newtonfl.methods import Method
from newtonfl.methods.local.scaffnew import Scaffnew, ScaffnewServer

CLIENTS, BATCH = 10, 16
ACCURACIES = (1e-4, 1e-6, 1e-8)
LOGGED = {
    ("a9a", 1000): (56, 103, 166),
    ("a9a", 2000): (78, 142, 220),
    ("a9a", 10000): (163, 294, 434),
    ("w8a", 2000): (32, 87, 139),
}


class AsLogged(Scaffnew):
    """Scaffnew with the numbers of local steps that their logs list, of one seed for all.

    NumPy drew them as ⌈log(1 - U)/log(1 - p)⌉ at that time; of the same seed it makes other numbers today.
    """

    def steps(self, server: ScaffnewServer, key: Key) -> int:
        uniform = np.random.default_rng(42).random(key.round + 1)[-1]
        return int(np.ceil(np.log1p(-uniform) / np.log1p(-server.p)))


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
    print(f"{'':10}{'κ':>8}  rounds to {ACCURACIES}, least, most, theirs, with their draws, gradients")
    for (name, kappa), logged in LOGGED.items():
        problem, gamma, p = setting(name, kappa)
        _, f_star = nf.optimum(problem)
        method = nf.scaffnew(stepsize=gamma, p=p)
        table = np.array([reached(problem, method, f_star, seed) for seed in range(seeds)])
        theirs = reached(problem, AsLogged(gamma, name="scaffnew", p=p), f_star)[:, 0]
        middle, rounds = np.median(table, axis=0), table[..., 0]
        columns = [middle[:, 0], rounds.min(axis=0), rounds.max(axis=0), logged, theirs, middle[:, 1]]
        shown = [np.array(column).astype(int).tolist() for column in columns]
        print(f"{name:10}{kappa:8}  " + "  ".join(map(str, shown)), flush=True)


def reached(
    problem: nf.Problem, method: Method, f_star: float, seed: int = 0, accuracies: tuple[float, ...] = ACCURACIES
) -> np.ndarray:
    """The rounds to each accuracy, and the gradients that a client has computed by then: shape (accuracies, 2)."""
    run = nf.solve(problem, method, tol=0, rounds=3000, f_star=f_star, accuracy=accuracies[-1], seed=seed)
    gaps = run.history.column("gap")
    records = [run.history[int(np.argmax(gaps <= accuracy))] for accuracy in accuracies]
    return np.array([(record.round, record.gradients) for record in records])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
