"""Batch: messages of many clients in one form, as whole arrays. A message alone is written as a batch of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Self, overload

import numpy as np

from newtonfl.comm.coding import (
    Precision,
    WireError,
    bytes_per,
    decode_many_indices,
    decode_many_values,
    encode_many_indices,
    encode_many_values,
    rounded,
)
from newtonfl.comm.messages.message import FLOAT_BITS, Message
from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of, ranges
from newtonfl.kernels import weighted

_COUNT = 4
"""The bytes of a count."""


@dataclass(frozen=True, eq=False)
class Batch(Sequence[Message]):
    """One message a client, all of one form and precision: numbers, or positions, or both.

    The clients' numbers lie end to end. What a form has of these two says what stands on the wire: the count, where the
    receiver cannot know it, the numbers, then the code of the positions.

    Attributes
    ----------
    form : type of Message
        Dense (numbers alone), Sparse (both) or Indices (positions alone).
    counts : numpy.ndarray of int64, shape (n,)
        How many each client has.
    values : numpy.ndarray of float64, shape (Σ counts,), or None
        The numbers, as they will arrive.
    indices : numpy.ndarray of int64, shape (Σ counts,), or None
        The positions, each client's own, increasing.
    formula_bits : numpy.ndarray of int64, shape (n,)
        The papers' count: 32 bits a number, unless another is given.
    precision : {"float64", "float32", "natural"}
    """

    form: type[Message]
    counts: Array
    values: Array = None
    indices: Array = None
    formula_bits: Array = None
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        if self.values is not None:
            object.__setattr__(self, "values", rounded(self.values, self.precision))
        if self.formula_bits is None:
            bits = np.zeros_like(self.counts) if self.values is None else FLOAT_BITS * self.counts
            object.__setattr__(self, "formula_bits", bits)

    @classmethod
    def of_one(cls, message: Message) -> Self:
        """The batch of one `message`."""
        fields = vars(message)
        values, indices = fields.get("values"), fields.get("indices")
        numbers: Array = indices if values is None else values
        counts = np.array([len(numbers)])
        return cls(type(message), counts, values, indices, np.array([message.formula_bits]), message.precision)

    @property
    def kind(self) -> tuple[int, Precision]:
        """Form and precision, as a packet's head has them."""
        return self.form.form, self.precision

    @property
    def numbers(self) -> Array:
        """How many numbers each client's carries, shape (n,), as :attr:`Message.count` has it."""
        return np.zeros_like(self.counts) if self.values is None else self.counts

    @cached_property
    def offsets(self) -> Array:
        """Where each client's part lies, shape (n + 1,)."""
        return offsets_of(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, i: int) -> Message: ...
    @overload
    def __getitem__(self, i: slice) -> Batch: ...
    def __getitem__(self, i: int | slice) -> Message | Batch:
        if isinstance(i, slice):
            return self.select(np.arange(len(self))[i])
        if not -len(self) <= i < len(self):
            raise IndexError(f"message {i} of {len(self)}")
        i %= len(self)
        return self._message(i, int(self.offsets[i]), int(self.offsets[i + 1]))

    def __iter__(self) -> Iterator[Message]:
        cuts = self.offsets.tolist()
        return (self._message(i, cuts[i], cuts[i + 1]) for i in range(len(self)))

    def _message(self, i: int, first: int, stop: int) -> Message:
        fields = {"indices": self.indices, "values": self.values}
        mine: dict[str, Any] = {name: array[first:stop] for name, array in fields.items() if array is not None}
        return self.form(**mine, precision=self.precision, formula_bits=int(self.formula_bits[i]))

    def select(self, chosen: Array) -> Batch:
        """The messages of some clients, at the positions `chosen`."""
        where = ranges(self.offsets[chosen], self.counts[chosen])
        return replace(
            self, counts=self.counts[chosen], formula_bits=self.formula_bits[chosen],
            values=None if self.values is None else self.values[where],
            indices=None if self.indices is None else self.indices[where],
        )  # fmt: skip

    def to_precision(self, precision: Precision) -> Batch:
        """These messages with their numbers rounded."""
        return self if self.values is None else replace(self, precision=precision)

    def scaled(self, factors: Array) -> Batch:
        """These messages with each client's numbers multiplied by its own of the `factors`, shape (n,)."""
        return replace(self, values=weighted(factors, self.counts, self.values))

    # -- the wire

    def pieces(self) -> list[tuple[Array, Array]]:
        """What their payloads are put together of, in order: bytes of all clients end to end, and each one's length."""
        found = []
        if self.indices is not None:
            found.append((self.counts.astype("<u4").view(np.uint8), np.full(len(self), _COUNT)))
        if self.values is not None:
            found.append(encode_many_values(self.values, self.counts, self.precision))
        if self.indices is not None:
            found.append(encode_many_indices(self.indices, self.counts))
        return found

    @classmethod
    def read(
        cls, form: type[Message], numbers: bool, positions: bool, buffer: Array, first: Array, lengths: Array,
        sizes: Array, precision: Precision,
    ) -> Self:  # fmt: skip
        """Read what :meth:`pieces` wrote.

        Parameters
        ----------
        form : type of Message
        numbers, positions : bool
            What the form has.
        buffer : numpy.ndarray of uint8
            All bytes; nothing in them is trusted.
        first, lengths : numpy.ndarray of int64, shape (n,)
            Where each client's payload stands in them; within the buffer.
        sizes : numpy.ndarray of int64, shape (n,)
            How many coordinates each client's vector has.
        precision : {"float64", "float32", "natural"}

        Returns
        -------
        Batch

        Raises
        ------
        WireError
            If a payload is no such message.
        """
        if not numbers and precision != "float64":  # one content has one spelling
            raise WireError(f"{form.__name__} has no numbers, and is announced at {precision}")
        at, end, counts, values, indices = first, first + lengths, sizes, None, None
        if positions:
            if (lengths < _COUNT).any():
                raise WireError(f"{int(lengths.min())} bytes hold no count")
            counts = buffer[at[:, None] + np.arange(_COUNT)].view("<u4")[:, 0].astype(np.int64)
            at = at + _COUNT
        if numbers:
            room = np.minimum(bytes_per(counts, precision), end - at) if positions else end - at
            values = decode_many_values(buffer, at, room, counts, precision)
            at = at + room
        if positions:
            indices = decode_many_indices(buffer, at, end - at, counts, sizes)
        return cls(form, counts, values, indices, None, precision)


@dataclass(frozen=True, eq=False)
class Batches(Sequence[Message]):
    """Batches of one form and precision, one group of clients after the other, that are not copied into one.

    Attributes
    ----------
    groups : tuple of Batch
    """

    groups: tuple[Batch, ...]

    @cached_property
    def whole(self) -> Batch:
        """One batch of them all, as a copy."""

        def together(name: str) -> Any:
            arrays = [getattr(batch, name) for batch in self.groups]
            return None if arrays[0] is None else np.concatenate(arrays)

        counts, values, indices, bits = map(together, ("counts", "values", "indices", "formula_bits"))
        return Batch(self.groups[0].form, counts, values, indices, bits, self.groups[0].precision)

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    @overload
    def __getitem__(self, i: int) -> Message: ...
    @overload
    def __getitem__(self, i: slice) -> Batch: ...
    def __getitem__(self, i: int | slice) -> Message | Batch:
        return self.whole[i]

    def __iter__(self) -> Iterator[Message]:
        return chain.from_iterable(self.groups)


def batched(messages: Sequence[Message]) -> Sequence[Message]:
    """The `messages`, as one batch where they are several of them."""
    return messages.whole if isinstance(messages, Batches) else messages


def groups_of(messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
    """The `messages` in the groups that they stand in."""
    return messages.groups if isinstance(messages, Batches) else [messages]


def concatenated(groups: Sequence[Sequence[Message]]) -> Sequence[Message]:
    """The messages of several groups of clients, one group after the other."""
    if len(groups) == 1:
        return groups[0]
    batches = [batch for group in groups for batch in groups_of(group) if isinstance(batch, Batch)]
    if sum(map(len, batches)) < sum(map(len, groups)) or len({(batch.form, batch.precision) for batch in batches}) != 1:
        return [message for group in groups for message in group]
    return Batches(tuple(batches))
