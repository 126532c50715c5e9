"""What M-FAC costs: python benchmarks/mfac_cost.py [--out DIR]

One step (an insertion into the window, then a product) and the set-up of a whole window, for m gradients of dimension
d: CPU seconds of one process with one BLAS thread, the median over steps, and the memory that NumPy allocates. Then the
least-squares slopes of log(seconds) in log(d) and in log(m), and the fit a·d·m + b·m³. With --out also the picture,
mfac_cost.png and mfac_cost.svg. Takes about two minutes and 8 GiB.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from newtonfl.core.backend import one_blas_thread
from newtonfl.mfac import MFAC

WINDOWS = [32, 64, 128, 256, 512, 1024]
DIMS = [10_000, 30_000, 100_000, 300_000, 1_000_000]
LIMIT = 4 * 2**30
"""The most bytes of a window: the set-up holds the gradients beside it."""
MIB = 2**20


@dataclass(frozen=True)
class Cell:
    """One (m, d): seconds of a step and of the set-up, bytes held afterwards, and what a step takes on top."""

    m: int
    d: int
    step: float
    setup: float
    held: int
    extra: int


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median CPU seconds of `work`."""
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def measure(m: int, d: int) -> Cell:
    """Both times and both sizes."""
    draw = np.random.Generator(np.random.Philox(m * d))
    gradients = draw.random((m, d))
    gradients -= 0.5
    fresh = gradients[: min(m, 8)].copy()
    tracemalloc.start()
    begun = time.process_time()
    window = MFAC.of(gradients, 1e-5)
    setup = time.process_time() - begun
    held = tracemalloc.get_traced_memory()[0]
    del gradients
    if setup < 0.5:  # once is enough for a long one
        setup = seconds(lambda: MFAC.of(window.gradients, 1e-5), 3)
    turn = iter(range(10**6))

    def step() -> object:
        gradient = fresh[next(turn) % len(fresh)]
        window.insert(gradient)
        return window.product(gradient)

    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    begun = time.process_time()
    step()
    repeats = int(np.clip(1.5 / (time.process_time() - begun + 1e-6), 5, 25))
    extra = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return Cell(m, d, seconds(step, repeats), setup, held, extra)


def slope(x: list[int], y: list[float]) -> float:
    """The least-squares slope of log y in log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def fit(cells: list[Cell]) -> tuple[float, float]:
    """a, b ≥ 0 of seconds = a·d·m + b·m³, least squares of the relative residuals."""
    scale = np.array([cell.step for cell in cells])
    terms = np.array([[cell.d * cell.m, cell.m**3] for cell in cells], dtype=float)
    # In units that make both columns alike: the solver's tolerance is absolute.
    unit = np.max(terms / scale[:, None], axis=0)
    (a, b), _ = nnls(terms / scale[:, None] / unit, np.ones(len(cells)))
    return float(a / unit[0]), float(b / unit[1])


def print_slopes(cells: list[Cell]) -> None:
    """Slopes in d for each m, and in m for each d."""
    for name, along, across in [("d", "d", "m"), ("m", "m", "d")]:
        for fixed in sorted({getattr(cell, across) for cell in cells}):
            line = [cell for cell in cells if getattr(cell, across) == fixed]
            x = [getattr(cell, along) for cell in line]
            step, setup = slope(x, [c.step for c in line]), slope(x, [c.setup for c in line])
            where = f"slope in {name} at {across} = {fixed:>9,} ({len(x)} points)"
            print(f"{where}: step {step:5.2f}, set-up {setup:5.2f}")


def power(number: float) -> str:
    """A number for a formula: 2.6·10⁻⁹."""
    mantissa, exponent = f"{number:.1e}".split("e")
    return rf"{mantissa}\cdot10^{{{int(exponent)}}}"


def draw_picture(cells: list[Cell], a: float, b: float, folder: Path) -> list[Path]:
    """Seconds a step over d and over m, with the fit."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10.0, 4.4), sharey=True, layout="constrained")
    for axes, along, across in zip(panels, "dm", "md", strict=True):
        values = sorted({getattr(cell, across) for cell in cells})
        for value, shade in zip(values, np.linspace(0.0, 0.85, len(values)), strict=True):
            line = [cell for cell in cells if getattr(cell, across) == value]
            x = [getattr(cell, along) for cell in line]
            colour = matplotlib.colormaps["viridis"](shade)
            fine = np.geomspace(x[0], x[-1], 60)
            cost = a * fine * value + (b * value**3 if along == "d" else b * fine**3)
            axes.loglog(fine, cost, color=colour, linewidth=1.0, linestyle="--")
            axes.loglog(x, [cell.step for cell in line], "o", color=colour, markersize=4.5)
            # A line that ends early has its name above its end, clear of the others.
            early = x[-1] < max(getattr(cell, along) for cell in cells)
            place = {"xytext": (-3, 8), "ha": "right"} if early else {"xytext": (7, 0), "ha": "left"}
            name = f"{across} = {value:,}"
            axes.annotate(name, (x[-1], line[-1].step), textcoords="offset points", va="center", **place)
        axes.set(xlabel={"d": "dimension d", "m": "window m"}[along])
        axes.margins(x=0.05)
        axes.set_xlim(right=axes.get_xlim()[1] * (4.5 if along == "d" else 2.6))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].set_xticks(WINDOWS, [str(m) for m in WINDOWS])
    panels[1].minorticks_off()
    panels[0].set(ylabel="CPU seconds a step")
    law = rf"${power(a)}\,dm + {power(b)}\,m^3$"
    figure.suptitle(f"M-FAC, one insertion and one product: measured (dots), and {law} (dashed)")
    paths = [folder / "mfac_cost.png", folder / "mfac_cost.svg"]
    for path in paths:
        figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description="What M-FAC costs, over m and d.")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw mfac_cost.png and mfac_cost.svg in it")
    folder = parser.parse_args().out
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    cells = []
    print(f"{'m':>6}{'d':>11}{'s a step':>11}{'s set-up':>11}{'MiB held':>11}{'MiB more in a step':>20}")
    with one_blas_thread():
        for m in WINDOWS:
            for d in DIMS:
                size = 8 * m * d
                if size > LIMIT:
                    print(f"{m:6}{d:11,}   left out: a window of {size / 2**30:.1f} GiB, over {LIMIT / 2**30:.0f}")
                    continue
                cell = measure(m, d)
                cells.append(cell)
                sizes = f"{cell.held / MIB:11,.1f}{cell.extra / MIB:20,.1f}"
                print(f"{m:6}{d:11,}{cell.step:11.4f}{cell.setup:11.3f}{sizes}", flush=True)
    print_slopes(cells)
    a, b = fit(cells)
    worst = max(abs(np.log((a * c.d * c.m + b * c.m**3) / c.step)) for c in cells)
    print(f"step = {a:.2e}·d·m + {b:.2e}·m³ seconds, each cell within a factor {np.exp(worst):.2f}")
    if folder is not None:
        for path in draw_picture(cells, a, b, folder):
            print(path)


if __name__ == "__main__":
    main()
