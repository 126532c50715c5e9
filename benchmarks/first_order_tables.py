"""First-order tables: 3PC's heat-map, AdaCGD against CLAG and EF21, M-FAC against gradient descent.

`python benchmarks/paper_tables.py 3pc adacgd m-fac` prints them. Every method takes its best step of one list of
multiples of what theory allows. A plain NumPy recursion over the problem's gradients looks for it, for the grids are
large: outwards from the neighbouring cell's multiple until two in a row do no better, each try cut where it has sent
more than the best so far. The library then runs what was found, and its figures are the ones printed; the last line of
a table says in how many cells the two differ, and a dash stands where no run arrives. Seconds are of the CPU.

Uplink formula bits of a client until ‖∇f‖ ≤ tol, as the authors of 3PC count: the whole gradient of round 0 and the
messages about x¹ … x^T.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.linalg import cho_factor, cho_solve

import newtonfl as nf
from newtonfl.datasets import sources
from newtonfl.datasets.table import two_classes
from newtonfl.mechanisms import AdaCGD
from newtonfl.methods import Method
from newtonfl.methods.first_order.three_point import lag
from newtonfl.objectives.base import Problem
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic
from newtonfl.results.record import Record

CLIENTS = 20
NONCONVEX = 0.1


@dataclass(frozen=True)
class Way:
    """CLAG with Top-K of the rungs K (one rung), EF21 (and ζ = 0), LAG (the one rung d) or AdaCGD (several)."""

    rungs: tuple[int, ...]
    zeta: float

    def method(self, problem: Problem, multiple: float) -> Method:
        """The library's preset at a multiple of its theoretical step."""
        stepsize = f"theory*{multiple:g}"
        if self.rungs == (problem.dim,) and self.zeta:
            return lag(zeta=self.zeta, stepsize=stepsize)
        levels = tuple(nf.TopK(k) for k in self.rungs)
        if len(levels) > 1:
            return nf.adacgd(levels=levels, zeta=self.zeta, stepsize=stepsize)
        if not self.zeta:
            return nf.ef21(compressor=levels[0], stepsize=stepsize)
        return nf.clag(compressor=levels[0], zeta=self.zeta, stepsize=stepsize)

    def constants(self, dim: int) -> tuple[float, float]:
        """(A, B)."""
        return AdaCGD(tuple(nf.TopK(k) for k in self.rungs), self.zeta).constants(dim)


@dataclass(frozen=True)
class Found:
    """What a way takes at its best multiple: bits of a client and rounds; infinite where no multiple arrives."""

    way: Way
    multiple: float = math.nan
    rounds: int = 0
    bits: float = math.inf


@dataclass
class Bench:
    """A problem, an accuracy, the multiples to choose from, and at most how many rounds."""

    problem: Problem
    tol: float
    multiples: Sequence[float]
    rounds: int
    differ: int = field(default=0, init=False)
    cells: int = field(default=0, init=False)

    @cached_property
    def smoothness(self) -> tuple[float, float]:
        """L of f and √mean(L_i²), from dense matrices."""
        p = self.problem
        bound = np.stack([p.curvature_product(e).mean(axis=0) for e in np.eye(p.dim)])
        largest = float(np.linalg.eigvalsh(bound)[-1]) + float(p.ridge.max())
        return largest, float(np.sqrt(np.mean(p.client_smoothness**2)))

    def play(self, way: Way, multiple: float, most: float, rounds: int) -> tuple[int, float]:
        """The recursion in plain NumPy: rounds and bits; infinite bits where it stops short."""
        p, d = self.problem, self.problem.dim
        (a, b), (largest, spread) = way.constants(d), self.smoothness
        gamma = multiple / (largest + spread * math.sqrt(b / a))
        rungs = np.array([0, *way.rungs])
        x, bits = np.zeros(d), 32.0 * d
        told = before = p.at(x).gradient
        first = best = float(np.linalg.norm(told.mean(axis=0)))
        when = 0
        for t in range(1, rounds + 1):
            x = x - gamma * (told.mean(axis=0) + p.ridge * x)
            now = p.at(x).gradient
            norm = float(np.linalg.norm(now.mean(axis=0) + p.ridge * x))
            # Where f need not be convex its gradient may grow for hundreds of rounds on the way down.
            if not norm < 1e3 * first or t - when > max(400, t // 2):
                break
            error = now - told
            order = np.argsort(-np.abs(error), axis=1, kind="stable")
            squares = np.take_along_axis(error, order, axis=1) ** 2
            left = np.zeros((len(error), d + 1))  # ‖error‖² of Top-0, Top-1, …
            left[:, :d] = np.cumsum(squares[:, ::-1], axis=1)[:, ::-1]
            good = left[:, rungs] <= (way.zeta * ((now - before) ** 2).sum(axis=1))[:, None]
            good[:, -1] = True
            kept = rungs[good.argmax(axis=1)]
            places = np.argsort(order, axis=1)
            told, before = told + np.where(places < kept[:, None], error, 0.0), now
            bits += 32.0 * float(kept.mean())
            if norm <= self.tol:
                return t, bits
            if bits > most:
                break
            if norm < best:
                best, when = norm, t
        return rounds, math.inf

    def best(self, way: Way, near: float, found: Found | None = None) -> Found:
        """The best multiple, looked for outwards from `near`; what was `found` of other ways is to be beaten."""
        found, arrives = found or Found(way), False
        at = int(np.argmin(np.abs(np.log(np.array(self.multiples) / near))))
        for chain in (self.multiples[at:], self.multiples[:at][::-1]):
            worse = 0
            for multiple in chain:
                # A step that takes three times the rounds of the best is not waited for.
                limit = min(self.rounds, 3 * found.rounds + 50) if arrives else self.rounds
                taken, bits = self.play(way, multiple, found.bits, limit)
                if bits < found.bits:
                    found, arrives, worse = Found(way, multiple, taken, bits), True, 0
                elif found.rounds:
                    worse += 1
                if worse == 2:
                    break
        return found

    def confirm(self, found: Found) -> Found:
        """What the library takes; at half the step where rounding lets the recursion arrive and not the library."""
        if not found.rounds:
            return found
        self.cells += 1
        for multiple in (found.multiple, found.multiple / 2.0, found.multiple / 4.0):
            taken = arrive(self.problem, found.way.method(self.problem, multiple), self.tol, self.rounds)
            if taken[0]:
                break
        self.differ += taken != (found.rounds, found.bits)
        return Found(found.way, multiple, *taken)

    def row(self, ways: Iterable[Way], near: float) -> list[Found]:
        """Cells beside each other: each begins to look where the one before it found."""
        found = []
        for way in ways:
            found.append(self.confirm(self.best(way, near)))
            near = found[-1].multiple if found[-1].rounds else near
        return found


def arrive(problem: Problem, method: Method, tol: float, rounds: int) -> tuple[int, float]:
    """The library's rounds until ‖∇f‖ ≤ tol, and bits, the messages about that x included."""
    arrived: list[int] = []

    def after(record: Record) -> bool:
        if arrived:
            return True
        if record.gradient_norm <= tol:
            arrived.append(record.round)
        return False

    result = nf.solve(problem, method, tol=0.0, rounds=rounds + 1, callback=after)
    if not arrived:
        return 0, math.inf
    return arrived[0], float(result.ledger.up.formula_bits.mean())


def by_twenty(name: str) -> Problem:
    """The authors' problem: 20 equal blocks of the first rows, no ridge, 0.1 Σ x²/(1 + x²)."""
    table = sources.read(f"libsvm:{name}", features={"a1a": 123, "a9a": 123}.get(name))
    labels, _ = two_classes(table.labels, None, name)
    each = len(labels) // CLIENTS
    total = each * CLIENTS
    return GLM(
        table.rows[:total], labels[:total], np.full(CLIENTS, each), Logistic(), total, n_clients=CLIENTS, ridge=0.0,
        objective=name, nonconvex=NONCONVEX,
    )  # fmt: skip


# -- 3PC's heat-map

SETS = ("phishing", "a9a", "mushrooms", "ijcnn1")
ZETAS = (0.0, 2.0, 8.0, 32.0, 128.0, 512.0)
IJCNN1 = {
    1: (3008, 3872, 3883, 2867, 4880, 4872), 3: (4544, 3070, 2691, 2926, 2216, 3497),
    8: (9152, 2918, 5888, 7667, 3724, 3968), 12: (6080, 9267, 7136, 6368, 4678, 8038),
    17: (13216, 6905, 11176, 6742, 9979, 6089), 22: (16896, 7497, 10313, 9046, 4892, 5632),
}  # fmt: skip
"""The published map: bits of a client by K and ζ."""


def heat_map(bench: Bench, ks: Sequence[int], zetas: Sequence[float]) -> Iterator[list[Found]]:
    """CLAG with Top-K, the cells of all ζ for one K after the other."""
    near = 64.0
    for k in ks:
        row = bench.row([Way((k,), zeta) for zeta in zetas], near)
        near = next((f.multiple for f in row if f.rounds), near)
        yield row


def tell_shape(bits: np.ndarray, ks: Sequence[int], zetas: Sequence[float]) -> str:
    """Where the least of a heat-map lies, and how far below EF21's column (ζ = 0) and LAG's row (K = d, ζ > 0)."""
    i, j = divmod(int(np.argmin(bits)), bits.shape[1])
    inside = "K < d, ζ > 0" if i < len(ks) - 1 and zetas[j] else "not with K < d and ζ > 0"
    clag, ef21, late = bits[:-1, 1:].min(), bits[:, 0].min(), bits[-1, 1:].min()
    return (
        f"least {bits[i, j]:,.0f} at K={ks[i]}, ζ={zetas[j]:g} ({inside}); best with K < d and ζ > 0 {clag:,.0f}; "
        f"best EF21 {ef21:,.0f}, {ef21 / clag:.2f} of that; best LAG {late:,.0f}, {late / clag:.2f} of that"
    )


def three_pc() -> None:
    """Table: CLAG with Top-K by K and ζ (3PC, arXiv 2202.00998): bits of a client until ‖∇f‖ ≤ 1e-4, multiple of γ."""
    print(f"published, ijcnn1: {tell_shape(np.array(list(IJCNN1.values())), list(IJCNN1), ZETAS)}")
    for name in SETS:
        try:
            sources.at_hand(f"libsvm:{name}", Path("."))
        except FileNotFoundError:
            print(f"{name}: its file is not among the data sets at hand")
            continue
        begun = time.process_time()
        bench = Bench(by_twenty(name), 1e-4, [2.0**c for c in range(12)], 1500)
        d = bench.problem.dim
        ks = list(IJCNN1) if d == 22 else [max(1, round(k / 22 * d)) if k > 1 else 1 for k in IJCNN1]
        print(f"{name}, d = {d}" + "".join(f"{f'ζ={zeta:g}':>16}" for zeta in ZETAS))
        table = []
        for k, row, paper in zip(ks, heat_map(bench, ks, ZETAS), IJCNN1.values(), strict=True):
            table.append([f.bits for f in row])
            print(f"{f'K={k}':>{len(name) + 6 + len(str(d))}}" + "".join(f"{tell(f):>16}" for f in row), flush=True)
            if name == "ijcnn1":
                print(f"{'ratio':>14}" + "".join(f"{f.bits / p:16.2f}" for f, p in zip(row, paper, strict=True)))
        print(tell_shape(np.array(table), ks, ZETAS))
        print(f"{bench.differ} of {bench.cells} cells differ; {time.process_time() - begun:.0f} s", flush=True)


def tell(found: Found) -> str:
    """Bits and the multiple's power of two."""
    return f"{found.bits:,.0f} [2^{math.log2(found.multiple):g}]" if found.rounds else "–"


# -- AdaCGD against CLAG, EF21 and LAG

ADA_ZETAS = (8.0, 64.0, 512.0, 4096.0)
"""For CLAG, LAG and AdaCGD alike."""
RACES = (("phishing", True), ("a1a", True), ("a9a", True), ("phishing", False))
"""Data sets; with the papers' non-convex regulariser, or convex."""


def ladders(dim: int) -> dict[str, tuple[int, ...]]:
    """The preset's ladder, and the steps of five that the authors' program has, both up to half of the features."""
    preset = sorted({max(1, int(share * dim)) for share in (0.0, 0.02, 0.05, 0.1, 0.25, 0.5)})
    return {"the preset's": tuple(preset), "by fives": (*range(1, dim // 2, 5), dim // 2)}


def rivals(dim: int) -> dict[str, list[Way]]:
    """The ways that each row of the AdaCGD table is the best of."""
    ks = [max(2, int(share * dim)) for share in (0.05, 0.25)]
    rows = {
        "EF21 Top-1": [Way((1,), 0.0)],
        "CLAG Top-1": [Way((1,), zeta) for zeta in ADA_ZETAS],
        "EF21, other K": [Way((k,), 0.0) for k in ks],
        "CLAG, other K": [Way((k,), zeta) for k in ks for zeta in ADA_ZETAS],
        "LAG": [Way((dim,), zeta) for zeta in ADA_ZETAS],
    }
    for name, ladder in ladders(dim).items():
        rows[f"AdaCGD, {name}"] = [Way(ladder, zeta) for zeta in ADA_ZETAS]
    return rows


def best_of(bench: Bench, ways: Sequence[Way]) -> Found:
    """The best way at its best multiple, each try cut at the best so far; then what the library takes."""
    found, near = Found(ways[0]), 16.0
    for way in ways:
        found = bench.best(way, near, found)
        near = found.multiple if found.rounds else near
    return bench.confirm(found)


def compare(bench: Bench, rows: dict[str, list[Way]]) -> dict[str, Found]:
    """Every row's best, printed with its ratio to the best AdaCGD's."""
    found = {name: best_of(bench, ways) for name, ways in rows.items()}
    ours = min(f.bits for name, f in found.items() if name.startswith("AdaCGD"))
    for name, f in found.items():
        k = f"K={f.way.rungs[0]}" if len(f.way.rungs) == 1 else f"{len(f.way.rungs)} levels"
        settings = f"{k}, ζ={f.way.zeta:g}, {f.rounds} rounds"
        print(f"  {name:22}{tell(f):>20}{f.bits / ours:8.2f}  {settings}")
    return found


def adacgd() -> None:
    """Table: AdaCGD (arXiv 2211.00188) beside CLAG, EF21, LAG: bits of a client, multiple of γ, ratio to AdaCGD's."""
    for name, nonconvex in RACES:
        begun = time.process_time()
        problem = by_twenty(name) if nonconvex else nf.load(name, clients=CLIENTS, l2=1e-3)
        bench = Bench(problem, 1e-6 if nonconvex else 1e-4, [2.0**c for c in range(9)], 2500)
        objective = "0.1 Σ x²/(1 + x²)" if nonconvex else "convex, λ = 1e-3"
        print(f"{name}, {objective}, ‖∇f‖ ≤ {bench.tol:g}")
        compare(bench, rivals(problem.dim))
        print(f"  {bench.differ} of {bench.cells} cells differ; {time.process_time() - begun:.0f} s", flush=True)


# -- M-FAC against gradient descent

FISHERS = ("a1a", "phishing")
WINDOWS = (16, 32, 64)
DAMPENINGS = (1e-4, 1e-3, 1e-2, 1e-1)
STEPS = (8.0, 16.0, 32.0, 64.0)
"""Multiples of γ = λ/L."""
GD_STEPS = (1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 6.0)
"""Multiples of γ = 1/L."""
MOST = 6000


def descend(
    bench: Bench, gamma: float, most: int, window: int = 0, dampening: float = 1.0, over: str = "aggregate"
) -> int:
    """Rounds of x⁺ = x - γP⁻¹∇f(x) with a dense P = λI + GᵀG/m, or of x⁺ = x - γ∇f(x); 0 where `most` do not do."""
    p = bench.problem
    x, gradients, oldest = np.zeros(p.dim), np.zeros((window, p.dim)), 0
    first = best = math.inf
    when = 0
    for t in range(most + 1):
        each = p.at(x).gradient + p.ridge * x
        direction = each.mean(axis=0)
        norm = float(np.linalg.norm(direction))
        if norm <= bench.tol:
            return t
        first = min(first, norm) if t == 0 else first
        if not norm < 1e3 * first or t - when > max(100, t // 2):
            return 0
        if norm < best:
            best, when = norm, t
        if window:
            new = each if over == "clients" else direction[None]
            places = (oldest + np.arange(max(len(new) - window, 0), len(new))) % window
            gradients[places] = new[-window:]
            oldest = (oldest + len(new)) % window
            fisher = dampening * np.eye(p.dim) + gradients.T @ gradients / window
            direction = cho_solve(cho_factor(fisher, check_finite=False), direction, check_finite=False)
        x = x - gamma * direction
    return 0


def m_fac() -> None:
    """Table: M-FAC (arXiv 2107.03356) beside gradient descent, all clients, λ₂ = 1e-3: rounds until ‖∇f‖ ≤ 1e-6."""
    print(f"M-FAC's λ of {', '.join(f'{x:g}' for x in DAMPENINGS)}; γ = λ/L times {', '.join(f'{c:g}' for c in STEPS)}")
    print(
        f"gd's γ = 1/L times {', '.join(f'{c:g}' for c in GD_STEPS)}; fewer: points of the grid that need fewer rounds"
    )
    for name in FISHERS:
        begun = time.process_time()
        bench = Bench(nf.load(name), 1e-6, GD_STEPS, MOST)
        rounds = {c: descend(bench, c / bench.smoothness[0], MOST) or math.inf for c in GD_STEPS}
        multiple = min(rounds, key=rounds.__getitem__)
        gd = arrive(bench.problem, nf.gd(stepsize=f"theory*{multiple:g}"), bench.tol, MOST)[0]
        print(f"{name}, {bench.problem.n_clients} clients: gd {gd} at {multiple:g}/L, {rounds[1.0]:g} at 1/L")
        for over in ("clients", "aggregate"):
            for window in WINDOWS:
                fewer = grid(bench, window, over, gd)
                told = f"  over={over:10} m={window:3}  {len(fewer):2} of {len(DAMPENINGS) * len(STEPS)} fewer"
                for (dampening, multiple), recursion in sorted(fewer.items(), key=lambda pair: pair[1])[:3]:
                    # Rounding decides much over aggregated gradients, so the library may come later or not at all.
                    step = f"theory*{multiple:g}"
                    method = nf.m_fac(window=window, dampening=dampening, over=over, stepsize=step)
                    ours = arrive(bench.problem, method, bench.tol, gd)[0]
                    ratio = f"{gd / ours:.2f}" if ours else "–"
                    told += f"; λ={dampening:g} {step}: {ours or 'none'} ({recursion}), {ratio}"
                    if ours == recursion:
                        break
                print(told, flush=True)
        print(f"  {time.process_time() - begun:.0f} s", flush=True)


def grid(bench: Bench, window: int, over: str, most: int) -> dict[tuple[float, float], int]:
    """The rounds of the recursion by (λ, multiple) where they are fewer than `most`."""
    taken = {
        (dampening, multiple): descend(
            bench, multiple * dampening / bench.smoothness[0], most - 1, window, dampening, over
        )
        for dampening in DAMPENINGS
        for multiple in STEPS
    }
    return {at: rounds for at, rounds in taken.items() if rounds}


PRINTED: dict[str, Callable[[], None]] = {"3pc": three_pc, "adacgd": adacgd, "m-fac": m_fac}
"""Tables that print themselves."""
