"""Bytes to an accuracy, from x⁰ = 0: python benchmarks/record.py [--all] [--seeds N] [--rounds N] [SET …]

Every byte of every packet, heads and set-up and both ways, as the ledger counts them, a client's mean, until the
server's x has f - f* of at most 1e-3, 1e-6, 1e-9, 1e-12 and 1e-15; medians over seeds. lattice-newton at its default,
beside the settings that send least of what was there before and, with --all, every preset at its default; a method that
does not come so far in 400 rounds, or in --rounds, has a dash. Published: the papers' own formula bits for 1e-15, from
starts near the optimum, indices not counted, by their better method. With --parts FILE, where lattice-newton's bytes to
1e-12 go, and a picture of it. Needs the data that NEWTONFL_DATA names.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
from timing import machine

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.parts import Parts, Sizes
from newtonfl.core.random import Key
from newtonfl.methods import Announcement, ProblemConstants, Replies
from newtonfl.results.record import Record
from newtonfl.solver.session import Session

GOALS = (1e-3, 1e-6, 1e-9, 1e-12, 1e-15)
ROUNDS = 400
SETS = {
    "breast_cancer": [1e-3], "a1a": [1e-3], "phishing": [1e-3], "a9a": [1e-3], "w8a": [1e-3, 1e-4], "w2a": [1e-4],
}  # fmt: skip
BESIDE = (
    "lattice-newton,share=0,least=0",
    "newton,wire=float32",
    "newton-3pc,init=zero,line_search=5,compressor=topk:8d+natural",
    "newton-3pc,init=zero,compressor=grid:1,gradient=grid:0.1,model=grid:0.1",
    "newton-3pc-ls,compressor=rank:2",
    "bl1,wire=float32",
    "bfgs",
    "bfgs,gradient=grid:0.1",
    "l-bfgs",
    "l-bfgs,gradient=grid:0.1",
)
PUBLISHED = {("a1a", 1e-3): 71_900, ("a9a", 1e-3): 73_400, ("w8a", 1e-4): 271_250, ("w2a", 1e-4): 247_500}
"""Bytes a client to 1e-15: 575, 587, 2,170 and 1,980 kbit of the papers' formula."""

NAMES = {
    "support": "support and start", "start": "support and start", "model": "model", "scale": "model",
    "gradient": "gradients", "diagonal": "diagonals", "curvature": "Hessians",
}  # fmt: skip


def taken(problem: nf.Problem, method: str, optimal: float, seed: int, rounds: int) -> dict[float, tuple[float, int]]:
    """(bytes a client, rounds) of every goal that is reached."""
    reached: dict[float, tuple[float, int]] = {}
    setup = 0.0

    def look(record: Record) -> bool:
        nonlocal setup
        if record.round == 0:
            setup = record.setup_bytes_up + record.setup_bytes_down
        for goal in GOALS:
            if goal not in reached and record.f - optimal <= goal:
                reached[goal] = (setup + record.bytes_up + record.bytes_down, record.round)
        return len(reached) == len(GOALS)

    nf.solve(problem, method, tol=0.0, rounds=rounds, seed=seed, callback=look)
    return reached


def rows(problem: nf.Problem, methods: tuple[str, ...], seeds: int, most: int) -> Iterator[str]:
    """A line a method: medians over seeds, and rounds to 1e-12."""
    optimal = problem.f_star if problem.f_star is not None else nf.optimum(problem)[1]
    for method in methods:
        try:
            runs = [taken(problem, method, optimal, seed, most) for seed in range(seeds)]
        except ValueError as error:
            yield f"| {method} | {error} |"
            continue
        cells = []
        for goal in GOALS:
            found = [run[goal][0] if goal in run else math.inf for run in runs]
            middle = statistics.median(found)
            cells.append(f"{middle:,.0f}" if middle < math.inf else "–")
        rounds = [run[1e-12][1] for run in runs if 1e-12 in run]
        yield f"| {method} | {' | '.join(cells)} | {statistics.median(rounds) if rounds else '–'} |"


def bytes_by_part(problem: nf.Problem, seed: int = 0) -> dict[str, float]:
    """A client's bytes of lattice-newton to 1e-12, both ways, by what they are about."""
    method, n = nf.lattice_newton().resolved(problem), problem.n_clients
    optimal = problem.f_star if problem.f_star is not None else nf.optimum(problem)[1]
    spent = dict.fromkeys(("heads", *dict.fromkeys(NAMES.values())), 0.0)

    def enter(everyone: Sequence[Parts]) -> None:
        for parts in everyone:
            for part, message in parts.items():
                spent[NAMES[part]] += message.length / n

    with Session(problem, method, seed) as session:

        def exchange(announcement: Announcement, sizes: Sizes) -> Replies:
            replies = session.exchange(announcement, sizes)
            enter([announcement.to_all] * len(replies.clients))
            enter(replies.parts)
            return replies

        facts = ProblemConstants(n, problem.dim, problem.ridge, lambda: 0.0, problem.like)
        setup = session.init_clients(np.zeros(problem.dim))
        enter(setup)
        server = method.init_server(facts, np.zeros(problem.dim), setup)
        for k in range(ROUNDS):
            server = method.round(server, exchange, Key(seed, k))
            value = float(problem.at(server.x).value.mean() + 0.5 * np.sum(problem.ridge * server.x**2))
            if value - optimal <= 1e-12:
                break
    counted = session.ledger.totals()["bytes"]
    spent["heads"] = sum(counted[way]["mean"] for way in ("up", "down", "setup")) - sum(spent.values())
    return spent


def picture(found: dict[str, dict[str, float]], path: str) -> None:
    """A bar a set, cut by part."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 * len(found) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    kinds, titles = list(next(iter(found.values()))), list(found)
    left = np.zeros(len(found))
    for kind, colour in zip(kinds, ("#999999", "#cc79a7", "#0072b2", "#d55e00", "#e69f00", "#009e73"), strict=True):
        width = np.array([found[title][kind] for title in titles])
        axes.barh(titles, width, left=left, label=kind, color=colour)
        left += width
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("bytes a client, both ways, to f - f* ≤ 1e-12")
    axes.legend(ncols=3, frameon=False, loc="upper right")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Real bytes a client from x⁰ = 0 to an accuracy.")
    parser.add_argument("sets", nargs="*", metavar="SET", default=list(SETS))
    parser.add_argument("--all", action="store_true", help="every preset at its default as well")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="the most that a method gets")
    parser.add_argument("--parts", metavar="FILE", help="the picture of lattice-newton's bytes by part, and no table")
    asked = parser.parse_args()
    if asked.parts:
        named = [(name, l2) for name in asked.sets for l2 in SETS.get(name, [1e-3])]
        found = {f"{name}, λ = {l2:g}": bytes_by_part(nf.load(name, l2=l2)) for name, l2 in named}
        for title, spent in found.items():
            print(f"{title:28}", "  ".join(f"{part} {size:,.0f}" for part, size in spent.items()), sep="")
        picture(found, asked.parts)
        return
    presets = tuple(name for name in registry.METHODS if name not in ("newton-star", "lattice-newton"))
    methods = ("lattice-newton", *BESIDE, *(presets if asked.all else ()))
    print(machine())
    for name in asked.sets:
        for l2 in SETS.get(name, [1e-3]):
            problem = nf.load(name, l2=l2)
            title = f"{name}, λ = {l2:g}, {problem.n_clients} clients, d = {problem.dim}"
            published = PUBLISHED.get((name, l2))
            print(f"\n### {title}" + (f"; published for 1e-15: {published:,} bytes" if published else ""))
            print("\n| method | " + " | ".join(f"{goal:g}" for goal in GOALS) + " | rounds to 1e-12 |")
            print("|---|" + "--:|" * (len(GOALS) + 1))
            for line in rows(problem, methods, asked.seeds, asked.rounds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
