"""The gradient socket: what is told of ∇f_i, and the anchor from which the server steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from newtonfl.backend import Array, namespace, to_device, zeros
from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.blocks import Blocks
from newtonfl.compressors import Identity
from newtonfl.keys import Key
from newtonfl.mechanisms import EF21, Mechanism, Memory
from newtonfl.mechanisms.constants import a_probability
from newtonfl.methods.method import Facts, Replies
from newtonfl.problem import Point
from newtonfl.wire import Parts


@dataclass(frozen=True)
class Anchor:
    """What the gradient socket hands the step: x⁺ = point - P⁻¹ gradient. Both have shape (d,)."""

    point: Array
    gradient: Array


@dataclass(frozen=True)
class Scene:
    """What the gradient socket may look at in a round.

    Attributes
    ----------
    space : Coordinates
        In which gradients are told: of the clients at hand (clients' side), of all (server's side).
    seen : array
        z: (d,), or on the server's side (replies, d).
    coins : dict of str to bool
        The server's coins of this round.
    key : Key
    applied : callable
        Clients' side: i → (H_i + l_i I) v for the estimate that the step uses. Not for all sockets.
    moved : callable
        (j, v) → what this round's curvature message and l of the j-th client (reply) have added to (H + l I) v.
    """

    space: Coordinates
    seen: Array
    coins: dict[str, bool]
    key: Key
    applied: Callable[[int, Array], Array]
    moved: Callable[[int, Array], Array]


class Gradient(ABC):
    """How gradients reach the server. Subclasses are frozen dataclasses.

    Attributes
    ----------
    partial : bool
        Whether clients may be missing from a round.
    p : float
        How likely a round tells a client's gradient.
    """

    partial: ClassVar[bool] = False
    p: float = 1.0

    @property
    def chances(self) -> dict[str, float]:
        """The server's coins by name, and how likely heads are."""
        return {}

    @abstractmethod
    def join(self, x0: Array, space: Coordinates) -> Any:
        """The clients' first state; every field has the clients' axis first."""

    @abstractmethod
    def tell(self, state: Any, point: Point, scene: Scene, round: int) -> tuple[list[Parts], Any]:
        """The clients' parts of this round's replies."""

    @abstractmethod
    def start(self, facts: Facts, x0: Array) -> Any:
        """The server's first state."""

    @abstractmethod
    def hear(self, state: Any, replies: Replies, weights: Array, scene: Scene, facts: Facts) -> tuple[Any, Anchor]:
        """The server's state after the replies, and the anchor of its step."""

    @abstractmethod
    def settings(self) -> dict[str, str | float]: ...

    def for_dimension(self, dim: int) -> Self:
        """This socket with settings like ``"8d"`` made numbers."""
        return self

    def check(self, space: Coordinates) -> None:  # noqa: B027 - most sockets serve all coordinates
        """Refuse coordinates that this socket cannot serve, with a ValueError that says why."""


@dataclass
class Told:
    """The server's side of gradients that are told: Σ weight_i g_i, and the anchor."""

    mean: Array
    anchor: Anchor | None


@dataclass(frozen=True)
class AnchoredGradient(Gradient):
    """∇f_i at the last z at which the server's coin ξ fell on heads: there w = z; x⁺ = w - P⁻¹∇f(w).

    On tails nothing is told. The papers write g = P(z - w) + ∇f(w) and x⁺ = z - P⁻¹g, which is the same point
    (FedNL-BC, arXiv 2106.02969, Algorithm 5; BL1, arXiv 2111.01847; Newton-3PC-BC, arXiv 2206.03588).

    Parameters
    ----------
    mechanism : Mechanism or None
        How ∇f_i is told; None sends it whole.
    p : float
        How likely heads are; 1 sends every gradient. Round 0 always does.
    """

    mechanism: Mechanism | None = None
    p: float = 1.0

    def __post_init__(self) -> None:
        a_probability("gradient_p", self.p)

    @property
    def chances(self) -> dict[str, float]:
        mechanism = self.mechanism and self.mechanism.coin
        return ({"anchor": self.p} if self.p < 1 else {}) | ({"gradient": mechanism} if mechanism else {})

    def join(self, x0: Array, space: Coordinates) -> Memory | None:
        if self.mechanism is None:
            return None
        return Memory(Blocks.of([zeros(int(size), x0) for size in space.sizes]))

    def tell(self, state: Memory | None, point: Point, scene: Scene, round: int) -> tuple[list[Parts], Memory | None]:
        clients = point.problem.clients
        coin = scene.coins.get("gradient", True)
        if not scene.coins.get("anchor", True) or (self.mechanism and self.mechanism.rests(coin)):
            return [{} for _ in clients], state
        target = scene.space.of_gradients(point.gradient)
        if self.mechanism is None:
            return [{"gradient": message} for message in _whole(scene, target, clients)], state
        assert state is not None
        sent = self.mechanism.send(state, target, scene.space, clients, scene.key, coin)
        return [{"gradient": message} for message in sent.messages], sent.memory

    def start(self, facts: Facts, x0: Array) -> Told:
        return Told(zeros(facts.dim, facts.like), None)

    def hear(self, state: Told, replies: Replies, weights: Array, scene: Scene, facts: Facts) -> tuple[Told, Anchor]:
        if not scene.coins.get("anchor", True) and state.anchor is not None:
            return state, state.anchor
        mean = estimate = state.mean
        if self.mechanism is None:
            estimate = scene.space.accumulate(zeros(facts.dim, facts.like), replies.told("gradient"), weights)
        elif "gradient" in replies.parts[0]:
            mean, estimate = self.mechanism.receive(mean, replies.told("gradient"), scene.space, weights)
        z = scene.seen[0, :]
        gradient = estimate if facts.ridge_inside else estimate + to_device(facts.ridge, z) * z
        anchor = Anchor(z, gradient)
        return Told(mean, anchor), anchor

    def settings(self) -> dict[str, str | float]:
        told = self.mechanism.spoken if self.mechanism else "exact"
        return {"gradient": told, "gradient_p": self.p}

    def for_dimension(self, dim: int) -> Self:
        return replace(self, mechanism=self.mechanism and self.mechanism.for_dimension(dim))

    def check(self, space: Coordinates) -> None:
        if self.mechanism:
            self.mechanism.check(space)


def _whole(scene: Scene, target: Blocks, clients: Array) -> list[Any]:
    return scene.space.compress(Identity(), target, clients, scene.key)


@dataclass
class Invariants:
    """What clients that may be missing remember; each array has shape (n, d).

    Attributes
    ----------
    anchor : array
        w_i.
    gradient : array
        ∇f_i(w_i).
    told : Memory
        g_i = (H_i + l_i I) w_i - ∇f_i(w_i), as the server knows it.
    """

    anchor: Array
    gradient: Array
    told: Memory


@dataclass
class Sums:
    """The server's side of the invariants: b = (1/n) Σ g_i, and its table of w_i, shape (n, d)."""

    b: Array
    anchors: Array


@dataclass(frozen=True)
class InvariantGradient(Gradient):
    """g_i = (H_i + l_i I) w_i - ∇f_i(w_i) is told, which stays true while client i is away: x⁺ = (H + l I + D)⁻¹ b.

    FedNL-PP (arXiv 2106.02969, Algorithm 2), BL2 (arXiv 2111.01847), Newton-3PC-BC-PP (arXiv 2206.03588). The ridge
    cancels in g_i. With its own coin ξ_i a client moves w_i to z_i and sends g_i's change; else w_i stays, and the
    server works the change out from the curvature message: ΔH_i w_i + Δl_i w_i.

    Parameters
    ----------
    mechanism : Mechanism
        How g_i's change is told: whole, at the wire's precision.
    p : float
        How likely ξ_i = 1 is; 1 moves w_i every time. Round 0 always does.
    """

    mechanism: Mechanism = field(default_factory=lambda: EF21(Identity()))
    p: float = 1.0
    partial = True

    def __post_init__(self) -> None:
        a_probability("gradient_p", self.p)

    def join(self, x0: Array, space: Coordinates) -> Invariants:
        n, d = len(space.sizes), x0.shape[0]
        nothing = zeros((n, d), x0)
        return Invariants(namespace(x0).broadcast_to(x0, (n, d)) + 0.0, nothing, Memory(equal_blocks(nothing)))

    def tell(self, state: Invariants, point: Point, scene: Scene, round: int) -> tuple[list[Parts], Invariants]:
        xp, clients = namespace(point.x), point.problem.clients
        heads = np.array([round == 0 or own_coin(scene.key.of(client), self.p) for client in clients], dtype=bool)
        moved = to_device(heads[:, None], point.x)
        anchor = xp.where(moved, scene.seen, state.anchor)
        gradient = xp.where(moved, point.gradient, state.gradient) if heads.any() else state.gradient
        g = [scene.applied(i, anchor[i, :]) - gradient[i, :] for i in range(len(clients))]
        # Who keeps w_i moves g_i as the server will: by the message.
        told = [
            block if head else block + scene.moved(i, anchor[i, :])
            for i, (block, head) in enumerate(zip(state.told.told, heads, strict=True))
        ]
        target = [goal if head else block for goal, block, head in zip(g, told, heads, strict=True)]
        space = Coordinates(state.told.told.sizes)
        sent = self.mechanism.send(Memory(Blocks.of(told)), Blocks.of(target), space, clients, scene.key)
        parts = [{"gradient": m} if head else {} for m, head in zip(sent.messages, heads, strict=True)]
        return parts, Invariants(anchor, gradient, sent.memory)

    def start(self, facts: Facts, x0: Array) -> Sums:
        rows = namespace(x0).broadcast_to(x0, (facts.n_clients, facts.dim))
        return Sums(zeros(facts.dim, facts.like), rows + 0.0)

    def hear(self, state: Sums, replies: Replies, weights: Array, scene: Scene, facts: Facts) -> tuple[Sums, Anchor]:
        b, anchors = state.b, [state.anchors[i, :] for i in range(facts.n_clients)]
        space = Coordinates(np.full(facts.n_clients, facts.dim))
        for j, (client, parts) in enumerate(zip(replies.clients, replies.parts, strict=True)):
            one = np.array([client])
            if "gradient" in parts:
                anchors[client] = scene.seen[j, :]
                b, _ = self.mechanism.receive(b, [parts["gradient"]], space, weights[j : j + 1], one)
            else:
                b = b + float(weights[j]) * scene.moved(j, anchors[client])
        origin = zeros(facts.dim, facts.like)
        return Sums(b, namespace(b).stack(anchors)), Anchor(origin, -b)

    def settings(self) -> dict[str, str | float]:
        return {"gradient": "invariant", "gradient_p": self.p}


def own_coin(key: Key, p: float) -> bool:
    """A client's own coin ξ_i of a round."""
    return p >= 1 or bool(key.to("coin").generator().random() < p)
