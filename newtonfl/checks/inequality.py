"""Whether the three-point inequality of a mechanism holds with its constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from newtonfl.bases import Symmetric, TriangleCoordinates
from newtonfl.bases.coordinates import equal_blocks
from newtonfl.checks.trials import ROUNDING, at_most, promise
from newtonfl.compressors import Rounded
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import Marina, Mechanism, OwnMemory


def space_of(dim: int, n: int) -> TriangleCoordinates:
    return Symmetric().from_setup(dim, [{}] * n)


def first_own(made: Mechanism, space: TriangleCoordinates) -> OwnMemory:
    """The memory that a mechanism keeps of its own where h⁰ = 0; None where it keeps none."""
    return made.init_memory(Blocks.of([np.zeros(int(size)) for size in space.sizes])).own


def _triples(size: int, draw: np.random.Generator, worst: Sequence[float]) -> dict[str, tuple[Array, Array, Array]]:
    """(h, y, x) by what is hard about them; `worst` are ‖h - y‖/‖x - y‖ where the two pull against each other."""
    h, y, x, small = draw.standard_normal((4, size))
    flat = draw.choice([-1.0, 1.0], size)
    found = {
        "three random points": (h, y, x),
        "h = y": (y, y, x),
        "x = y": (h, y, y),
        "x = h": (x, y, x),
        "h = y = x": (x, x, x),
        "heavy tails": (h, y + draw.standard_cauchy(size), x + draw.standard_cauchy(size)),
        "x near y": (h, y, y + 1e-6 * small),
        "h near y": (y + 1e-6 * small, y, x),
        "all near": (y + 1e-8 * small, y, y + 1e-8 * h),
        "h far away": (1e6 * h, y, x),
        "one entry moves": (y + small, y, y + np.eye(size)[0]),
    }
    for ratio in (*worst, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0):
        # Compressors lose the most where all entries weigh the same.
        found[f"h - y = -{ratio:.3g}(x - y), all entries equal in magnitude"] = (-ratio * flat, 0 * flat, flat)
        found[f"h - y = {ratio:.3g}(x - y), all entries equal in magnitude"] = (ratio * flat, 0 * flat, flat)
        found[f"h - y = -{ratio:.3g}(x - y)"] = (y - ratio * small, y, y + small)
    return found


def check_inequality(made: Mechanism, dim: int, draw: np.random.Generator, key: Key, draws: int) -> None:
    size = int(space_of(dim, 1).sizes[0])
    try:
        a, b = made.constants(size)
    except ValueError:
        return
    promise(0 < a <= 1 and 0 <= b < np.inf, f"{made.to_spec()}: A = {a}, B = {b}, must be in (0, 1] and at least 0")
    # With t = ‖h - y‖/‖x - y‖, c‖x - h‖² = c(1 + t)² comes nearest to (1 - A)t² + B at t = B/(1 - A); and a lazy
    # mechanism keeps still up to (1 + t)² = B.
    worst = [b / (1.0 - a) if a < 1 and b > 0 else 2.0, 0.999 * max(np.sqrt(b) - 1.0, 0.1)]
    rounding = _rounding(made)
    own = first_own(made, space_of(dim, 1))
    for what, (h, y, x) in _triples(size, draw, worst).items():

        def lost(count: int, served: bool, points: tuple[Array, Array, Array] = (h, y, x)) -> Array:
            rows = [np.tile(point, (count, 1)) for point in points]
            return _over_coins(
                made, lambda coin: np.sum((_result(made, dim, rows, key, coin, served) - rows[2]) ** 2, axis=1)
            )

        bound = (1.0 - a) * float(np.sum((h - y) ** 2)) + b * float(np.sum((x - y) ** 2))
        largest = max(float(np.linalg.norm(point)) for point in (h, y, x))
        words = (
            f"{made.to_spec()}: (A, B) = ({a:.6g}, {b:.6g}) promise E‖C(x) - x‖² ≤ (1 - A)‖h - y‖² + B‖x - y‖², on "
            f"{size} coordinates and for {what}"
        )
        for served in (False,) if own is None else (False, True):
            after = ", its own memory having served other points," if served else ""
            sample, slack = partial(lost, served=served), rounding * bound + (rounding * largest) ** 2
            at_most(bound, sample, draws, slack, f"{words}{after}")
    if isinstance(made, Marina):
        _check_mean(made, dim, draw, key, draws, (a, b))


def _check_mean(
    made: Mechanism, dim: int, draw: np.random.Generator, key: Key, draws: int, constants: tuple[float, float]
) -> None:
    """The mean of n clients: their independent draws divide B by n."""
    size, n, (a, b) = int(space_of(dim, 1).sizes[0]), 5, constants
    h, y = draw.standard_normal((2, n, size))
    x = y + draw.standard_normal(size)  # one change for all, so that draws that are not independent add up

    def lost(count: int) -> Array:
        rows = [np.tile(points, (count, 1)) for points in (h, y, x)]

        def off(coin: bool) -> Array:
            return (_result(made, dim, rows, key, coin) - rows[2]).reshape(count, n, size).mean(axis=1)

        return _over_coins(made, lambda coin: np.sum(off(coin) ** 2, axis=1))

    apart, change = float(np.sum((h - y).mean(axis=0) ** 2)), float(np.sum((x - y) ** 2)) / n
    words = f"{made.to_spec()}: with n = {n} clients (A, B) = ({a:.6g}, {b / n:.6g}) promise of their mean"
    bound = (1.0 - a) * apart + b / n * change
    at_most(bound, lost, draws, _rounding(made) * bound, words)


def _result(made: Mechanism, dim: int, rows: list[Array], key: Key, coin: bool, served: bool = False) -> Array:
    """C_{h,y}(x) for each of the `rows` of h, y and x: a client each, with draws of its own.

    Where it has `served`, a memory of the mechanism's own comes from two rounds between other points.
    """
    h, y, x = (equal_blocks(points + 0.0) for points in rows)
    if made.skips(coin):
        return rows[0]
    space, clients = space_of(dim, len(h)), np.arange(len(h))
    memory = made.init_memory(h, y)
    if served and not made.skips(True):
        other = made.init_memory(y.replaced(y.values + 0.0), x)
        for k, target in enumerate((x.replaced(-x.values), y.replaced(2.0 * y.values))):
            other = made.send(other, target, space, clients, key.to(f"before {k}"), True).memory
        memory = replace(memory, own=other.own)
    result: Array = made.send(memory, x, space, clients, key, coin).memory.estimate.values
    return result.reshape(rows[0].shape)


def _over_coins(made: Mechanism, lost: Callable[[bool], Array]) -> Array:
    """The mean over the server's coin of what is `lost` on heads and on tails."""
    if made.coin is None or made.coin == 1:
        return lost(True)
    return made.coin * lost(True) + (1.0 - made.coin) * lost(False)


def _rounding(made: Mechanism) -> float:
    """A relative error that the wire's precision allows, which constants do not speak of."""
    found = {inner.precision for inner in made.compressors() if isinstance(inner, Rounded)}
    return max(ROUNDING[precision] for precision in {*found, "float64"})
