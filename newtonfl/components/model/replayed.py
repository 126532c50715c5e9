"""The model of methods whose server sends directions: clients take the step themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.messages import Dense, Message, Nothing, Several
from newtonfl.comm.messages.message import nest
from newtonfl.comm.parts import Parts
from newtonfl.components.client_state import take_clients
from newtonfl.components.gradient.anchored import Init
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.model.sent import MechanismModel
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.step_size import StepSize
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
        Where all clients stand that have received every direction.
    memory : Memory
        The direction as both ends hold it, one block.
    log : list of (int, Message)
        The rounds' numbers and the directions sent at their end, the last one last.
    received : numpy.ndarray of int64, shape (n,)
        Up to which round's end each client has the directions; empty where all always receive them.
    stepsize : float
        γ.
    """

    x: Array
    memory: Memory
    log: list[tuple[int, Message]]
    received: Array
    stepsize: float


@dataclass
class ClientReplayState:
    """The clients' side; every field has the clients' axis first.

    Attributes
    ----------
    x : array, shape (n, d)
    direction : Blocks
        h, the direction as both ends hold it.
    stepsize : array, shape (n,)
        γ, sent in round 0.
    """

    x: Array
    direction: Blocks
    stepsize: Array


@dataclass(frozen=True)
class ReplayedModel(MechanismModel[ServerReplayState, ClientReplayState]):
    """A mechanism sends the direction g that the server steps along, and everybody steps: x⁺ = x - γ g.

    EF21-BC (Fatkhullin et al., arXiv 2110.03294), bidirectional AdaCGD (arXiv 2211.00188), Artemis (arXiv 2006.14591).
    Server and clients use the decoded direction, and so hold the same bits of x. A client that was away gets the
    directions that it has missed, one by one, or x where that is shorter.

    Parameters
    ----------
    mechanism : Mechanism
    init : {"zero", "gradient"}
        Whether the mechanism begins from 0, or the first direction is sent whole.
    whole : Compressor
        How it is sent whole.
    """

    init: Init = "zero"
    whole: Compressor = field(default_factory=Identity)
    replays: ClassVar[bool] = True

    @property
    def survives_absence(self) -> bool:
        # A mechanism without memory: then there is no h that the two ends could disagree on.
        return not self.mechanism.memory_rates(np.ones(1, np.int64)).any()

    def direction_constants(self, dim: int) -> tuple[float, float] | None:
        return self.mechanism.constants(dim)

    def parameters(self) -> dict[str, str | float]:
        return {"down": self.to_spec(), "init": self.init}

    def init_clients(self, x0: Array, n: int) -> ClientReplayState:
        x = namespace(x0).broadcast_to(x0, (n, x0.shape[0])) + 0.0
        return ClientReplayState(x, equal_blocks(0.0 * x), zeros(n, x0))

    def init_server(self, x0: Array, apart: int, step_size: StepSize | None) -> ServerReplayState:
        assert step_size is not None
        return ServerReplayState(
            x0, self.mechanism.init_memory(equal_blocks(0.0 * x0[None, :])), [], np.full(apart, -1), step_size.stepsize
        )

    def finalize(
        self, state: ServerReplayState, g: GradientEstimate, key: Key
    ) -> tuple[ServerReplayState, GradientEstimate]:
        target, space = equal_blocks(g.gradient[None, :] + 0.0), self._space(state.memory.estimate)
        # In round 0 the direction is sent whatever the coin says, as gradients are.
        heads = self.mechanism.coin is None or bool(key.to("coin").generator().random() < self.mechanism.coin)
        coin = heads or key.round == 0
        server, first = np.array([key.client]), self._is_first(key.round)
        memory = state.memory
        if first:
            message = space.compress(self.whole, target, server, key)[0]
        elif self.mechanism.skips(coin):
            message = Nothing()
        else:
            # On a copy of h, which sending moves on: below both ends move h alike.
            copy = replace(memory, estimate=memory.estimate.replaced(memory.estimate.values + 0.0))
            sent = self.mechanism.send(copy, target, space, server, key, coin)
            message, memory = sent.messages[0], replace(sent.memory, estimate=memory.estimate)
        direction, estimate = self._after(memory.estimate, [message], first)
        last = target if self.mechanism.needs_previous else None
        memory = self.mechanism.init_memory(direction, last) if first else Memory(direction, last, memory.own)
        after = replace(state, memory=memory, log=[*state.log, (key.round, message)])
        return after, GradientEstimate(g.point, estimate[0], g.by_client)

    def announce(
        self, state: ServerReplayState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[ServerReplayState, Parts, dict[int, Parts]]:
        if not state.log:
            return replace(state, x=x), {"stepsize": Dense(np.array([state.stepsize]))}, {}
        last = state.log[-1][0]
        if not len(state.received):  # all clients always receive it
            return replace(state, x=x, log=state.log[-1:]), {"change": state.log[-1][1]}, {}
        whole = Dense(to_host(x))
        # What fills more bytes than x will never be sent again.
        fresh: list[tuple[int, Message]] = []
        room = len(whole.payload())
        for round, message in reversed(state.log):
            room -= len(nest(message))
            if room < 0 and fresh:
                break
            fresh.insert(0, (round, message))
        to_one: dict[int, Parts] = {}
        for i in range(len(state.received)) if recipients is None else recipients:
            missed = [message for round, message in fresh if round > state.received[i]]
            complete = len(missed) == last - state.received[i]
            to_one[int(i)] = {"missed": Several(missed)} if complete and len(missed) > 1 else {"model": whole}
            if complete and len(missed) == 1:
                to_one[int(i)] = {"change": missed[0]}
        received = state.received.copy()
        received[slice(None) if recipients is None else recipients] = last
        return replace(state, x=x, log=fresh, received=received), {}, to_one

    def announcement_size(self, part: str, dim: int) -> int | None:
        return 1 if part == "stepsize" else None

    def receive(
        self, state: ClientReplayState, announcement: Announcement, clients: Array
    ) -> tuple[ClientReplayState, Array]:
        if announcement.round == 0:
            stepsize = announcement.to_all["stepsize"].coordinates()[1]
            after = replace(state, stepsize=state.stepsize + to_device(stepsize, state.stepsize))
            return after, after.x[0, :]
        if "change" in announcement.to_all:
            after = self._stepped(state, [announcement.to_all["change"]] * len(clients), announcement.round == 1)
            return after, after.x[0, :]
        rows: list[ClientReplayState] = []
        for i, client in enumerate(clients):
            one: ClientReplayState = take_clients(state, np.array([i]))
            parts = announcement.to_one[int(client)]
            if "model" in parts:
                x = to_device(parts["model"].coordinates()[1], state.x)
                rows.append(replace(one, x=x[None, :]))
                continue
            missed = parts.get("missed")
            changes = list(missed.parts) if isinstance(missed, Several) else [parts["change"]]
            for number, message in enumerate(changes, announcement.round - len(changes)):
                one = self._stepped(one, [message], number == 0)
            rows.append(one)
        x = namespace(state.x).concat([one.x for one in rows])
        return ClientReplayState(x, Blocks.of([one.direction[0] for one in rows]), state.stepsize), x[0, :]

    def client_points(self, state: ClientReplayState) -> Array:
        return state.x

    def common_point(self, state: ServerReplayState) -> Array:
        return state.x

    def points(self, state: ServerReplayState, clients: Array) -> Array:
        return namespace(state.x).broadcast_to(state.x, (len(clients), state.x.shape[0]))

    def _is_first(self, round: int) -> bool:
        return round == 0 and self.init == "gradient"

    def _space(self, blocks: Blocks) -> Coordinates:
        return Coordinates(blocks.sizes)

    def _after(self, direction: Blocks, messages: Sequence[Message], first: bool) -> tuple[Blocks, Blocks]:
        """(h, estimate) after the messages: both ends come here, and so have the same bits."""
        space, copy = self._space(direction), direction.replaced(direction.values + 0.0)
        memory_rates = self.mechanism.memory_rates(space.sizes)
        estimate_rates = self.mechanism.estimate_rates(space.sizes)
        if first:  # who forgets, forgets this too
            memory_rates, estimate_rates = np.where(memory_rates > 0, 1.0, 0.0), np.ones(len(messages))
        estimate = space.add(copy, messages, estimate_rates)
        if np.array_equal(memory_rates, estimate_rates):
            return estimate, estimate
        return space.add(direction.replaced(direction.values + 0.0), messages, memory_rates), estimate

    def _stepped(self, state: ClientReplayState, messages: Sequence[Message], first: bool) -> ClientReplayState:
        direction, estimate = self._after(state.direction, messages, first and self.init == "gradient")
        rows = namespace(state.x).reshape(estimate.values, state.x.shape)
        return replace(state, x=state.x - state.stepsize[:, None] * rows, direction=direction)
