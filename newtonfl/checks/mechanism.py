"""Whether a mechanism's two ends agree, and its three-point inequality holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from newtonfl.bases import TriangleCoordinates
from newtonfl.checks.inequality import check_inequality, first_own, space_of
from newtonfl.checks.trials import (
    all_same,
    arrays_of,
    carried,
    clients_first,
    no_error,
    promise,
    reads_back,
    same_arrays,
)
from newtonfl.comm.messages import Message
from newtonfl.components.client_state import take_clients
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import Mechanism, Memory, SendResult


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
    - A memory of its own (:meth:`~newtonfl.mechanisms.Mechanism.init_own_memory`) has the clients' axis first and keeps
      its form; it moves on by the same call to the same bits, for a client alone as in company; nothing else changes
      it, sending h on among that. The inequality holds with the first memory, and with one that has served others.
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
        At the first broken promise: what was promised, what was found, and for which points.
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
    made, space = mechanism.for_dimension(dim), space_of(dim, 3)
    made.check(space)
    reads_back(made)
    draw, key = np.random.default_rng(seed), Key(seed, 0, 0, "/check")
    with no_error(f"{made.to_spec()}: messages must be made, sent and received"):
        _check_own_memory(made, space, draw, key)
        _check_ends(made, space, draw, key)
        _check_memory(made, space, draw, key)
        check_inequality(made, dim, draw, key, draws)


def _drawn(space: TriangleCoordinates, draw: np.random.Generator) -> Blocks:
    return Blocks.of([draw.standard_normal(int(size)) for size in space.sizes])


def _copy(blocks: Blocks) -> Blocks:
    return blocks.replaced(blocks.values.copy())


def _check_ends(made: Mechanism, space: TriangleCoordinates, draw: np.random.Generator, key: Key) -> None:
    """Six rounds, over the wire, of clients whose server holds each of their h, and of one that holds the mean."""
    n, size = len(space.sizes), int(space.sizes[0])
    clients, weights = np.arange(n) * 2, np.array([0.5, 0.3, 0.2])
    memory = made.init_memory(_drawn(space, draw))
    copies = [vector.copy() for vector in memory.estimate]
    mean = weights @ np.stack(copies)
    estimate_rates = made.estimate_rates(space.sizes)
    for k in range(6):
        coin = made.coin is None or k % 2 == 0
        if made.skips(coin):
            continue
        target, before = _drawn(space, draw), _copy(memory.estimate)
        sent = made.send(memory, target, space, clients, key.at(k), coin)
        arrived = [carried({"curvature": m}, lambda part, clients, known: size)["curvature"] for m in sent.messages]
        promise(all_same(sent.messages, arrived), f"{made.to_spec()}, round {k}: a message changed on the wire")
        used = sent.memory.estimate if estimate_rates.any() else before
        for i in range(n):
            words = f"{made.to_spec()}, round {k}, client {i}: both ends must hold the same bits"
            copies[i], estimate = made.receive(copies[i], [arrived[i]], space.select(np.array([i])), np.ones(1))
            promise(np.array_equal(copies[i], sent.memory.estimate[i]), f"{words} of h")
            if not estimate_rates.any() or np.array_equal(estimate_rates, made.memory_rates(space.sizes)):
                promise(np.array_equal(estimate, used[i]), f"{words} of the estimate in use")
            off = np.abs(sent.residual[i] - (target[i] - estimate)).max()
            words = f"{made.to_spec()}, round {k}: the residual must be x less the estimate, off by {off:.3g}"
            promise(off <= 1e-12, words)
        mean, _ = made.receive(mean, arrived, space, weights)
        off = np.abs(mean - weights @ np.stack(copies)).max()
        promise(off <= 1e-12, f"{made.to_spec()}, round {k}: the server's mean is {off:.3g} away from Σ weight_i h_i")
        memory = sent.memory


def _check_memory(made: Mechanism, space: TriangleCoordinates, draw: np.random.Generator, key: Key) -> None:
    """What is remembered of the last target, and of whom a message depends on."""
    n = len(space.sizes)
    clients, target, last = np.arange(n), _drawn(space, draw), _drawn(space, draw)
    # From near h to far: what is near is sent where y = x, and perhaps not at all else.
    estimate = Blocks.of(
        [vector + 20.0**k * v for k, vector, v in zip((-2, -1, 0), target, _drawn(space, draw), strict=True)]
    )
    for coin in (True, False) if made.coin is not None else (True,):
        if made.skips(coin):
            continue

        def send(previous: Blocks | None, chosen: Array, coin: bool = coin) -> tuple[Sequence[Message], Memory]:
            memory = made.init_memory(estimate.select(chosen), None if previous is None else previous.select(chosen))
            goal = target.select(chosen)
            sent = made.send(memory, goal, space.select(chosen), clients[chosen], key, coin)
            promise(
                np.array_equal(goal.values, target.select(chosen).values),
                f"{made.to_spec()}: the target must stay as it was, and was changed",
            )
            return sent.messages, sent.memory

        first, memory = send(None, clients)
        again, _ = send(target, clients)
        promise(all_same(first, again), f"{made.to_spec()}: before a client has sent anything, y = x must hold")
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


def _check_own_memory(made: Mechanism, space: TriangleCoordinates, draw: np.random.Generator, key: Key) -> None:
    """What a mechanism remembers beside h and y, over nine rounds."""
    n, words = len(space.sizes), f"{made.to_spec()}: its own memory"
    if first_own(made, space) is None:
        return
    clients, memory, target = np.arange(n), made.init_memory(_drawn(space, draw)), _drawn(space, draw)
    clients_first(memory.own, n, words)
    for k in range(9):
        coin = made.coin is None or k % 2 == 0
        if made.skips(coin):
            continue
        # Near h, far from all, near y where h still is far: not all clients have the same to say.
        places = zip(memory.estimate, np.zeros(n), target, strict=True)
        turns = [((i + k) % 3, at, step) for i, (at, step) in enumerate(zip(places, _drawn(space, draw), strict=True))]
        target = Blocks.of([at[turn] + (0.01, 1.0, 0.01)[turn] * step for turn, at, step in turns])
        kept = take_clients(memory, clients)

        def send(
            chosen: Array, kept: Memory = kept, target: Blocks = target, k: int = k, coin: bool = coin
        ) -> SendResult:
            before, goal = take_clients(kept, chosen), target.select(chosen)
            handed = take_clients(before.own, np.arange(len(chosen)))
            sent = made.send(before, goal, space.select(chosen), clients[chosen], key.at(k), coin)
            promise(same_arrays(before.own, handed), f"{words} must be left as it was handed in, and was changed")
            after = arrays_of(sent.memory.own)
            clients_first(sent.memory.own, len(chosen), f"{words} after a message")
            promise(
                [array.shape for array in after] == [array.shape for array in arrays_of(before.own)],
                f"{words} must keep its form, and became {sent.memory.own!r}",
            )
            promise(
                not any(np.shares_memory(array, sent.memory.estimate.values) for array in after),
                f"{words} is a view of h, which sending overwrites: it must be a copy",
            )
            return sent

        sent, again = send(clients), send(clients)
        promise(
            all_same(sent.messages, again.messages) and same_arrays(sent.memory.own, again.memory.own),
            f"{words}: the same call must give the same message and memory again",
        )
        for group in (np.array([1]), np.array([2, 0])):
            part = send(group)
            alike = all_same(part.messages, [sent.messages[i] for i in group])
            promise(
                alike and same_arrays(part.memory.own, take_clients(sent.memory.own, group)),
                f"{words}: a client's part must not depend on who shares its process",
            )
        memory = sent.memory
