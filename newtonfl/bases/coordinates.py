"""Coordinates: how messages about the clients' vectors are made, received and measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from newtonfl.comm.messages import Batch, Choice, Message, Several, batched, groups_of
from newtonfl.compressors import Compressor
from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.core.ragged import Blocks, offsets_of, ranges
from newtonfl.core.random import Key, Keys
from newtonfl.core.timing import timed_as
from newtonfl.kernels import add_at, add_in_order, add_rows, norms, weighted


@dataclass(frozen=True)
class Decoded:
    """What many messages stand for, end to end.

    Attributes
    ----------
    counts : numpy.ndarray of int64, shape (n,)
        How many coordinates each message has.
    indices : numpy.ndarray of int64, shape (Σ counts,), or None
        Which; each message's own are distinct. None means that each has all of them, in order.
    values : numpy.ndarray of float64, shape (Σ counts,)
    places, first : numpy.ndarray of int64, or None
        Where the receiver's vector is another: index j of message i stands for its coordinate ``places[first[i] + j]``.
    """

    counts: Array
    indices: Array | None
    values: Array
    places: Array | None = None
    first: Array | None = None

    def __iter__(self) -> Iterator[tuple[Array | None, Array]]:
        """(indices, values) of one message after the other."""
        cuts = offsets_of(self.counts).tolist()
        return ((None if self.indices is None else self.indices[a:b], self.values[a:b]) for a, b in pairwise(cuts))


@dataclass(frozen=True)
class Coordinates:
    """Plain vectors, one a client: gradients and models. Bases of matrices refine it.

    Attributes
    ----------
    sizes : numpy.ndarray of int64, shape (n,)
        How many coordinates each client has.
    """

    sizes: Array
    from_setup: ClassVar[bool] = True

    @property
    def norms_are_plain(self) -> bool:
        """Whether :meth:`norms` are the coordinates' 2-norms, as vectors' always are."""
        return True

    def select(self, chosen: Array) -> Self:
        """The coordinates of some clients: `chosen` are distinct positions in these, on the host, perhaps none."""
        chosen = np.asarray(chosen, dtype=np.int64)
        return self if np.array_equal(chosen, np.arange(len(self.sizes))) else self._select(chosen)

    def _select(self, chosen: Array) -> Self:
        return replace(self, sizes=self.sizes[chosen])

    def check(self, compressor: Compressor) -> None:
        """Refuse a `compressor` that these coordinates cannot serve, with a ValueError that says why."""
        if compressor.acts_on == "symmetric":
            raise ValueError(f"{compressor} compresses matrices, and these are vectors")
        most = int(self.sizes.max(initial=0))
        k = getattr(getattr(compressor, "compressor", compressor), "k", 0)
        if isinstance(k, int) and k > most > 0:
            raise ValueError(f"{compressor}: given K = {k}, must be at most {most}: the coordinates of a vector")

    @timed_as("compression")
    def compress(self, compressor: Compressor, blocks: Blocks, clients: Array, key: Key) -> Sequence[Message]:
        """Every client's message about its vector in `blocks`."""
        return compressor.compress_all(blocks, Keys(key, clients)) if len(blocks) else []

    def decode(self, message: Message) -> tuple[Array | None, Array]:
        """(indices, values) of the vector that a `message` stands for; indices None means everywhere.

        :class:`Several` messages stand for their sum, added in their order.
        """
        if isinstance(message, Choice):
            return self.decode(message.message)
        if isinstance(message, Several):
            return _sum([self.decode(part) for part in message.parts])
        return message.coordinates()

    def decode_all(self, messages: Sequence[Message]) -> Decoded:
        """What many clients' `messages` stand for."""
        whole = batched(messages)
        if isinstance(whole, Batch):
            return Decoded(whole.counts, whole.indices, whole.values)
        pairs = [self.decode(message) for message in whole]
        counts = np.array([len(values) for _, values in pairs], np.int64)
        values = np.concatenate([np.zeros(0), *(values for _, values in pairs)])
        if all(indices is None for indices, _ in pairs):
            return Decoded(counts, None, values)
        places = (np.arange(len(values)) if indices is None else indices for indices, values in pairs)
        return Decoded(counts, np.concatenate([np.zeros(0, np.int64), *places]), values)

    def of_gradients(self, gradients: Array) -> Blocks:
        """The clients' `gradients` (n, d) in these coordinates."""
        return equal_blocks(gradients)

    def add(self, blocks: Blocks, messages: Sequence[Message], memory_rates: Array) -> Blocks:
        """`blocks` + rate_i · (what message i decodes to); `blocks` may be overwritten.

        This is the one rule of receiving: sender and receiver both move by the decoded message.
        """
        if not len(messages):
            return blocks
        news = self.decode_all(messages)
        increments = weighted(memory_rates, news.counts, news.values)
        if news.indices is None:
            return blocks.replaced(blocks.values + to_device(increments, blocks.values))
        positions = np.repeat(blocks.offsets[:-1], news.counts) + news.indices
        return blocks.replaced(add_at(blocks.values, positions, increments))

    def scaled(self, blocks: Blocks) -> Blocks:
        """Entries as coordinates: of vectors, as they are."""
        return blocks

    def norms(self, blocks: Blocks) -> Array:
        """Each client's norm, shape (n,): the 2-norm of the coordinates."""
        return norms(blocks)

    @property
    def total_size(self) -> int:
        """How many coordinates the server's mean has."""
        return int(self.sizes[0])

    def place(self, clients: Array, news: Decoded) -> Iterator[Decoded]:
        """What the `clients` have sent, in the coordinates of the server's mean: all at once, or some after the other.

        What is large there is made for one client at a time.
        """
        yield news

    def accumulate(
        self, total: Array, messages: Sequence[Message], weights: Array, clients: Array | None = None
    ) -> Array:
        """`total` + Σ weight · (what a message decodes to), added in the given order; `total` may be overwritten.

        Message j is of the client at position ``clients[j]`` of these coordinates; None means all, in order.
        """
        senders, first = np.arange(len(messages)) if clients is None else clients, 0
        for group in groups_of(messages):
            for news in self.place(senders[first : first + len(group)], self.decode_all(group)):
                n = len(news.counts)
                by = weights[first : first + n]
                if news.indices is None and news.places is None:
                    total = add_rows(total, by[:, None] * news.values.reshape(n, -1))
                else:
                    own = ranges(np.zeros(n, np.int64), news.counts) if news.indices is None else news.indices
                    places = _every_place(total.shape[0]) if news.places is None else news.places
                    origin = np.zeros(n, np.int64) if news.first is None else news.first
                    total = add_in_order(total, own, news.values, news.counts, by, places, origin)
                first += n
        return total


@lru_cache(maxsize=4)
def _every_place(many: int) -> Array:
    """0 to before `many`; kept, for a table of them is made and read in every round."""
    return np.arange(many)


def _sum(pairs: Sequence[tuple[Array | None, Array]]) -> tuple[Array | None, Array]:
    """The sum of vectors that :meth:`Coordinates.decode` gave: everywhere if one of them is, else on their union.

    One entry's terms are added in the given order, whichever way is taken: both ends get the same bits.
    """
    everywhere = [values for indices, values in pairs if indices is None]
    if everywhere:
        total = np.zeros_like(everywhere[0])
        for indices, values in pairs:
            total[slice(None) if indices is None else indices] += values
        return None, total
    indices = np.concatenate([np.zeros(0, np.int64), *(indices for indices, _ in pairs)])
    union, place = np.unique(indices, return_inverse=True)
    values = np.concatenate([np.zeros(0), *(values for _, values in pairs)])
    return union, np.bincount(place, weights=values, minlength=len(union)).astype(np.float64)


def equal_blocks(matrix: Array) -> Blocks:
    """The rows of `matrix` (n, d) as Blocks."""
    n, d = matrix.shape
    return Blocks(namespace(matrix).reshape(matrix, (-1,)), np.arange(n + 1) * d)
