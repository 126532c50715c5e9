"""Session: one solve's conversation between the server and all clients, over any transport.

Rank 0 calls, every rank handles, rank 0 gathers. Every call to the clients has this one shape, so that a failure
anywhere finds its way into it: a client's travels with its rank's answer, the server's with its next call.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array

from newtonfl.comm.coding import WireError
from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.heads import EVERYONE, Kind
from newtonfl.comm.launcher import threads
from newtonfl.comm.ledger import Ledger
from newtonfl.comm.messages import Batch, Dense, Message, Nothing, batch_of_one
from newtonfl.comm.packets import Packets, are_plain, decode_many, encode_many, measure
from newtonfl.comm.parts import ManyParts, Parts, Received, Sizes, end_to_end, formula_bits, select_parts
from newtonfl.comm.transport import InProcess, Transport
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.core.timing import times_so_far
from newtonfl.kernels import compiled
from newtonfl.methods import Announcement, ClientProtocol, Replies
from newtonfl.objectives.base import Problem
from newtonfl.solver.local_clients import Answer, LocalClients
from newtonfl.solver.neighbours import Neighbours, SentTotals, edges_of
from newtonfl.solver.questions import QUESTIONS
from newtonfl.solver.saved_clients import SavedClients

_MOST = 2**53
"""Up to here float64 has every whole number."""


@dataclass
class Session:
    """Everything that one process needs to take part in a solve.

    Parameters
    ----------
    problem : Problem
    method : ClientProtocol
        A method, resolved; or what else clients are to send.
    seed : int
    """

    problem: Problem
    method: ClientProtocol
    seed: int = 0

    def __post_init__(self) -> None:
        self.transport: Transport = self.problem.transport or InProcess()
        self.ledger = Ledger(self.problem.n_clients, self.method.phase)
        if self.problem.preparation is not None and not self.method.follows_a_solve:
            self.ledger.count_columns(*self.problem.preparation)
        self.exchanges = 0  # round trips so far, without the set-up
        self.problem = self.problem.taken_by(self)
        self.problem.forget()
        self.local = LocalClients(self.problem, self.method, self.seed, threads(self.transport.size))
        self.neighbours = Neighbours(self.problem, self.method, self.local, self.transport)
        self._holders: Array | None = None  # by client, on which rank it is; where clients have neighbours
        self._kept: list[Any] = []  # the server's own clients' answers to the call
        self._sizes: Sizes | None = None
        self._announced: Announcement | None = None  # where it did not travel
        self._round: int | None = None  # of the last announcement that came in packets
        self.failure: BaseException | None = None
        self._clock = time.process_time()
        self.open = self.transport.rank == 0

    # -- rank 0

    def __enter__(self) -> Self:
        if self.transport.busy:
            raise RuntimeError("a solve is under way on these ranks; a callback cannot start another")
        self.transport.busy = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transport.busy = False
        self._close()
        if error is not None and self.open:
            # The others wait for the next call: let it be this one.
            self.open = False
            reported = isinstance(error, _ReportedFailure)
            fault = error.args[0] if reported else self.transport.describe("the server", error)
            self.transport.broadcast(pack({}, call="fault", fault=fault.hex()))
            self.transport.raise_fault(fault, self.failure or error)

    def init_clients(self, x0: Array) -> Sequence[Parts]:
        """Send x⁰ to every client; returns the clients' set-up messages, in client order."""
        model: Message = Dense(to_host(x0), formula_bits=0) if to_host(x0).any() else Nothing()
        parts = {"model": model} | ({"seed": self._seed_message()} if self.method.shares_draws else {})
        announcement = Announcement(0, parts)
        return self._converse("setup", announcement, self.method.setup_sizes(self.problem.dim)).parts

    def _seed_message(self) -> Message:
        if self.seed > _MOST:
            raise ValueError(f"seed: given {self.seed}, must be at most {_MOST}: it travels to the clients as a number")
        return Dense(np.array([float(self.seed)]), formula_bits=0)

    def exchange(self, announcement: Announcement, sizes: Sizes) -> Replies:
        """Carry an announcement to the clients, and their replies back, or to their neighbours where they have some.

        Then no server hears them: the replies are "model", x_i as an observer sees it, off the ledger.
        """
        self.exchanges += 1
        weights = self.method.mixing(self.problem.n_clients, Key(self.seed, announcement.round))
        return self._converse("round", announcement, sizes) if weights is None else self._mix(announcement, weights)

    def ask(self, question: str, x: Array) -> Array:
        """Every client's answer to a question of :mod:`newtonfl.solver.questions`, in client order, shape (n, …).

        Off the ledger.
        """
        answers = self._call(pack({"x": to_host(x)}, call="ask", question=question))
        answers = [answer for answer in answers if len(answer["clients"])]
        if len(answers) == 1:
            return answers[0]["answer"]
        clients = np.concatenate([answer["clients"] for answer in answers])
        return np.concatenate([answer["answer"] for answer in answers])[np.argsort(clients)]

    def save(self) -> SavedClients:
        """What a checkpoint keeps of all clients, in client order. Off the ledger."""
        answers = [answer for answer in self._call(pack({}, call="save")) if len(answer["clients"])]
        return SavedClients.joined([SavedClients.from_arrays(answer) for answer in answers])

    def restore(self, saved: SavedClients) -> None:
        """Give every client what was `saved` of it. Off the ledger."""
        self._call(pack(saved.to_arrays(), call="restore"))

    def profile(self) -> Array:
        """What every rank's clock has, shape (ranks, phases, 3). Off the ledger."""
        return np.stack([answer["times"] for answer in self._call(pack({}, call="profile"))])

    def end(self, arrays: dict[str, Array], **values: Any) -> None:
        """Send every rank the result; the conversation is over."""
        self.open = False
        self.transport.broadcast(pack(arrays, call="end", **values))

    def _call(self, buffer: bytes) -> list[Any]:
        """The ranks' answers; this one's own have not travelled, as a rule."""
        answers = []
        for answer in self.transport.gather(self._handle(self.transport.broadcast(buffer))):
            arrays, values = unpack(answer)
            if "fault" in values:
                raise _ReportedFailure(bytes.fromhex(values["fault"]))
            if arrays:
                answers.append(Answer(**arrays) if "packets" in arrays else arrays)
        kept, self._kept = self._kept, []
        return kept + answers

    def _converse(self, call: str, announcement: Announcement, sizes: Sizes) -> Replies:
        setup, everyone = call == "setup", np.arange(self.problem.n_clients)
        recipients = everyone if announcement.recipients is None else announcement.recipients
        participants = everyone if announcement.participants is None else announcement.participants
        packets, lengths = self._packets(announcement, recipients, setup)
        arrays = {"packets": packets, "lengths": lengths, "recipients": recipients, "participants": participants}
        groups, clients = [], []
        self._sizes, self._announced = sizes, None if len(packets) else announcement
        for answer in self._call(pack(arrays, call=call)):
            if answer.refusal is not None:
                raise answer.refusal
            who, said, sections = answer.clients, answer.parts, answer.sections
            if said is None:
                replies = decode_many(answer.packets, answer.lengths.tolist(), sizes, participants)
                kind = Kind.SETUP if setup else Kind.REPLY
                odd = (replies.rounds != announcement.round) | (replies.kinds != kind) | (replies.flags != 0)
                if odd.any():
                    i = int(np.argmax(odd))
                    raise _not_asked_for(int(replies.rounds[i]), int(replies.clients[i]))
                who, said, sections = replies.clients, replies.parts, replies.sections
            self.ledger.count("up", who, answer.lengths, sections, answer.formula_bits, setup)
            self.ledger.count_levels("up", said)
            groups.append(said)
            clients.append(who)
        order = np.concatenate(clients)
        parts = end_to_end(groups)
        if (order[1:] <= order[:-1]).any():
            by_client = np.argsort(order, kind="stable")
            order, parts = order[by_client], select_parts(parts, by_client)
        twice = order[1:][order[1:] == order[:-1]]
        if len(twice):
            raise _not_asked_for(announcement.round, int(twice[0]))
        if len(order) < len(participants):
            missing = np.setdiff1d(participants, order)
            raise WireError(f"round {announcement.round}, client {missing[0]}: no reply came")
        return Replies(participants, parts)

    def _mix(self, announcement: Announcement, weights: csr_array) -> Replies:
        """Have the clients send to their neighbours, and enter in the ledger what went over each edge."""
        everyone, edges = np.arange(self.problem.n_clients), edges_of(weights)
        senders = np.unique(edges[:, 0])
        if self._holders is None:
            self._holders = np.empty(len(everyone), np.int64)
            for answer in self._call(pack({}, call="clients")):
                self._holders[answer["clients"]] = answer["rank"]
        packets = lengths = np.zeros(0, np.uint8)
        if announcement.to_all:  # the first round's has what clients must know
            packets, lengths = self._packets(announcement, everyone, setup=False)
        announcement = replace(announcement, participants=None if len(senders) == len(everyone) else senders)
        self._announced = None if len(packets) else announcement
        arrays = {"packets": packets, "lengths": lengths, "recipients": everyone, "participants": senders}
        arrays |= {"holders": self._holders, "round": np.array(announcement.round)}
        sent = SentTotals.joined(self._call(pack(arrays, call="mix")))
        self.ledger.count_edges(edges, senders, sent.lengths, sent.sections, sent.formula_bits)
        rows = Batch(Dense, np.full(len(everyone), self.problem.dim), sent.iterates.ravel())
        return Replies(everyone, ManyParts({"model": rows}, len(everyone)))

    def _packets(self, announcement: Announcement, recipients: Array, setup: bool) -> tuple[Array, Array]:
        """The announcement's packets, one after the other, and their lengths; entered in the ledger.

        No packets where there is nobody else to read them, and they would hold nothing but whole vectors.
        """
        kind = Kind.ANNOUNCEMENT
        columns = {part: batch_of_one(message) for part, message in announcement.to_all.items()}
        to_all, to_one = ManyParts(columns, 1), list(announcement.to_one.values())
        clients, packet = np.array(list(announcement.to_one), np.int64), np.zeros(0, np.uint8)
        alone = self.transport.size == 1 and not self.transport.lays_out_all and not to_one
        said = kind, announcement.round, np.array([EVERYONE]), to_all, announcement.coins
        packet, length, sections = (packet, *measure(*said)) if alone and are_plain(to_all) else encode_many(*said)
        self.ledger.count("down", recipients, length, sections, formula_bits(to_all), setup)
        self.ledger.count_levels("down", to_all)
        if not to_one:
            return packet, length
        packets, lengths, sections = encode_many(kind, announcement.round, clients, to_one, announcement.coins)
        self.ledger.count("down", clients, lengths, sections, formula_bits(to_one), setup)
        self.ledger.count_levels("down", to_one)
        return np.concatenate([packet, packets]), np.concatenate([length, lengths])

    # -- every rank

    def answer_calls(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Answer rank 0's calls until it ends the session; returns the arrays and values that it sends then."""
        try:
            while True:
                buffer = self.transport.broadcast(None)
                arrays, values = unpack(buffer)
                if values["call"] == "end":
                    return arrays, values
                if values["call"] == "fault":
                    self.transport.raise_fault(bytes.fromhex(values["fault"]), self.failure)
                self.transport.gather(self._handle(buffer))
        finally:
            self._close()

    def _close(self) -> None:
        """Let go of what is large, or leads back here: the problem is freed with its last name, not some time later."""
        self.local.close()
        self.problem.forget_points()
        self.problem.given_back_by(self)
        self._kept, self._sizes, self._announced = [], None, None

    def _handle(self, buffer: bytes) -> bytes:
        """This rank's answer to one call; a failure is an answer too, so that no rank waits for one that failed."""
        phase = "reading the call"
        before, self._clock = self._clock, time.process_time()
        compiled.spent(self._clock - before)
        try:
            arrays, values = unpack(buffer)
            call, travels = values["call"], self.transport.lays_out_all or self.transport.rank != 0
            if call != "mix":  # there neighbours wait for this rank, interrupted or not
                self.transport.raise_interrupt()
            if call == "profile":
                times = {"times": times_so_far()}
                return pack(times) if travels else self._keep([times])
            if not len(self.problem.clients):  # a rank of no clients has nothing to send
                nobody = np.zeros(0, np.int64)
                if call == "restore":
                    return pack({})
                if call in ("clients", "mix"):
                    return pack({})
                if call in ("ask", "save"):
                    return pack({"clients": nobody, "answer": nobody})
                return self._packed([Answer(nobody, nobody, nobody, nobody.astype(np.uint8))])
            if call in ("save", "restore"):
                phase = "saving a checkpoint" if call == "save" else "taking up a checkpoint"
                if call == "restore":
                    self._round = None  # the next one says where the solve is
                    self.local.restore(SavedClients.from_arrays(arrays))
                    return pack({})
                saved = SavedClients.joined(self.local.saved()).to_arrays()
                return pack(saved) if travels else self._keep([saved])
            if call == "ask":
                phase = f"answering {values['question']}"
                x = to_device(arrays["x"], self.problem.like)
                answer = self.local.ask(QUESTIONS[values["question"]], x)
                table = {"clients": self.problem.clients, "answer": answer}
                return pack(table) if travels else self._keep([table])
            if call == "clients":
                table = {"clients": self.problem.clients, "rank": np.array(self.transport.rank)}
                return pack(table) if travels else self._keep([table])
            if call == "mix":
                phase = f"round {int(arrays['round'])}"
                table = self.neighbours.round(
                    int(arrays["round"]), lambda: self._round_announcement(arrays), arrays["holders"]
                )
                return pack(table) if travels or not table else self._keep([table])
            announcement = self._announcement(arrays)
            phase = "set-up" if call == "setup" else f"round {announcement.round}"
            sizes = None if travels else self._sizes
            if call == "setup":
                if self.method.shares_draws:
                    self.local.seed = int(announcement.to_all["seed"].coordinates()[1][0])
                answers = self.local.init(self._initial_point(announcement.to_all["model"]), sizes)
            else:
                answers = self.local.respond(announcement, sizes)
            return self._packed(answers) if travels else self._keep(answers)
        except BaseException as error:  # whatever it was, the others must learn of it
            self.failure = error
            return pack({}, fault=self.transport.describe(phase, error).hex())

    def _keep(self, answers: list[Any]) -> bytes:
        """Keep the server's own clients' answers, in the place of which an empty one is gathered."""
        self._kept = answers
        return pack({})

    @staticmethod
    def _packed(answers: list[Answer]) -> bytes:
        """The `answers`, all laid out, as one for the server."""
        names = ("clients", "lengths", "formula_bits", "packets")
        return pack({name: np.concatenate([getattr(answer, name) for answer in answers]) for name in names})

    def _announcement(self, arrays: dict[str, Array]) -> Announcement:
        if self._announced is not None:
            return self._announced
        recipients, participants = (
            None if len(arrays[name]) == self.problem.n_clients else arrays[name]
            for name in ("recipients", "participants")
        )
        if not len(arrays["packets"]):  # a round without a server begins without a word
            return Announcement(int(arrays["round"]), {}, {}, recipients, participants)
        sizes = self.method.announcement_sizes(self.problem.dim)
        found = decode_many(
            arrays["packets"],
            arrays["lengths"].tolist(),
            lambda part, clients, decoded: 1 if part == "seed" else sizes(part, clients, decoded),
        )
        self._check_announcement(found, arrays["recipients"])
        # The first goes to all.
        round = int(found.rounds[0])
        where = f"round {round}, the announcement"
        pairs = zip(found.clients[1:].tolist(), list(found.parts)[1:], strict=True)
        parts: dict[int, Parts] = {i: Received(mine, f"{where} to client {i}: the part") for i, mine in pairs}
        to_all, to_one = Received(found.parts[0], f"{where}: the part"), Received(parts, f"{where}: the one to client")
        return Announcement(round, to_all, to_one, recipients, participants, int(found.flags[0]))

    def _round_announcement(self, arrays: dict[str, Array]) -> Announcement:
        """The announcement of the round that a call is of: no reply's head would show the server another."""
        announcement, round = self._announcement(arrays), int(arrays["round"])
        if announcement.round != round:
            raise WireError(f"round {round}, the announcement: it is of round {announcement.round}")
        return announcement

    def _check_announcement(self, found: Packets, recipients: Array) -> None:
        """Refuse what the server of this solve cannot have sent now: another kind, round, client or flags."""
        clients, round = found.clients[1:], int(found.rounds[0])
        where = f"round {round}, the announcement"
        if (found.kinds != Kind.ANNOUNCEMENT).any() or found.clients[0] != EVERYONE:
            raise WireError(f"{where}: it does not begin with an announcement to all")
        if len(np.unique(clients)) < len(clients) or not np.isin(clients, recipients).all():
            raise WireError(f"{where}: a packet goes to a client that does not hear it, or two go to one")
        if (found.rounds != round).any() or (found.flags != found.flags[0]).any():
            raise WireError(f"{where}: its packets are of several rounds, or have several coins")
        if self._round is not None and round < self._round:
            raise WireError(f"{where}: it comes after one of round {self._round}")
        self._round = round

    def _initial_point(self, message: Message) -> Array:
        x0 = np.zeros(self.problem.dim) if isinstance(message, Nothing) else message.coordinates()[1]
        return to_device(x0, self.problem.like)


class _ReportedFailure(Exception):
    """A rank answered with its failure; the argument is the transport's description."""


def _not_asked_for(round: int, client: int) -> WireError:
    return WireError(f"round {round}, client {client}: this packet was not asked for")
