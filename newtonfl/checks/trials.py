"""What the checks share: promises in words, inputs that are hard to serve, and averages that are uncertain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import MatrixMessage, Message, Several
from newtonfl.comm.packets import Packet, decode, encode
from newtonfl.comm.parts import Parts, Sizes
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.registry import Part, from_spec

ROUNDING: dict[Precision, float] = {"float64": 1e-12, "float32": 1e-6, "natural": 1e-12}
"""A relative error that sums of rounded numbers may have, where a constant says nothing of the wire's precision."""

FEW, MANY = 8, 25
"""Draws at first, to see whether anything is drawn; how many times more before a part is accused."""


def promise(kept: object, words: str) -> None:
    """Fail with `words` where a promise is not `kept`."""
    if not kept:
        raise AssertionError(words)


def reads_back(part: Part) -> None:
    """Fail where a part has a name, and its text does not read as the same part again."""
    if holds_nameless(part):
        return
    name, spec = type(part).__name__, part.to_spec()
    with no_error(f"{name}: its text {spec!r} must be readable"):
        again = from_spec(part.kind, spec)
    promise(
        again == part,
        f"{name}: its text {spec!r} must read as the same {part.kind}, and reads as {again!r}; is it a frozen "
        "dataclass, with all settings as fields?",
    )


def holds_nameless(value: Any) -> bool:
    """Whether a part without a name of its own is somewhere in it: no spec can be read as such a part."""
    if isinstance(value, Part) and value.to_spec() == type(value).__name__:
        return True
    if isinstance(value, tuple):
        return any(map(holds_nameless, value))
    inner = fields(value) if is_dataclass(value) and not isinstance(value, type) else ()
    return any(holds_nameless(getattr(value, entry.name)) for entry in inner)


@contextmanager
def no_error(words: str) -> Iterator[None]:
    """Turn whatever a part raises into a failure that begins with `words`."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{words}: {type(error).__name__}: {error}") from error


def close(found: Array, expected: Array, words: str, relative: float = 1e-11) -> None:
    """Fail with `words` where two arrays differ by more than rounding."""
    promise(np.shape(found) == np.shape(expected), f"{words}: shape {np.shape(found)}, not {np.shape(expected)}")
    if np.size(expected):
        off = float(np.max(np.abs(found - expected)))
        allowed = relative * max(1.0, float(np.max(np.abs(expected))))
        promise(off <= allowed, f"{words}: they differ by {off:.3g}")


def at_most(bound: float, sample: Callable[[int], Array], draws: int, slack: float, words: str) -> None:
    """Fail where the mean of `sample` is above `bound`, with four standard errors where anything is drawn at random.

    Parameters
    ----------
    bound : float
    sample : callable
        count → that many independent draws, shape (count,); all equal where nothing is drawn, and then this is exact.
    draws : int
        How many to take once two have differed. A bound that seems broken is tried again with 25 times as many.
    slack : float
        What rounding may add.
    words : str
    """
    for count in (FEW, draws, MANY * draws):
        found = sample(count)
        mean, error = float(found.mean()), float(found.std()) / np.sqrt(count)
        spread = bool(found.min() != found.max())
        kept = mean <= bound + (4.0 * error if spread else 0.0) + slack
        if kept and (count >= draws or not spread):
            return
    raise AssertionError(f"{words} at most {bound:.6g}, seen {mean:.6g} ± {error:.2g} ({count} draws)")


def vectors(size: int, draw: np.random.Generator, far: int = 140) -> dict[str, Array]:
    """Vectors of `size` coordinates by what is hard about them; tiny and huge are 10 to the power of ∓`far`."""
    signs, normal = draw.choice([-1.0, 1.0], size), draw.standard_normal(size)
    one = np.zeros(size)
    one[size // 2 :][:1] = -2.5
    return {
        "random entries": normal,
        "negative entries": -np.abs(draw.standard_normal(size)),
        "heavy tails": draw.standard_cauchy(size),
        "equal entries": np.full(size, 0.7),
        "equal magnitudes, midway between powers of two": 1.5 * signs,
        "one entry alone": one,
        "entries that halve": signs * 2.0 ** -(np.arange(size) % 50),
        "zeros": np.zeros(size),
        "tiny entries": 10.0**-far * normal,
        "huge entries": 10.0**far * normal,
    }


def matrices(dim: int, draw: np.random.Generator, far: int = 140) -> dict[str, Array]:
    """Symmetric matrices (`dim`, `dim`) by what is hard about them."""
    normal, tails = draw.standard_normal((dim, dim)), draw.standard_cauchy((dim, dim))
    turn, signs = np.linalg.qr(normal)[0], draw.choice([-1.0, 1.0], dim)
    one, direction = np.zeros((dim, dim)), turn[:, :1]
    one[0, -1] = -2.5
    found = {
        "random entries": normal,
        "a negative definite matrix": -normal @ normal.T,
        "heavy tails": tails,
        "the identity": np.eye(dim),
        "eigenvalues of one magnitude": 1.5 * (turn * signs) @ turn.T,
        "eigenvalues that halve": (turn * 2.0 ** -np.arange(dim)) @ turn.T,
        "one entry alone": one,
        "equal entries": np.full((dim, dim), 0.7),
        "rank one": direction @ direction.T,
        "zeros": np.zeros((dim, dim)),
        "tiny entries": 10.0**-far * normal,
        "huge entries": 10.0**far * normal,
    }
    return {what: (matrix + matrix.T) / 2 for what, matrix in found.items()}


def carried(parts: Parts, sizes: Sizes, kind: Kind = Kind.REPLY, client: int = 0) -> Parts:
    """`parts` after a journey: encoded into a packet, and decoded from its bytes."""
    packet, _ = decode(memoryview(encode(Packet(kind, 0, client, 0, parts))), sizes)
    return packet.parts


def decoded(message: Message, shape: tuple[int, ...]) -> Array:
    """The vector or matrix of `shape` that a `message` stands for."""
    if isinstance(message, Several):
        return np.sum([decoded(part, shape) for part in message.parts], axis=0) + np.zeros(shape)
    if isinstance(message, MatrixMessage):
        return message.matrix()
    indices, values = message.coordinates()
    whole = np.zeros(shape)
    whole[... if indices is None else indices] = values
    return whole


def clients_first(state: Any, n: int, where: str) -> None:
    """Fail where an array or Blocks in a `state` has not a row for each of `n` clients; `where` names the state."""
    if state is None:
        return
    if isinstance(state, Blocks):
        promise(len(state) == n, f"{where} has {len(state)} blocks for {n} clients")
    elif is_dataclass(state) and not isinstance(state, type):
        for entry in fields(state):
            clients_first(getattr(state, entry.name), n, f"{where}.{entry.name}")
    else:
        shape = getattr(state, "shape", None)
        promise(
            shape is not None, f"{where} is {type(state).__name__}, must be an array, Blocks or a dataclass of them"
        )
        promise(shape and shape[0] == n, f"{where} has shape {shape}, must have the {n} clients' axis first")


def arrays_of(state: Any) -> list[Array]:
    """Every array in a state, in order."""
    if state is None:
        return []
    if isinstance(state, Blocks):
        return [state.values, state.offsets]
    if is_dataclass(state) and not isinstance(state, type):
        return [array for entry in fields(state) for array in arrays_of(getattr(state, entry.name))]
    return [state]


def same_arrays(one: Any, other: Any) -> bool:
    """Whether two states hold the same bits."""
    pairs = list(zip_longest(arrays_of(one), arrays_of(other)))
    return all(a is not None and b is not None and np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def same(a: Message, b: Message) -> bool:
    """Whether two messages put the same bits on the wire."""
    return type(a) is type(b) and a.precision == b.precision and a.payload() == b.payload()


def all_same(one: Sequence[Message], other: Sequence[Message]) -> bool:
    """Whether two lists of messages put the same bits on the wire."""
    return len(one) == len(other) and all(map(same, one, other))
