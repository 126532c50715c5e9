"""Parts: what one client's packet holds, by name; and many clients' parts, one sequence of messages a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, TypeVar, overload

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Batch, Message, batched, concatenated
from newtonfl.core.backend import Array

M = TypeVar("M")
K = TypeVar("K")
T = TypeVar("T")

PARTS = (
    "model", "gradient", "curvature", "error", "support", "initial",
    "subspace", "value", "direction", "trials", "constant",
    "product", "damped", "eigenpairs",
    "gram", "bound", "scale",
    "anew", "change", "missed", "stepsize", "anchor",
    "diagonal", "start", "steps", "column", "seed",
)  # fmt: skip
"""The names of the library's parts; a section carries the position in this list. Only ever longer, at the end."""

Parts: TypeAlias = dict[str, Message]
"""What one client says, by part."""


class Received(dict[K, T]):
    """What came in packets: an entry that is missing is the sender's fault, and no KeyError.

    Parameters
    ----------
    entries : dict
    what : str
        What an entry is, for a message: "round 3, the reply: the part".
    """

    def __init__(self, entries: Mapping[K, T], what: str) -> None:
        super().__init__(entries)
        self.what = what

    def __missing__(self, key: K) -> T:
        raise WireError(f"{self.what} {key} is missing")


@dataclass(frozen=True, eq=False)
class ManyParts(Sequence[Parts]):
    """The parts of n clients who all say something of the same ones: entry i is the dictionary of client i.

    Attributes
    ----------
    columns : dict of str to sequence of Message
        By part, a message a client; a :class:`Batch` where all are of one form.
    n : int
    """

    columns: dict[str, Sequence[Message]]
    n: int

    def __len__(self) -> int:
        return self.n

    @overload
    def __getitem__(self, i: int) -> Parts: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Parts]: ...
    def __getitem__(self, i: int | slice) -> Parts | Sequence[Parts]:
        if isinstance(i, slice):
            return self.select(np.arange(self.n)[i])
        if not -self.n <= i < self.n:
            raise IndexError(f"client {i} of {self.n}")
        return {name: messages[i] for name, messages in self.columns.items()}

    def __iter__(self) -> Iterator[Parts]:
        if not self.columns:
            return ({} for _ in range(self.n))
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True))

    def select(self, chosen: Array) -> Self:
        """The parts of some clients, at the positions `chosen`."""
        columns: dict[str, Sequence[Message]] = {}
        for name, messages in self.columns.items():
            whole = batched(messages)
            if isinstance(whole, Batch):
                columns[name] = whole.select(chosen)
            else:
                columns[name] = [whole[int(i)] for i in chosen]
        return type(self)(columns, len(chosen))

    @classmethod
    def of(cls, parts: Sequence[Parts]) -> Sequence[Parts]:
        """The same `parts` as one of these, where all clients name the same ones in the same order."""
        if not len(parts):
            return cls({}, 0)
        if isinstance(parts, ManyParts) or any(list(mine) != list(parts[0]) for mine in parts[1:]):
            return parts
        return cls({name: [mine[name] for mine in parts] for name in parts[0]}, len(parts))


def nothing_from(clients: Array) -> Sequence[Parts]:
    """No part of any of the `clients`."""
    return ManyParts({}, len(clients))


def select_parts(parts: Sequence[Parts], chosen: Array) -> Sequence[Parts]:
    """The parts of some clients, at the positions `chosen`."""
    return parts.select(chosen) if isinstance(parts, ManyParts) else [parts[int(i)] for i in chosen]


def formula_bits(parts: Sequence[Parts]) -> Array:
    """The papers' count of each client's parts, in bits, shape (n,)."""
    if not isinstance(parts, ManyParts):
        return np.array([sum(message.formula_bits for message in mine.values()) for mine in parts], np.int64)
    bits = np.zeros(parts.n, np.int64)
    for messages in parts.columns.values():
        whole = batched(messages)
        if isinstance(whole, Batch):
            bits += whole.formula_bits
        else:
            bits += np.array([message.formula_bits for message in whole], np.int64)
    return bits


def column(parts: Sequence[Parts], name: str) -> Sequence[Message]:
    """Every client's message about the part `name`; WireError where one has none."""
    try:
        return parts.columns[name] if isinstance(parts, ManyParts) else [mine[name] for mine in parts]
    except KeyError:
        lacking = next((i for i, mine in enumerate(parts) if name not in mine), 0)
        raise WireError(f"the packet of client {lacking} of {len(parts)} has no part {name}") from None


def joined(one: Mapping[str, M], other: Mapping[str, M]) -> dict[str, M]:
    """The parts of two components as one packet carries them; ValueError where both have named a part the same."""
    if shared := one.keys() & other.keys():
        raise ValueError(f"part: given {sorted(shared)} by two components of the round, must be a name of one of them")
    return {**one, **other}


def joined_all(one: Sequence[Parts], other: Sequence[Parts]) -> Sequence[Parts]:
    """:func:`joined` for every client."""
    if isinstance(one, ManyParts) and isinstance(other, ManyParts):
        return ManyParts(joined(one.columns, other.columns), one.n)
    return [joined(mine, more) for mine, more in zip(one, other, strict=True)]


def end_to_end(groups: Sequence[Sequence[Parts]]) -> Sequence[Parts]:
    """The parts of several groups of clients, one group after the other; the groups are used up, to save memory."""
    alike = [group for group in groups if isinstance(group, ManyParts)]
    if len(groups) == 1:
        return groups[0]
    if len(alike) < len(groups) or len({tuple(group.columns) for group in alike}) != 1:
        return [mine for group in groups for mine in group]
    columns = {name: concatenated([group.columns.pop(name) for group in alike]) for name in list(alike[0].columns)}
    return ManyParts(columns, sum(group.n for group in alike))


Sizes: TypeAlias = Callable[[str, Array, Sequence[Parts]], Any]
"""(part, clients, their parts read so far) → how many coordinates that part's vector has: an array, or one number."""
