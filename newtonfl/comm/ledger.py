"""The ledger: how many bytes each client sent and received, by part, and what the papers' formulas would count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from newtonfl.comm.ledger_table import COLUMNS, HEAD, ROUNDS, SETUP, LedgerTable
from newtonfl.comm.messages import Batch, Batches, Choice
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.comm.sections import Sections
from newtonfl.core.backend import Array


@dataclass
class Tally:
    """One direction. All arrays have shape (n,), one entry a client.

    Attributes
    ----------
    bytes, formula_bits : numpy.ndarray of int64
        The packets' lengths, and the papers' count for the same messages, over the rounds.
    setup_bytes, setup_formula_bits : numpy.ndarray of int64
        The same for the set-up.
    """

    bytes: Array
    formula_bits: Array
    setup_bytes: Array
    setup_formula_bits: Array

    @classmethod
    def of(cls, n: int) -> Tally:
        """Nothing sent yet."""
        return cls(*(np.zeros(n, np.int64) for _ in range(4)))

    def count(self, clients: Array, length: Array | int, formula_bits: Array | int, setup: bool) -> None:
        """Enter packets of the given `length` in bytes for the `clients`."""
        (self.setup_bytes if setup else self.bytes)[clients] += length
        (self.setup_formula_bits if setup else self.formula_bits)[clients] += formula_bits

    def __add__(self, other: Tally) -> Self:
        """Both together."""
        return type(self)(*(getattr(self, count.name) + getattr(other, count.name) for count in fields(self)))


@dataclass
class Ledger:
    """What was sent, from the packets themselves; the buffers' framing is not counted.

    Framing (which packets stand in which rank's buffer) depends on the number of ranks, the packets do not. A packet
    that goes to all counts once for each client that receives it. Beside the counts stands how often each level of a
    ladder (:class:`Choice`) was used; a message to all is one. What each part took is :meth:`table`.

    Parameters
    ----------
    n_clients : int
    phase : str
        What the table calls all that is sent after the set-up.
    """

    n_clients: int
    phase: str = ROUNDS
    up: Tally = field(init=False)
    down: Tally = field(init=False)
    levels: dict[str, Counter[int]] = field(default_factory=lambda: {"up": Counter(), "down": Counter()})
    parts: dict[tuple[str, str, str], Array] = field(default_factory=dict, repr=False)
    """By direction, phase and part: messages, numbers and bytes of every client, shape (3, n)."""
    edges: Array = field(default_factory=lambda: np.zeros((0, 3), np.int64), repr=False)
    """Where clients send to each other: sender, receiver and bytes of every edge, shape (edges, 3), in that order."""

    def __post_init__(self) -> None:
        self.up, self.down = Tally.of(self.n_clients), Tally.of(self.n_clients)

    def count(
        self, way: str, clients: Array, lengths: Array, sections: Sequence[Sections], formula_bits: Array, setup: bool
    ) -> None:
        """Enter packets of the `clients`, shape (k,), one each, or one that goes to all of them.

        Parameters
        ----------
        way : {"up", "down"}
        clients : numpy.ndarray of int64, shape (k,)
        lengths, formula_bits : numpy.ndarray of int64, shape (k,) or (1,)
            Of the packets, in bytes; and the papers' count of them.
        sections : sequence of Sections
            Of the packets.
        setup : bool
        """
        tally: Tally = getattr(self, way)
        if len(lengths) == len(clients):
            tally.count(clients, lengths, formula_bits, setup)
        else:
            tally.count(clients, int(lengths[0]), int(formula_bits[0]), setup)
        phase, heads = SETUP if setup else self.phase, lengths.copy()
        whole: Array | slice = clients
        if len(clients) == self.n_clients and (clients[1:] > clients[:-1]).all():
            whole = slice(None)  # which is quicker
        for section in sections:
            chosen = section.packets
            heads[slice(None) if chosen is None else chosen] -= section.lengths
            who = whole if chosen is None else clients[chosen]
            self._enter(way, phase, section.part, who, section.numbers, section.lengths)
        self._enter(way, phase, HEAD, whole, 0, heads)

    def count_edges(
        self, edges: Array, clients: Array, lengths: Array, sections: Sequence[Sections], formula_bits: Array
    ) -> None:
        """Enter packets of the `clients`, each of which goes over all the edges that begin at its client.

        Parameters
        ----------
        edges : numpy.ndarray of int64, shape (edges, 2)
            Sender and receiver.
        clients : numpy.ndarray of int64, shape (k,)
            Who has sent a packet, increasing.
        lengths, formula_bits : numpy.ndarray of int64, shape (k,)
        sections : sequence of Sections
            Of the packets, every one of which has all of them.
        """
        packet, everyone = np.searchsorted(clients, edges[:, 0]), slice(None)
        for way, ends in (("up", edges[:, 0]), ("down", edges[:, 1])):

            def of_each(numbers: Array, ends: Array = ends) -> Array:
                return np.bincount(ends, numbers[packet], self.n_clients).astype(np.int64)

            heads, messages = of_each(lengths), of_each(np.ones(len(clients)))
            getattr(self, way).count(everyone, heads, of_each(formula_bits), setup=False)
            for section in sections:
                taken = of_each(section.lengths)
                heads = heads - taken
                self._enter(way, self.phase, section.part, everyone, of_each(section.numbers), taken, messages)
            self._enter(way, self.phase, HEAD, everyone, 0, heads, messages)
        self._add_edges(np.column_stack([edges, lengths[packet]]))

    def _add_edges(self, more: Array) -> None:
        if np.array_equal(self.edges[:, :2], more[:, :2]):  # the same graph as before
            self.edges = np.column_stack([more[:, :2], self.edges[:, 2] + more[:, 2]])
            return
        rows = np.concatenate([self.edges, more])
        ends, place = np.unique(rows[:, :2], axis=0, return_inverse=True)
        total = np.bincount(place.ravel(), rows[:, 2], len(ends)).astype(np.int64)
        self.edges = np.column_stack([ends, total])

    def count_columns(self, up: Array, down: Array) -> None:
        """Enter what clients sent and received before a solve, in bytes, shape (n,): eight formula bits a byte."""
        everyone = np.arange(self.n_clients)
        for way, lengths in (("up", up), ("down", down)):
            tally: Tally = getattr(self, way)
            tally.count(everyone, lengths, 8 * lengths, setup=True)
            self._enter(way, SETUP, COLUMNS, slice(None), 0, lengths)

    def _enter(
        self,
        way: str,
        phase: str,
        part: str,
        clients: Array | slice,
        numbers: Array | int,
        lengths: Array,
        messages: Array | int = 1,
    ) -> None:
        table = self.parts.get((way, phase, part))
        if table is None:
            table = self.parts[way, phase, part] = np.zeros((3, self.n_clients), np.int64)
        table[0, clients] += messages
        table[1, clients] += numbers
        table[2, clients] += lengths

    def table(self) -> LedgerTable:
        """What every client sent and received, by part: a row each client, direction, phase and part.

        The bytes of a client's rows up, of the phase "setup" and of the others, are what :attr:`up` has, and likewise
        down. Prints as a table, and turns into a data frame.
        """
        return LedgerTable.of(self.parts)

    def count_levels(self, way: str, parts: Sequence[Parts]) -> None:
        """Enter the levels of messages of a ladder."""
        columns = parts.columns.values() if isinstance(parts, ManyParts) else [mine.values() for mine in parts]
        for messages in columns:
            if not isinstance(messages, Batch | Batches):
                self.levels[way].update(message.level for message in messages if isinstance(message, Choice))

    def levels_so_far(self, way: str) -> tuple[int, ...] | None:
        """How many messages were of level 0, 1, …; None where none was of any."""
        found = self.levels[way]
        return tuple(found[level] for level in range(max(found) + 1)) if found else None

    def __add__(self, other: Ledger) -> Self:
        """Both together, of the same clients: of several solves, or a solve and what came after it."""
        whole = type(self)(self.n_clients, self.phase)
        whole.up, whole.down = self.up + other.up, self.down + other.down
        whole.levels = {way: self.levels[way] + other.levels[way] for way in self.levels}
        whole.parts = {key: table.copy() for key, table in self.parts.items()}
        for key, table in other.parts.items():
            whole.parts[key] = table + whole.parts.get(key, 0)
        for edges in (self.edges, other.edges):
            whole._add_edges(edges)
        return whole

    def to_arrays(self) -> dict[str, Array]:
        """All counts, by name."""
        arrays: dict[str, Array] = {}
        for way, tally in (("up", self.up), ("down", self.down)):
            arrays |= {f"{way}_{count.name}": getattr(tally, count.name) for count in fields(Tally)}
            arrays[f"levels_{way}"] = np.array(sorted(self.levels[way].items()), np.int64).reshape(-1, 2)
        arrays |= {f"part/{'/'.join(key)}": table for key, table in self.parts.items()}
        return arrays | ({"edges": self.edges} if len(self.edges) else {})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """What :meth:`to_arrays` gave."""
        ledger = cls(len(arrays["up_bytes"]))
        for way in ("up", "down"):
            setattr(ledger, way, Tally(*(np.array(arrays[f"{way}_{count.name}"]) for count in fields(Tally))))
            ledger.levels[way] = Counter(dict(arrays[f"levels_{way}"].tolist()))
        if "edges" in arrays:
            ledger.edges = np.array(arrays["edges"])
        for name in arrays:
            if name.startswith("part/"):
                _, way, phase, part = name.split("/")
                ledger.parts[way, phase, part] = np.array(arrays[name])
        return ledger

    def totals(self) -> dict[str, dict[str, dict[str, float]]]:
        """Total, mean and max over the clients of up, down, setup_up, setup_down and setup, by kind of count."""
        table = {
            kind: {
                "up": getattr(self.up, kind),
                "down": getattr(self.down, kind),
                "setup_up": getattr(self.up, f"setup_{kind}"),
                "setup_down": getattr(self.down, f"setup_{kind}"),
                "setup": getattr(self.up, f"setup_{kind}") + getattr(self.down, f"setup_{kind}"),
            }
            for kind in ("bytes", "formula_bits")
        }
        return {
            kind: {
                name: {"total": int(a.sum()), "mean": float(a.mean()), "max": int(a.max())} for name, a in row.items()
            }
            for kind, row in table.items()
        }
