"""How a round grows: python benchmarks/scale.py [--out DIR] [--method M] [--repeats N] [n|m|d …]

One of n (clients), m (rows a client) and d (columns, dense) goes over three decades while the others stay: CPU seconds
of a round with its record, of the set-up, and the process's peak memory, each point in processes of its own, medians.
Then least-squares slopes in log-log, over all points and over the last three. With --out also the picture, scale.svg.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path

from timing import in_turn, machine, python, slope

MIB = 2**20
GRIDS = {
    "n": [(n, 20, 10) for n in (10, 30, 100, 300, 1000, 3000, 10_000)],
    "m": [(8, m, 20) for m in (20, 60, 200, 600, 2000, 6000, 20_000)],
    "d": [(4, 40, d) for d in (2, 6, 20, 60, 200, 600, 2000)],
}
"""(n, m, d) of each point."""
WORDS = {"n": "clients n", "m": "rows a client m", "d": "columns d"}
PROGRAM = """
import json, sys, time
import numpy as np
import newtonfl as nf
n, m, d, rounds = map(int, sys.argv[1:5])
draw = np.random.Generator(np.random.Philox(n * m * d))
X = draw.standard_normal((n * m, d))
y = np.where(X @ draw.standard_normal(d) / d**0.5 + draw.standard_normal(n * m) > 0, 1.0, -1.0)
nf.solve(nf.from_arrays(X[:8], np.tile([-1.0, 1.0], 4), l2=1.0, clients=2), sys.argv[5], rounds=2)  # imports it all
problem = nf.from_arrays(X, y, l2=1e-3, clients=n)
stamps = [time.process_time()]
nf.solve(problem, sys.argv[5], rounds=rounds, tol=0.0, callback=lambda record: stamps.append(time.process_time()))
spans = [after - before for before, after in zip(stamps, stamps[1:])]
each = sorted(spans[1:])
with open("/proc/self/status") as status:
    peak = next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)
print(json.dumps({"setup": spans[0], "round": each[len(each) // 2], "peak": peak}))
"""


@dataclass(frozen=True)
class Point:
    """Medians at one (n, m, d): CPU seconds of a round and of the set-up, peak memory in bytes."""

    round: float
    setup: float
    peak: float


def measure(grid: list[tuple[int, int, int]], method: str, repeats: int) -> list[Point]:
    """The points of a grid, every process once before any runs again."""
    commands = {str(sizes): python(PROGRAM, *sizes, 12 if sizes[0] < 5000 else 4, method) for sizes in grid}
    return [
        Point(*(statistics.median(cost.values[part] for cost in costs) for part in ("round", "setup", "peak")))
        for costs in in_turn(commands, repeats).values()
    ]


def slopes(x: list[int], points: list[Point], part: str) -> str:
    """Over all points, and over the last three."""
    y = [getattr(point, part) for point in points]
    return f"{slope(x, y):.2f} in all, {slope(x[-3:], y[-3:]):.2f} at the end"


def draw_picture(found: dict[str, tuple[list[int], list[Point]]], folder: Path) -> Path:
    """Seconds a round and peak memory over each of n, m and d."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        2, len(found), figsize=(3.6 * len(found), 5.2), sharey="row", sharex="col", layout="constrained", squeeze=False
    )
    for column, (name, (x, points)) in zip(panels.T, found.items(), strict=True):
        times, memory = [1e3 * point.round for point in points], [point.peak / MIB for point in points]
        for axes, y in zip(column, (times, memory), strict=True):
            axes.loglog(x, y, "o-", color="#31688e", markersize=4.5)
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        column[0].set_title(f"slope at the end {slope(x[-3:], times[-3:]):.2f}", fontsize="medium")
        column[1].set(xlabel=WORDS[name])
    panels[0, 0].set(ylabel="CPU ms a round")
    panels[1, 0].set(ylabel="peak MiB of the process")
    path = folder / "scale.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="How a round grows with clients, rows and columns.")
    parser.add_argument("axes", nargs="*", metavar="n|m|d", default=list(GRIDS))
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw scale.svg in it")
    parser.add_argument("--method", default="fednl,compressor=topk:8d")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    print(machine())
    print(asked.method)
    found = {}
    for name in asked.axes:
        grid = GRIDS[name]
        x = [sizes["nmd".index(name)] for sizes in grid]
        points = measure(grid, asked.method, asked.repeats)
        found[name] = x, points
        print(f"\n### {WORDS[name]}\n")
        print("| n | m | d | a round, ms | a client and round, µs | set-up, ms | peak, MiB |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for (n, m, d), point in zip(grid, points, strict=True):
            times = f"{1e3 * point.round:,.2f} | {1e6 * point.round / n:,.1f} | {1e3 * point.setup:,.1f}"
            print(f"| {n:,} | {m:,} | {d:,} | {times} | {point.peak / MIB:,.0f} |")
        print()
        for words, part in {"a round": "round", "set-up": "setup"}.items():
            print(f"slope of {words} in {name}: {slopes(x, points, part)}")
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        print(draw_picture(found, asked.out))


if __name__ == "__main__":
    main()
