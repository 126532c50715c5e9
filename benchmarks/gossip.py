"""Methods without a server on a ring of eight unlike clients: how far every client gets, and what it sends.

    python benchmarks/gossip.py

Ridge logistic regression, d = 10, 30 rows a client whose sizes grow with the client, λ = 0.1 in every f_i: max L_i/μ =
96. The error is ‖x - x*‖² at the client farthest away, as far as mean and disagreement bound it; KiB are those that a
client sends, over both of its edges.
"""

from __future__ import annotations

import numpy as np

import newtonfl as nf

RUNS = (
    ("exact-diffusion", 600),
    ("lead,compressor=identity,gamma=1", 600),
    ("lead,compressor=natural", 600),
    ("lead,compressor=natural,gamma=1", 600),
    ("lead,compressor=randk:5", 6000),
    ("lead,compressor=randk:5,gamma=0.375,alpha=0.5", 1500),
    ("lead,compressor=randk:5,gamma=1,alpha=0.5", 600),
    ("beer,compressor=topk:4", 6000),
    ("beer,compressor=topk:4,gamma=0.1,stepsize=0.02", 6000),
    ("motef,compressor=topk:4,gamma=0.1,stepsize=0.02", 6000),
    ("motef-vr,compressor=topk:4,gamma=0.1,stepsize=0.02,lam=0.5", 6000),
    ("dadao", 3008),
    ("dadao", 9912),
    ("dadao", 24629),
)


def unlike() -> nf.Problem:
    """The problem."""
    n, m, d = 8, 30, 10
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(n, m, d)) * np.linspace(0.7, 3.6, n)[:, None, None]
    labels = np.sign(np.einsum("nmd,nd->nm", rows, generator.normal(size=(n, d))) + 0.3 * generator.normal(size=(n, m)))
    return nf.from_arrays(rows.reshape(-1, d), labels.ravel(), clients=n, l2=0.1)


def main() -> None:
    problem = unlike()
    x_star, _ = nf.optimum(problem)
    print(f"{'method':62}{'rounds':>7}{'error':>10}{'KiB':>8}{'gradients':>11}{'seconds':>9}")
    for method, rounds in RUNS:
        last = (result := nf.solve(problem, method, rounds=rounds, tol=0.0)).history[-1]
        error = (np.linalg.norm(result.x - x_star) + last.disagreement) ** 2
        time = f"{last.time:9.0f}" if last.time else f"{'':9}"
        cells = f"{last.round:7}{error:10.1e}{last.bytes_up / 1024:8.1f}{last.gradients:11.0f}"
        print(f"{method:62}{cells}{time}", flush=True)
    least = unlike().with_nonsmooth("l1:0.02")
    found = nf.solve(least, "lead,compressor=natural,gamma=1", rounds=3000, tol=1e-12)
    print(f"Prox-LEAD, l1 = 0.02: {found.reason}, {found.rounds} rounds, {np.count_nonzero(found.x)} of 10 not zero")


if __name__ == "__main__":
    main()
