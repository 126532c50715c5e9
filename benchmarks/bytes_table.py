"""Wire bytes beside the papers' formula bits, for every preset: prints the table of docs/bytes.md.

    python benchmarks/bytes_table.py [PROBLEM ROUNDS …]

Each preset with its default settings, from the minimiser + 0.1, a mean over clients and rounds; the set-up apart. A
formula of bits is written as bytes, so that the two columns compare. Needs the data that NEWTONFL_DATA names.
"""

from __future__ import annotations

import sys

import newtonfl as nf
from newtonfl import registry


def row(name: str, problem: nf.Problem, x_star: object, rounds: int) -> str:
    """One preset's line."""
    given = {"optimum": x_star} if registry.asks_for_optimum(name) else {}
    result = nf.solve(problem, registry.method(name, given), x0=x_star + 0.1, rounds=rounds, tol=0.0)
    counts = result.ledger.totals()
    cells = []
    for way in ("up", "down"):
        measured, formula = counts["bytes"][way]["mean"], counts["formula_bits"][way]["mean"] / 8
        done = max(result.rounds, 1)
        cells += [f"{measured / done:,.0f}", f"{formula / done:,.0f}", f"{measured / formula:.2f}" if formula else "–"]
    setup, setup_formula = counts["bytes"]["setup"]["mean"], counts["formula_bits"]["setup"]["mean"] / 8
    return f"| {name} | " + " | ".join([*cells, f"{setup:,.0f}", f"{setup_formula:,.0f}"]) + " |"


def main(words: list[str]) -> None:
    for name, rounds in zip(words[::2], map(int, words[1::2]), strict=True):
        problem = nf.load(name)
        x_star, _ = nf.optimum(problem)
        print(f"\n### {name}: {problem.n_clients} clients, d = {problem.dim}, {rounds} rounds\n")
        print("| preset | up | formula | ratio | down | formula | ratio | set-up | formula |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        for preset in registry.METHODS:
            print(row(preset, problem, x_star, rounds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["a1a", "12", "w8a", "4"])
