"""Aggregator: one vector of many, some of which may be arbitrary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.core.backend import Array, namespace, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.random import Key
from newtonfl.registry import Part

_LARGEST = 1e300


class Aggregator(Part, ABC):
    """Makes one vector of the clients'. Subclasses are frozen dataclasses.

    From a client no vector comes that is not finite: packets refuse such numbers, which ends the solve
    (:class:`newtonfl.comm.coding.NotFinite`).

    Attributes
    ----------
    least : int
        How many vectors the rule needs.
    """

    kind = "aggregator"

    @property
    def least(self) -> int:
        return 1

    @abstractmethod
    def combine(self, vectors: Array, key: Key) -> Array:
        """The rule itself.

        Parameters
        ----------
        vectors : array, shape (k, d)
            One a client, at least :attr:`least`, of any library; no entry above 1e300. Not to be changed.
        key : Key
            The round's stream for what is drawn.

        Returns
        -------
        array, shape (d,)
            Of the same library.
        """

    def of(self, vectors: Array, key: Key) -> Array:
        """The aggregate of some vectors.

        Parameters
        ----------
        vectors : array, shape (k, d)
            One a client. An entry beyond ±1e300, or one that is no number, counts as ±1e300: it is an outlier either
            way, and differences stay finite.
        key : Key
            The round's stream for what is drawn.

        Returns
        -------
        array, shape (d,)
            Of the same library.

        Raises
        ------
        ValueError
            If there are fewer than :attr:`least`.
        """
        self.check(vectors.shape[0], "vectors")
        xp = namespace(vectors)
        return self.combine(xp.clip(xp.where(xp.isnan(vectors), _LARGEST, vectors), -_LARGEST, _LARGEST), key)

    def check(self, k: int, what: str) -> None:
        """Refuse to aggregate `k` vectors if the rule needs more.

        Parameters
        ----------
        k : int
            How many there are.
        what : str
            Which they are, for the error.

        Raises
        ------
        ValueError
            If they are too few.
        """
        if k < self.least:
            raise ValueError(f"aggregator={self}: given {k} {what}, must be at least {self.least}")

    def added(
        self, total: Array, messages: Sequence[Message], space: Coordinates, clients: Array, scales: Array, key: Key
    ) -> Array:
        """`total` + Agg{scale_i · (what message i decodes to)}.

        Parameters
        ----------
        total : array, shape (d,)
            May be overwritten.
        messages : sequence of Message
            One of each of the `clients`.
        space : Coordinates
            Of all clients.
        clients : numpy.ndarray of int64, shape (k,)
            Positions in `space`, increasing.
        scales : numpy.ndarray, shape (k,)
            What each message is multiplied by.
        key : Key
            As for :meth:`of`.

        Returns
        -------
        array, shape (d,)

        Raises
        ------
        ValueError
            If there are fewer messages than the rule needs.
        """
        self.check(len(messages), "replies in a round")
        of_these = space.select(clients)
        nothing = Blocks(zeros(int(of_these.sizes.sum()), total), offsets_of(of_these.sizes))
        return total + self.of(rows(of_these.add(nothing, messages, scales)), key)


def rows(blocks: Blocks) -> Array:
    """The vectors of `blocks`, all of one length, shape (k, d)."""
    return namespace(blocks.values).reshape(blocks.values, (len(blocks), -1))


def lengths(vectors: Array) -> Array:
    """‖v_i‖₂ of `vectors` (k, d), shape (k,), also where squares of the entries have no place among doubles."""
    xp = namespace(vectors)
    largest = xp.max(xp.abs(vectors), axis=1)
    unit = vectors / xp.where(largest > 0.0, largest, 1.0)[:, None]
    return largest * xp.sqrt(xp.sum(unit * unit, axis=1))


def an_aggregator(key: str, value: object) -> None:
    """Refuse what is no rule, with a TypeError."""
    if not isinstance(value, Aggregator):
        raise TypeError(f"{key}: given {value!r}, must be an Aggregator such as Bucketed(Median())")
