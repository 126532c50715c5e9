"""Neighbours: one rank's part of a round in which clients send to each other, and no server hears them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from newtonfl.comm.coding import NotFinite, WireError
from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.heads import Kind
from newtonfl.comm.packets import Packets, decode_many
from newtonfl.comm.parts import ManyParts, column
from newtonfl.comm.sections import Sections
from newtonfl.comm.transport import Transport
from newtonfl.components.mixed import Mixed
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.ragged import offsets_of, ranges
from newtonfl.core.random import Key
from newtonfl.methods import Announcement, ClientProtocol
from newtonfl.methods.standalone.exact import decoded
from newtonfl.objectives.base import Problem
from newtonfl.solver.local_clients import LocalClients

REFUSAL, LENGTH, NUMBERS = "refusal", "length/", "numbers/"
"""What arrays of an answer are called: a message as bytes; a part's bytes, and its numbers, client by client."""


def edges_of(weights: csr_array) -> Array:
    """The edges over which clients send with these `weights`, (sender, receiver) in that order, shape (edges, 2)."""
    ends = np.stack(weights.nonzero(), axis=1).astype(np.int64)
    return ends[ends[:, 0] != ends[:, 1]]


@dataclass(frozen=True)
class Links:
    """What weights mean for one rank.

    Attributes
    ----------
    weights : csr_array, shape (n, n)
        They.
    senders : numpy.ndarray of int64
        Who has a neighbour, of the clients held here.
    outbox : dict of int to numpy.ndarray of int64
        By rank, this one included, whose packets it gets.
    inbox : dict of int to numpy.ndarray of int64
        Likewise, whose packets come from it.
    known : numpy.ndarray of int64
        All of those, increasing.
    rows : csr_array, shape (senders, known)
        The weights with which they count.
    """

    weights: csr_array
    senders: Array
    outbox: dict[int, Array]
    inbox: dict[int, Array]
    known: Array
    rows: csr_array

    @classmethod
    def of(cls, weights: csr_array, holders: Array, rank: int) -> Links:
        """Of the rank `rank`, where client i is held by ``holders[i]``."""
        edges = edges_of(weights)
        senders = np.unique(edges[:, 0])
        senders = senders[holders[senders] == rank]
        there = holders[edges]
        outbox = {int(r): np.unique(edges[(there == [rank, r]).all(axis=1), 0]) for r in np.unique(there[:, 1])}
        inbox = {int(r): np.unique(edges[(there == [r, rank]).all(axis=1), 0]) for r in np.unique(there[:, 0])}
        outbox, inbox = ({r: who for r, who in box.items() if len(who)} for box in (outbox, inbox))
        if len(senders):
            outbox[rank] = inbox[rank] = senders
        known = np.unique(np.concatenate([np.zeros(0, np.int64), *inbox.values()]))
        return cls(weights, senders, outbox, inbox, known, csr_array(weights[senders][:, known]))


@dataclass(frozen=True)
class SentTotals:
    """What the packets of a round took, by sender, and where it leaves all clients.

    Attributes
    ----------
    lengths, formula_bits : numpy.ndarray of int64, shape (senders,)
    sections : list of Sections
    iterates : numpy.ndarray, shape (n, d)
    """

    lengths: Array
    formula_bits: Array
    sections: list[Sections]
    iterates: Array

    @classmethod
    def joined(cls, tables: Sequence[Mapping[str, Array]]) -> SentTotals:
        """Of all ranks' tables (:meth:`Neighbours.round`).

        Raises
        ------
        NotFinite
            Where a client sent a number that is none.
        """
        for table in tables:
            if REFUSAL in table:
                raise NotFinite(table[REFUSAL].tobytes().decode())
        # A rank whose clients are silent names no parts.
        names = dict.fromkeys(name for table in tables for name in table)
        whole = {name: np.concatenate([table[name] for table in tables if name in table]) for name in names}
        by_sender, by_client = np.argsort(whole["senders"]), np.argsort(whole["clients"])
        parts = [name.removeprefix(LENGTH) for name in whole if name.startswith(LENGTH)]
        sections = [Sections(part, whole[LENGTH + part][by_sender], whole[NUMBERS + part][by_sender]) for part in parts]
        lengths, bits = whole["lengths"][by_sender], whole["formula_bits"][by_sender]
        return cls(lengths, bits, sections, whole["iterates"][by_client])


class Neighbours:
    """One rank's part of rounds in which clients send to each other.

    Parameters
    ----------
    problem : Problem
    method : ClientProtocol
        Resolved.
    local : LocalClients
        The clients held here.
    transport : Transport
    """

    def __init__(self, problem: Problem, method: ClientProtocol, local: LocalClients, transport: Transport) -> None:
        self.problem, self.method, self.local, self.transport = problem, method, local, transport
        self._links: Links | None = None

    def round(self, round: int, announcement: Callable[[], Announcement], holders: Array) -> dict[str, Array]:
        """Do a round; what it took of the clients held here, and where it leaves them, as arrays for the server.

        `announcement` reads its own. Nothing is returned where a neighbouring rank has failed: it says so itself.
        """
        key = Key(self.local.seed, round)
        links = self._linked(holders, key)
        outbox, sections = dict.fromkeys(links.outbox, b""), dict[str, Array]()
        own = dict[str, Array]()
        try:
            self.transport.raise_interrupt()
            answers = self.local.respond(announcement(), None, Kind.NEIGHBOUR)
            for name in ("clients", "lengths", "formula_bits", "packets"):
                own[name] = np.concatenate([getattr(answer, name) for answer in answers])
            outbox = {rank: _packed(own, who) for rank, who in links.outbox.items()}
        finally:  # whatever happens here, nobody shall wait for this rank
            inbox = self.transport.swap(outbox)
        if not all(inbox[rank] for rank in links.inbox):
            return {}
        if len(links.senders):
            try:
                found = {rank: self._read(inbox[rank], who, round) for rank, who in links.inbox.items()}
            except NotFinite as error:  # the server ends the solve
                return {REFUSAL: np.frombuffer(str(error).encode(), np.uint8)}
            sections = _counts(found[self.transport.rank].sections)
            self.local.mix(self._mixed(links, found), key)
        return {
            "senders": own["clients"], "lengths": own["lengths"], "formula_bits": own["formula_bits"], **sections,
            "clients": self.problem.clients, "iterates": to_host(self.local.iterates()),
        }  # fmt: skip

    def _linked(self, holders: Array, key: Key) -> Links:
        weights = self.method.mixing(self.problem.n_clients, key)
        assert weights is not None
        if self._links is None or self._links.weights is not weights:
            self._links = Links.of(weights, holders, self.transport.rank)
        return self._links

    def _read(self, buffer: bytes, who: Array, round: int) -> Packets:
        """The packets of `who` in a buffer, of this round and no others."""
        arrays, _ = unpack(buffer)
        dim = self.problem.dim
        found = decode_many(arrays["packets"], arrays["lengths"].tolist(), lambda *_: dim, who)
        odd = (found.rounds != round) | (found.kinds != Kind.NEIGHBOUR) | (found.flags != 0)
        if odd.any() or not np.array_equal(found.clients, who) or not isinstance(found.parts, ManyParts):
            raise WireError(f"round {round}: the packets of clients {who.tolist()} are not those of this round")
        return found

    def _mixed(self, links: Links, found: dict[int, Packets]) -> Mixed:
        rank, like = self.transport.rank, self.problem.like
        order = np.argsort(np.concatenate([links.inbox[r] for r in found]), kind="stable")
        own = np.searchsorted(links.known, links.senders)
        sent, mixed = {}, {}
        for part in found[rank].parts[0]:
            columns = [
                decoded(column(packets.parts, part), self.problem.dim, np.zeros(0)) for packets in found.values()
            ]
            values = np.concatenate(columns)[order]
            sent[part] = to_device(values[own], like)
            # Row by row in the order of the senders: the same bits whoever else is in the process.
            mixed[part] = to_device(links.rows @ values, like)
        return Mixed(links.senders, sent, mixed)


def _packed(own: dict[str, Array], who: Array) -> bytes:
    """The packets of `who`, among a rank's own."""
    lengths, packets = own["lengths"], own["packets"]
    if len(who) == len(lengths):
        return pack({"packets": packets, "lengths": lengths})
    at = np.searchsorted(own["clients"], who)
    return pack({"packets": packets[ranges(offsets_of(lengths)[at], lengths[at])], "lengths": lengths[at]})


def _counts(sections: list[Sections]) -> dict[str, Array]:
    lengths = {LENGTH + section.part: section.lengths for section in sections}
    return lengths | {NUMBERS + section.part: section.numbers for section in sections}
