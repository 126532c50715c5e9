"""Session: one solve's conversation between the server and all clients, over any transport.

Rank 0 calls, every rank handles, rank 0 gathers. Every call to the clients has this one shape, so that a failure
anywhere finds its way into it: a client's rides with its rank's reply, the server's with its next call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.comm.ledger import Ledger
from newtonfl.comm.messages import Dense, Message, Nothing
from newtonfl.comm.packets import EVERYONE, Kind, Packet, Parts, Sizes, decode, encode, pack, unpack
from newtonfl.comm.transport import InProcess, Transport
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.methods import Announcement, Method, Replies
from newtonfl.objectives.base import Problem

Question = Callable[[Problem, Array], Array]


def _evaluate(problem: Problem, x: Array) -> Array:
    """f_i, the number of Hessians computed so far and ∇f_i, a row a client."""
    point = problem.at(x)
    value, gradient = to_host(point.value), to_host(point.gradient)
    return np.column_stack([value, problem.hessian_counts, gradient])


def _curvature_product(problem: Problem, v: Array) -> Array:
    return to_host(problem.curvature_product(v))


def _hessians(problem: Problem, x: Array) -> Array:
    packed = problem.at(x).hessians
    return to_host(packed.values).reshape(len(packed), -1)


QUESTIONS: dict[str, Question] = {
    "evaluate": _evaluate,
    "curvature": _curvature_product,
    "smoothness": lambda problem, x: problem.client_smoothness,
    "hessians": _hessians,
}
"""What may be asked off the ledger: diagnostics and constants that theory takes as known."""


@dataclass
class Session:
    """Everything that one process needs to take part in a solve.

    Parameters
    ----------
    problem : Problem
    method : Method
        Resolved.
    seed : int
    """

    problem: Problem
    method: Method
    seed: int = 0

    def __post_init__(self) -> None:
        self.transport: Transport = self.problem.transport or InProcess()
        self.ledger = Ledger(self.problem.n_clients)
        self.exchanges = 0  # round trips so far, the join not among them
        self.clients: Any = None
        self.failure: BaseException | None = None
        self.open = self.transport.rank == 0
        self.problem.forget()

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
        if error is not None and self.open:
            # The others wait for the next call: let it be this one.
            self.open = False
            told = error.args[0] if isinstance(error, _Told) else self.transport.describe("the server", error)
            self.transport.broadcast(pack({}, call="fault", told=told.hex()))
            self.transport.raise_fault(told, self.failure or error)

    def init_clients(self, x0: Array) -> list[Parts]:
        """Send x⁰ to every client, and hear their greetings: the set-up."""
        told: Message = Dense(to_host(x0), formula_bits=0) if to_host(x0).any() else Nothing()
        announcement = Announcement(0, {"model": told})
        return self._converse("join", announcement, self.method.setup_sizes(self.problem.dim)).parts

    def exchange(self, announcement: Announcement, sizes: Sizes) -> Replies:
        """Carry an announcement to the clients and their replies back."""
        self.exchanges += 1
        return self._converse("round", announcement, sizes)

    def ask(self, question: str, x: Array) -> Array:
        """Every client's answer to one of :data:`QUESTIONS`, in client order, shape (n, …). Off the ledger."""
        told = [unpack(buffer)[0] for buffer in self._call(pack({"x": to_host(x)}, call="ask", question=question))]
        answers = [answer for answer in told if len(answer["clients"])]
        clients = np.concatenate([answer["clients"] for answer in answers])
        table: Array = np.concatenate([answer["answer"] for answer in answers])[np.argsort(clients)]
        return table

    def end(self, arrays: dict[str, Array], **facts: Any) -> None:
        """Tell every rank the result; the conversation is over."""
        self.open = False
        self.transport.broadcast(pack(arrays, call="end", **facts))

    def _call(self, buffer: bytes) -> list[bytes]:
        answers = self.transport.gather(self._handle(self.transport.broadcast(buffer)))
        for answer in answers:
            told = unpack(answer)[1].get("told")
            if told is not None:
                raise _Told(bytes.fromhex(told))
        return answers

    def _converse(self, call: str, announcement: Announcement, sizes: Sizes) -> Replies:
        setup, everyone = call == "join", np.arange(self.problem.n_clients)
        recipients = everyone if announcement.recipients is None else announcement.recipients
        participants = everyone if announcement.participants is None else announcement.participants
        to_all = Packet(Kind.ANNOUNCEMENT, announcement.round, EVERYONE, announcement.coins, announcement.to_all)
        packets = [encode(to_all)]
        self.ledger.down.count(recipients, len(packets[0]), to_all.formula_bits, setup)
        self.ledger.count_levels("down", announcement.to_all)
        for client, parts in announcement.to_one.items():
            self.ledger.count_levels("down", parts)
            own = replace(to_all, client=client, parts=parts)
            packets.append(encode(own))
            self.ledger.down.count(np.array([client]), len(packets[-1]), own.formula_bits, setup)
        arrays = {"packets": np.frombuffer(b"".join(packets), np.uint8), "hears": recipients, "speaks": participants}
        replies: dict[int, Parts] = {}
        for answer in self._call(pack(arrays, call=call)):
            told = unpack(answer)[0]
            view, formula_bits = memoryview(told["packets"]), told["formula_bits"]
            for bits in formula_bits:
                packet, length = decode(view, sizes)
                if packet.round != announcement.round or packet.client in replies or packet.client not in participants:
                    raise WireError(f"round {packet.round}, client {packet.client}: this packet was not asked for")
                self.ledger.up.count(np.array([packet.client]), length, int(bits), setup)
                self.ledger.count_levels("up", packet.parts)
                replies[packet.client] = packet.parts
                view = view[length:]
        missing = set(participants.tolist()) - set(replies)
        if missing:
            raise WireError(f"round {announcement.round}, client {min(missing)}: no reply came")
        return Replies(participants, [replies[int(client)] for client in participants])

    # -- every rank

    def follow(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Answer rank 0's calls until it ends; returns what it told at the end."""
        while True:
            buffer = self.transport.broadcast(None)
            arrays, facts = unpack(buffer)
            if facts["call"] == "end":
                return arrays, facts
            if facts["call"] == "fault":
                self.transport.raise_fault(bytes.fromhex(facts["told"]), self.failure)
            self.transport.gather(self._handle(buffer))

    def _handle(self, buffer: bytes) -> bytes:
        """This rank's answer to one call; a failure is an answer too, so that nobody waits for a rank that failed."""
        phase = "reading the call"
        try:
            arrays, facts = unpack(buffer)
            call = facts["call"]
            if not len(self.problem.clients):  # a rank of no clients has nothing to say
                nobody = np.zeros(0, np.int64)
                return pack({"packets": nobody.astype(np.uint8), "formula_bits": nobody, "clients": nobody})
            if call == "ask":
                phase = f"answering {facts['question']}"
                answer = QUESTIONS[facts["question"]](self.problem, to_device(arrays["x"], self.problem.like))
                return pack({"clients": self.problem.clients, "answer": answer})
            announcement = self._announcement(arrays)
            phase = "join" if call == "join" else f"round {announcement.round}"
            key = Key(self.seed, -1 if call == "join" else announcement.round)
            if call == "join":
                x0 = self._first(announcement.to_all["model"])
                replies, self.clients = self.method.init_clients(self.problem, x0, key)
                kind = Kind.SETUP
            else:
                replies, self.clients = self.method.respond(self.clients, announcement, self.problem, key)
                kind = Kind.REPLY
            speaking = [client for client in self.problem.clients.tolist() if client in arrays["speaks"]]
            told = [Packet(kind, announcement.round, c, 0, p) for c, p in zip(speaking, replies, strict=True)]
            packets = np.frombuffer(b"".join(encode(packet) for packet in told), np.uint8)
            return pack({"packets": packets, "formula_bits": np.array([p.formula_bits for p in told], np.int64)})
        except BaseException as error:  # whatever it was, the others must hear of it
            self.failure = error
            return pack({}, told=self.transport.describe(phase, error).hex())

    def _announcement(self, arrays: dict[str, Array]) -> Announcement:
        view, sizes = memoryview(arrays["packets"]), self.method.announcement_sizes(self.problem.dim)
        heard: dict[int, Packet] = {}
        while len(view):
            packet, length = decode(view, sizes)
            heard[packet.client] = packet
            view = view[length:]
        to_all = heard.pop(EVERYONE)
        to_one = {client: packet.parts for client, packet in heard.items()}
        return Announcement(to_all.round, to_all.parts, to_one, arrays["hears"], arrays["speaks"], to_all.flags)

    def _first(self, message: Message) -> Array:
        told = np.zeros(self.problem.dim) if isinstance(message, Nothing) else message.coordinates()[1]
        return to_device(told, self.problem.like)


class _Told(Exception):
    """A rank's reply told of its failure; the argument is the transport's description."""
