"""The model socket of methods whose server sends directions: clients take the step themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.messages import Dense, Message, Nothing, Several
from newtonfl.comm.messages.message import nest
from newtonfl.comm.packets import Parts
from newtonfl.components.gradient.anchored import Init
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.model.base import MechanismModel
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.pace import StepSize
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import Memory


@dataclass
class ServerReplayState:
    """The server's account of clients that step themselves.

    Attributes
    ----------
    x : array, shape (d,)
        Where all clients stand that have heard every direction.
    memory : Memory
        The direction as told, one block.
    log : list of (int, Message)
        The rounds' numbers and the directions told at their end, the last one last.
    heard : numpy.ndarray of int64, shape (n,)
        Up to which round's end each client has heard; empty where all always hear.
    stepsize : float
        γ.
    """

    x: Array
    memory: Memory
    log: list[tuple[int, Message]]
    heard: Array
    stepsize: float


@dataclass
class ClientReplayState:
    """The clients' side; every field has the clients' axis first.

    Attributes
    ----------
    x : array, shape (n, d)
    direction : Blocks
        h, the direction as told.
    stepsize : array, shape (n,)
        γ, told in round 0.
    """

    x: Array
    direction: Blocks
    stepsize: Array


@dataclass(frozen=True)
class ReplayedModel(MechanismModel):
    """A mechanism tells of the direction g that the server steps along, and everybody steps: x⁺ = x - γ g.

    EF21-BC (Fatkhullin et al., arXiv 2110.03294), bidirectional AdaCGD (arXiv 2211.00188), Artemis (arXiv 2006.14591).
    Server and clients use the decoded direction, and so hold the same bits of x. A client that was away is told the
    directions that it has missed, one by one, or x where that is shorter.

    Parameters
    ----------
    mechanism : Mechanism
    init : {"zero", "gradient"}
        Whether the mechanism begins from 0, or the first direction is told whole.
    whole : Compressor
        How it is sent whole.
    """

    init: Init = "zero"
    whole: Compressor = field(default_factory=Identity)
    replays: ClassVar[bool] = True

    def init_clients(self, x0: Array, n: int) -> ClientReplayState:
        x = namespace(x0).broadcast_to(x0, (n, x0.shape[0])) + 0.0
        return ClientReplayState(x, equal_blocks(0.0 * x), zeros(n, x0))

    def init_server(self, x0: Array, apart: int, pace: StepSize | None) -> ServerReplayState:
        assert pace is not None
        memory = self.mechanism.init_memory(equal_blocks(0.0 * x0[None, :]))
        return ServerReplayState(x0, memory, [], np.full(apart, -1), pace.stepsize)

    def finalize(
        self, views: ServerReplayState, anchor: GradientEstimate, key: Key
    ) -> tuple[ServerReplayState, GradientEstimate]:
        h, own = views.memory.estimate, views.memory.own
        target, space = equal_blocks(anchor.gradient[None, :] + 0.0), self._space(h)
        # In round 0 the direction is told whatever the coin says, as gradients are.
        heads = self.mechanism.coin is None or bool(key.to("coin").generator().random() < self.mechanism.coin)
        coin = heads or key.round == 0
        server, begins = np.array([key.client]), self._begins(key.round)
        if begins:
            message = space.compress(self.whole, target, server, key)[0]
        elif self.mechanism.skips(coin):
            message = Nothing()
        else:
            # On a copy, which sending moves on: below both ends move h alike.
            spare = replace(views.memory, estimate=h.replaced(h.values + 0.0))
            sent = self.mechanism.send(spare, target, space, server, key, coin)
            message, own = sent.messages[0], sent.memory.own
        h, estimate = self._moved(h, [message], begins)
        previous = target if self.mechanism.needs_previous else None
        memory = self.mechanism.init_memory(h, previous) if begins else Memory(h, previous, own)
        after = replace(views, memory=memory, log=[*views.log, (key.round, message)])
        return after, GradientEstimate(anchor.point, estimate[0], anchor.each)

    def announce(
        self, views: ServerReplayState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[Parts, dict[int, Parts], ServerReplayState]:
        if not views.log:
            return {"stepsize": Dense(np.array([views.stepsize]))}, {}, replace(views, x=x)
        last = views.log[-1][0]
        if not len(views.heard):  # all clients always hear
            return {"change": views.log[-1][1]}, {}, replace(views, x=x, log=views.log[-1:])
        whole = Dense(to_host(x))
        # What fills more bytes than x will never be sent again.
        fresh: list[tuple[int, Message]] = []
        room = len(whole.payload())
        for round, message in reversed(views.log):
            room -= len(nest(message))
            if room < 0 and fresh:
                break
            fresh.insert(0, (round, message))
        to_one: dict[int, Parts] = {}
        for i in range(len(views.heard)) if recipients is None else recipients:
            missed = [message for round, message in fresh if round > views.heard[i]]
            complete = len(missed) == last - views.heard[i]
            to_one[int(i)] = {"missed": Several(missed)} if complete and len(missed) > 1 else {"model": whole}
            if complete and len(missed) == 1:
                to_one[int(i)] = {"change": missed[0]}
        heard = views.heard.copy()
        heard[slice(None) if recipients is None else recipients] = last
        return {}, to_one, replace(views, x=x, log=fresh, heard=heard)

    def receive(
        self, state: ClientReplayState, announcement: Announcement, clients: Array
    ) -> tuple[ClientReplayState, Array]:
        if announcement.round == 0:
            told = announcement.to_all["stepsize"].coordinates()[1]
            after = replace(state, stepsize=state.stepsize + to_device(told, state.stepsize))
            return after, after.x[0, :]
        if "change" in announcement.to_all:
            after = self._stepped(state, [announcement.to_all["change"]] * len(clients), announcement.round == 1)
            return after, after.x[0, :]
        rows: list[ClientReplayState] = []
        for i, client in enumerate(clients):
            one = ClientReplayState(
                state.x[i : i + 1, :], state.direction.take(np.array([i])), state.stepsize[i : i + 1]
            )
            parts = announcement.to_one[int(client)]
            if "model" in parts:
                x = to_device(parts["model"].coordinates()[1], state.x)
                rows.append(replace(one, x=x[None, :]))
                continue
            missed = parts.get("missed")
            each = list(missed.parts) if isinstance(missed, Several) else [parts["change"]]
            for number, message in enumerate(each, announcement.round - len(each)):
                one = self._stepped(one, [message], number == 0)
            rows.append(one)
        x = namespace(state.x).concat([one.x for one in rows])
        return ClientReplayState(x, Blocks.of([one.direction[0] for one in rows]), state.stepsize), x[0, :]

    def held(self, state: ClientReplayState) -> Array:
        return state.x

    def point(self, views: ServerReplayState) -> Array:
        return views.x

    def seen(self, views: ServerReplayState, clients: Array) -> Array:
        return namespace(views.x).broadcast_to(views.x, (len(clients), views.x.shape[0]))

    def _begins(self, round: int) -> bool:
        return round == 0 and self.init == "gradient"

    def _space(self, blocks: Blocks) -> Coordinates:
        return Coordinates(blocks.sizes)

    def _moved(self, told: Blocks, messages: list[Message], begins: bool) -> tuple[Blocks, Blocks]:
        """(h, estimate) after the messages: both ends come here, and so have the same bits."""
        space, copy = self._space(told), told.replaced(told.values + 0.0)
        memory_rates, estimate_rates = (
            self.mechanism.memory_rates(space.sizes),
            self.mechanism.estimate_rates(space.sizes),
        )
        if begins:
            memory_rates, estimate_rates = (
                np.where(memory_rates > 0, 1.0, 0.0),
                np.ones(len(messages)),
            )  # who forgets, forgets this too
        estimate = space.add(copy, messages, estimate_rates)
        if np.array_equal(memory_rates, estimate_rates):
            return estimate, estimate
        return space.add(told.replaced(told.values + 0.0), messages, memory_rates), estimate

    def _stepped(self, state: ClientReplayState, messages: list[Message], first: bool) -> ClientReplayState:
        told, estimate = self._moved(state.direction, messages, first and self.init == "gradient")
        rows = namespace(state.x).reshape(estimate.values, state.x.shape)
        return replace(state, x=state.x - state.stepsize[:, None] * rows, direction=told)

    def settings(self) -> dict[str, str | float]:
        return {"down": self.text, "init": self.init}
