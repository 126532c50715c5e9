"""Whether a mechanism's two ends agree, and its three-point inequality holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from newtonfl.bases import Symmetric, TriangleCoordinates
from newtonfl.bases.coordinates import equal_blocks
from newtonfl.checks.trials import ROUNDING, all_same, at_most, carried, no_error, promise
from newtonfl.comm.messages import Message
from newtonfl.compressors import Rounded
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import Marina, Mechanism, Memory


def check_mechanism(mechanism: Mechanism, *, dim: int = 5, draws: int = 200, seed: int = 0) -> None:
    """Check a three-point mechanism, yours or the library's, on symmetric matrices in isometric coordinates.

    - Sender and receiver hold the same bits, round after round, when messages go over the wire; the estimate in use
      and the residual are what ``rates`` and ``gains`` make of them.
    - The last target y is remembered where it is needed, and only there; before the first y = x. Targets stay as they
      are, and a client's message does not depend on who shares its process.
    - E‖C_{h,y}(x) - x‖² ≤ (1 - A)‖h - y‖² + B‖x - y‖² with (A, B) of ``constants``, at random points and where two of
      the points coincide, nearly coincide, or pull against each other; exactly where nothing is drawn at random, else
      on average over keys within four standard errors, and over both sides of the coin. Where the coin lets the
      mechanism rest, C_{h,y}(x) = h without a look at x. Where ``constants`` raises ValueError none is
      promised.
    - For MARINA also what its clients' draws gain together: with n clients of independent draws B is (1-p)ω/n.

    Parameters
    ----------
    mechanism : Mechanism
        What is checked.
    dim : int
        d; there are d(d + 1)/2 coordinates.
    draws : int
        How many keys an average is taken over, where messages are random.
    seed : int
        Seeds points and keys.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, what was seen, and for which points.
    ValueError
        Where the mechanism's settings do not go with `dim`.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_mechanism
    >>> from newtonfl.mechanisms import CLAG
    >>> check_mechanism(CLAG(nf.TopK("1d"), zeta=2.0))
    """
    promise(isinstance(mechanism, Mechanism), f"given {mechanism!r}, must be a Mechanism")
    made, space = mechanism.for_dimension(dim), _space(dim, 3)
    made.check(space)
    draw, key = np.random.default_rng(seed), Key(seed, 0, 0, "/check")
    with no_error(f"{made.to_spec()}: messages must be made, sent and received"):
        _check_ends(made, space, draw, key)
        _check_memory(made, space, draw, key)
        _check_inequality(made, dim, draw, key, draws)


def _space(dim: int, n: int) -> TriangleCoordinates:
    return Symmetric().from_setup(dim, [{}] * n)


def _drawn(space: TriangleCoordinates, draw: np.random.Generator) -> Blocks:
    return Blocks.of([draw.standard_normal(int(size)) for size in space.sizes])


def _copy(blocks: Blocks) -> Blocks:
    return blocks.replaced(blocks.values.copy())


def _check_ends(made: Mechanism, space: TriangleCoordinates, draw: np.random.Generator, key: Key) -> None:
    """Six rounds, over the wire, of clients whose server holds each of their h, and of one that holds the mean."""
    n, size = len(space.sizes), int(space.sizes[0])
    clients, weights = np.arange(n) * 2, np.array([0.5, 0.3, 0.2])
    memory = Memory(_drawn(space, draw))
    held = [vector.copy() for vector in memory.estimate]
    mean = weights @ np.stack(held)
    estimate_rates = made.estimate_rates(space.sizes)
    for k in range(6):
        coin = made.coin is None or k % 2 == 0
        if made.skips(coin):
            continue
        target, before = _drawn(space, draw), _copy(memory.estimate)
        sent = made.send(memory, target, space, clients, key.at(k), coin)
        arrived = [carried({"curvature": m}, lambda part, client, heard: size)["curvature"] for m in sent.messages]
        promise(all_same(sent.messages, arrived), f"{made.to_spec()}, round {k}: a message changed on the wire")
        used = sent.memory.estimate if estimate_rates.any() else before
        for i in range(n):
            words = f"{made.to_spec()}, round {k}, client {i}: both ends must hold the same bits"
            held[i], estimate = made.receive(held[i], [arrived[i]], space.take(np.array([i])), np.ones(1))
            promise(np.array_equal(held[i], sent.memory.estimate[i]), f"{words} of h")
            if not estimate_rates.any() or np.array_equal(estimate_rates, made.memory_rates(space.sizes)):
                promise(np.array_equal(estimate, used[i]), f"{words} of the estimate in use")
            off = np.abs(sent.residual[i] - (target[i] - estimate)).max()
            promise(
                off <= 1e-12, f"{made.to_spec()}, round {k}: the residual must be x less the estimate, off by {off:.3g}"
            )
        mean, _ = made.receive(mean, arrived, space, weights)
        off = np.abs(mean - weights @ np.stack(held)).max()
        promise(off <= 1e-12, f"{made.to_spec()}, round {k}: the server's mean is {off:.3g} away from Σ weight_i h_i")
        memory = sent.memory


def _check_memory(made: Mechanism, space: TriangleCoordinates, draw: np.random.Generator, key: Key) -> None:
    """What is remembered of the last target, and of whom a message depends on."""
    n = len(space.sizes)
    clients, target, last = np.arange(n), _drawn(space, draw), _drawn(space, draw)
    # From near h to far: what is near is told where y = x, and may not be worth a word else.
    told = Blocks.of(
        [vector + 20.0**k * v for k, vector, v in zip((-2, -1, 0), target, _drawn(space, draw), strict=True)]
    )
    for coin in (True, False) if made.coin is not None else (True,):
        if made.skips(coin):
            continue

        def send(previous: Blocks | None, chosen: Array, coin: bool = coin) -> tuple[list[Message], Memory]:
            memory = Memory(told.take(chosen), None if previous is None else previous.take(chosen))
            goal = target.take(chosen)
            sent = made.send(memory, goal, space.take(chosen), clients[chosen], key, coin)
            promise(
                np.array_equal(goal.values, target.take(chosen).values),
                f"{made.to_spec()}: the target must stay as it was, and was changed",
            )
            return sent.messages, sent.memory

        first, memory = send(None, clients)
        again, _ = send(target, clients)
        promise(all_same(first, again), f"{made.to_spec()}: before a client has told anything, y = x must hold")
        after, memory = send(last, clients)
        if made.needs_previous:
            kept = memory.target is not None and np.array_equal(memory.target.values, target.values)
            promise(kept, f"{made.to_spec()}: it needs the last target, and must remember the present one")
        else:
            promise(all_same(first, after), f"{made.to_spec()}: it says that it needs no last target, and looks at it")
            promise(memory.target is None, f"{made.to_spec()}: it needs no last target, and must not keep it")
        for group in (np.array([1]), np.array([2, 0])):
            part, _ = send(last, group)
            promise(
                all_same(part, [after[i] for i in group]),
                f"{made.to_spec()}: a client's message must not depend on who shares its process",
            )


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
    for ratio in (*worst, 0.2, 1.0, 5.0):
        # Compressors lose the most where all entries weigh the same.
        found[f"h - y = -{ratio:.3g}(x - y), all entries equal in magnitude"] = (-ratio * flat, 0 * flat, flat)
        found[f"h - y = {ratio:.3g}(x - y), all entries equal in magnitude"] = (ratio * flat, 0 * flat, flat)
        found[f"h - y = -{ratio:.3g}(x - y)"] = (y - ratio * small, y, y + small)
    return found


def _check_inequality(made: Mechanism, dim: int, draw: np.random.Generator, key: Key, draws: int) -> None:
    size = int(_space(dim, 1).sizes[0])
    try:
        a, b = made.constants(size)
    except ValueError:
        return
    promise(0 < a <= 1 and 0 <= b < np.inf, f"{made.to_spec()}: A = {a}, B = {b}, must be in (0, 1] and at least 0")
    # With t = ‖h - y‖/‖x - y‖, c‖x - h‖² = c(1 + t)² comes nearest to (1 - A)t² + B at t = B/(1 - A); and a lazy
    # mechanism keeps still up to (1 + t)² = B.
    worst = [b / (1.0 - a) if a < 1 and b > 0 else 2.0, 0.999 * max(np.sqrt(b) - 1.0, 0.1)]
    rounding = _rounding(made)
    for what, (h, y, x) in _triples(size, draw, worst).items():

        def lost(count: int, points: tuple[Array, Array, Array] = (h, y, x)) -> Array:
            rows = [np.tile(point, (count, 1)) for point in points]
            return _over_coins(made, lambda coin: np.sum((_told(made, dim, rows, key, coin) - rows[2]) ** 2, axis=1))

        bound = (1.0 - a) * float(np.sum((h - y) ** 2)) + b * float(np.sum((x - y) ** 2))
        largest = max(float(np.linalg.norm(point)) for point in (h, y, x))
        words = (
            f"{made.to_spec()}: (A, B) = ({a:.6g}, {b:.6g}) promise E‖C(x) - x‖² ≤ (1 - A)‖h - y‖² + B‖x - y‖², on "
            f"{size} coordinates and for {what}"
        )
        at_most(bound, lost, draws, rounding * bound + (rounding * largest) ** 2, words)
    if isinstance(made, Marina):
        _check_mean(made, dim, draw, key, draws, (a, b))


def _check_mean(
    made: Mechanism, dim: int, draw: np.random.Generator, key: Key, draws: int, constants: tuple[float, float]
) -> None:
    """The mean of n clients: their independent draws divide B by n."""
    size, n, (a, b) = int(_space(dim, 1).sizes[0]), 5, constants
    h, y = draw.standard_normal((2, n, size))
    x = y + draw.standard_normal(size)  # one change for all, so that draws that are not independent add up

    def lost(count: int) -> Array:
        rows = [np.tile(points, (count, 1)) for points in (h, y, x)]

        def off(coin: bool) -> Array:
            return (_told(made, dim, rows, key, coin) - rows[2]).reshape(count, n, size).mean(axis=1)

        return _over_coins(made, lambda coin: np.sum(off(coin) ** 2, axis=1))

    apart, change = float(np.sum((h - y).mean(axis=0) ** 2)), float(np.sum((x - y) ** 2)) / n
    words = f"{made.to_spec()}: with n = {n} clients (A, B) = ({a:.6g}, {b / n:.6g}) promise of their mean"
    bound = (1.0 - a) * apart + b / n * change
    at_most(bound, lost, draws, _rounding(made) * bound, words)


def _told(made: Mechanism, dim: int, rows: list[Array], key: Key, coin: bool) -> Array:
    """C_{h,y}(x) for each of the `rows` of h, y and x: a client each, with draws of its own."""
    h, y, x = (equal_blocks(points + 0.0) for points in rows)
    if made.skips(coin):
        return rows[0]
    space = _space(dim, len(h))
    told: Array = made.send(Memory(h, y), x, space, np.arange(len(h)), key, coin).memory.estimate.values
    return told.reshape(rows[0].shape)


def _over_coins(made: Mechanism, lost: Callable[[bool], Array]) -> Array:
    """The mean over the server's coin of what is `lost` on heads and on tails."""
    if made.coin is None or made.coin == 1:
        return lost(True)
    return made.coin * lost(True) + (1.0 - made.coin) * lost(False)


def _rounding(made: Mechanism) -> float:
    """A relative error that the wire's precision allows, which constants do not speak of."""
    found = {inner.precision for inner in made.compressors() if isinstance(inner, Rounded)}
    return max(ROUNDING[precision] for precision in {*found, "float64"})
