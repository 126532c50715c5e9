"""What every method costs until f - f* is small: one table over four problems.

    python -m benchmarks.communication [PROBLEM …] [--methods NAME …] [--rounds N]

Every preset from x⁰ = x* + 0.1·1, as the papers compare local methods, with its own defaults (of first order: theory's
step) but for :data:`SAFE`; the stochastic forms are left out. For f - f* ≤ 1e-3, 1e-6, 1e-9 and 1e-12: rounds, KiB on
the wire and kbit by the papers' formulas, a client's mean for both ways together with the set-up. ``>`` where the cap
on rounds came first: nothing is extrapolated; and the gradients that a client computed, a minibatch's as its share of
the rows. Needs the data sets that NEWTONFL_DATA names.
"""

from __future__ import annotations

import argparse

import newtonfl as nf
from newtonfl import registry
from newtonfl.experiments.run_methods import Solution, resolve, run_methods
from newtonfl.results.costs import ACCURACIES, Cost

CAPS = {"a1a": 1000, "phishing": 500, "a9a": 300, "w8a": 60}
"""Problems, and the most rounds on each: those of a method that has not arrived by then are not the table's subject."""

SAFE = {"fednl-bc": "fednl-bc,step=shift", "newton-3pc-bc": "newton-3pc-bc,step=shift"}
"""Presets whose own step, project, diverges from there."""

STOCHASTIC = ("ef21-sgd", "ef21-sgdm", "ef21-page", "vr-marina", "vr-diana", "vr-proxskip", "clip21-sgd2m")

ORDER = [
    ("second order", ("newton-3pc", "fednl", "bl1", "bl2", "newton-3pc-bc")),
    ("DINGO, NL1", ("dingo", "nl1")),
    ("first order", ("adiana", "diana", "gd")),
]
"""The papers' order in bits to 1e-9: each group far below the next."""


def cell(cost: Cost | None) -> str:
    if cost is None:
        return f"{'>':>6}{'>':>9}{'>':>9}{'>':>8}"
    return f"{cost.rounds:6}{cost.bytes / 1024:9.1f}{cost.formula_bits / 1000:9.0f}{cost.gradients:8.0f}"


def table(problem_name: str, methods: list[str], rounds: int) -> dict[str, list[Cost | None]]:
    """Run and print one problem's rows."""
    problem = nf.load(problem_name)
    solution = Solution(problem)
    x0, found = solution.x + 0.1, {}
    entries = resolve(problem, {name: SAFE.get(name, name) for name in methods}, solution, x0)
    for name, _, result in run_methods(problem, entries, solution, rounds=rounds, x0=x0):
        found[name] = [Cost.to(accuracy, result.history) for accuracy in ACCURACIES]
        reason = result.reason.name
        told = "" if reason in ("STOPPED", "ROUND_LIMIT") else reason.lower().replace("_", " ")
        row = " |".join(cell(cost) for cost in found[name])
        print(f"{problem_name:9}{name:18}{row} | {result.history[-1].gap:8.0e} {told}".rstrip(), flush=True)
    return found


def tell_order(problem: str, found: dict[str, list[Cost | None]], cap: int) -> None:
    """Whether the papers' order comes out: kbit to 1e-9, the best and the worst of each group."""
    at = ACCURACIES.index(1e-9)
    groups = []
    for title, members in ORDER:
        costs = {name: found[name][at] for name in members if name in found}
        arrived = {name: cost.formula_bits / 1000 for name, cost in costs.items() if cost}
        late = [name for name in costs if not costs[name]]
        if costs:
            groups.append((title, arrived, late))
    words = []
    for title, arrived, late in groups:
        spread = f"{min(arrived.values()):,.0f} to {max(arrived.values()):,.0f} kbit" if arrived else ""
        missing = f"{', '.join(late)} not within {cap} rounds" if late else ""
        words.append(f"{title}: {'; '.join(filter(None, (spread, missing)))}")
    print(f"{problem}, bits to 1e-9 — " + " | ".join(words))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(CAPS))
    parser.add_argument("--methods", nargs="+", help="instead of all presets")
    parser.add_argument("--rounds", type=int, help="instead of the caps")
    asked = parser.parse_args()
    methods = asked.methods or [name for name in registry.METHODS if name not in STOCHASTIC]
    over = [f"f-f* <= {accuracy:g}".center(32) for accuracy in ACCURACIES]
    units = ["rounds".rjust(6) + "KiB".rjust(9) + "kbit".rjust(9) + "grad.".rjust(8)] * len(ACCURACIES)
    print(" " * 27 + " |".join(over) + " |")
    print(" " * 27 + " |".join(units) + " | last gap")
    told = {}
    for problem in asked.problems:
        told[problem] = table(problem, methods, asked.rounds or CAPS.get(problem, 500))
    for problem, found in told.items():
        tell_order(problem, found, asked.rounds or CAPS.get(problem, 500))


if __name__ == "__main__":
    main()
