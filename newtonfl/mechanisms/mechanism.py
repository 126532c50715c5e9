"""Mechanism: what is sent, given what was sent before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.timing import timed_as
from newtonfl.mechanisms.constants import made_contractive
from newtonfl.registry import Part, maker_spec

StepUses = Literal["after", "before"]

OwnMemory: TypeAlias = object
"""What a mechanism's clients remember beside h and y: Blocks, an array, or a dataclass of them, clients' axis first.

Every mechanism has a form of its own, into which nobody else looks.
"""


@dataclass(frozen=True)
class Memory:
    """What a mechanism's sender remembers of its clients.

    Attributes
    ----------
    estimate : Blocks
        h_i: what both ends hold.
    target : Blocks or None
        y_i, the target of the last time; None before the first, and where the mechanism does not need it.
    own : OwnMemory
        What the mechanism itself remembers of each client (momentum, error, age), which the receiver does not see; None
        for most (:meth:`Mechanism.init_own_memory`).
    """

    estimate: Blocks
    target: Blocks | None = None
    own: OwnMemory = None


@dataclass(frozen=True)
class ThreePoints:
    """The three points: h = `estimate`, y = `previous`, x = `target`; and the mechanism's `own` memory, if any."""

    estimate: Blocks
    previous: Blocks
    target: Blocks
    own: OwnMemory = None

    @cached_property
    def error(self) -> Blocks:
        """x - h."""
        return self.target - self.estimate

    @cached_property
    def change(self) -> Blocks:
        """x - y."""
        return self.target - self.previous


@dataclass(frozen=True)
class Encoder:
    """How the clients of one process say something: their coordinates, numbers and random streams."""

    space: Coordinates
    clients: Array
    key: Key

    def compress(self, compressor: Compressor, blocks: Blocks, purpose: str = "") -> Sequence[Message]:
        """Every client's message about its vector; draws for different purposes are independent."""
        key = self.key.to(purpose) if purpose else self.key
        return self.space.compress(compressor, blocks, self.clients, key)

    def less(self, blocks: Blocks, messages: Sequence[Message]) -> Blocks:
        """`blocks` minus what the messages decode to."""
        # On a copy: a message may hold a view of the blocks.
        copy = blocks.replaced(blocks.values + 0.0)
        return self.space.add(copy, messages, np.full(len(messages), -1.0))

    def squares(self, blocks: Blocks) -> Array:
        """Each client's squared norm, shape (n,), on the host."""
        norms: Array = to_host(self.space.norms(blocks))
        return norms**2


@dataclass(frozen=True)
class SendResult:
    """What the clients of one process have just sent, and where it leaves them.

    Attributes
    ----------
    messages : sequence of Message
    memory : Memory
        With h_i after the messages.
    left_out : callable
        Finds :attr:`residual`, which not everybody asks for.
    """

    messages: Sequence[Message]
    memory: Memory
    left_out: Callable[[], Blocks]

    @cached_property
    def residual(self) -> Blocks:
        """X_i minus the estimate that the receiver now uses."""
        return self.left_out()


@dataclass(frozen=True)
class Mechanism(Part, ABC):
    """A three-point mechanism: a message about a target x, given the estimate h that both ends hold and the last y.

    Its result C_{h,y}(x) obeys E‖C_{h,y}(x) - x‖² ≤ (1 - A)‖h - y‖² + B‖x - y‖² (3PC, arXiv 2202.00998, (4);
    Newton-3PC, arXiv 2206.03588, for matrices).

    With D the decoded message, both ends move by h ← h + rate·D, and the estimate in use is h_before + gain·D
    (FedNL (α, 0), EF21 and Newton-3PC (α, α), DIANA (1/(1+ω), 1)). Subclasses are frozen dataclasses.

    Parameters
    ----------
    step_uses : {"after", "before"}
        Whether the step uses the estimate after this round's message (Newton-3PC) or before it (FedNL).
    """

    step_uses: StepUses = field(default="after", kw_only=True)

    kind = "mechanism"
    separator = ","
    main_field: ClassVar[str | None] = "compressor"

    needs_previous: ClassVar[bool] = False
    """Whether it looks at the last target y."""

    sends: ClassVar[str] = "by compressed changes"
    """How targets travel, in a few words for people."""

    averages_over_sample: ClassVar[bool] = False
    """Whether, where some of the clients take part, what these send stands for all in the estimate: a sample's mean."""

    @property
    def coin(self) -> float | None:
        """How likely the server's coin, one for all clients, is to fall on heads; None where it needs no coin."""
        return None

    def skips(self, coin: bool) -> bool:
        """Whether nothing will be sent on this side of the `coin`, so that no target need be computed."""
        return False

    @abstractmethod
    def constants(self, size: int) -> tuple[float, float]:
        """(A, B) of the inequality above.

        Parameters
        ----------
        size : int
            How many coordinates a target has.

        Returns
        -------
        tuple of float
            A in (0, 1] and B ≥ 0.

        Raises
        ------
        ValueError
            Where no such constants exist.
        """

    @abstractmethod
    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        """What turns h into C_{h,y}(x).

        Parameters
        ----------
        points : ThreePoints
            A block for each client in this process: ``points.estimate`` (h), ``points.previous`` (y),
            ``points.target`` (x), ``points.error`` (x - h) and ``points.change`` (x - y); and ``points.own``, the
            mechanism's own memory, to be left as it is.
        encoder : Encoder
            How they say something: ``encoder.compress(compressor, points.error)``.
        coin : bool
            The server's coin, heads being true; true where the mechanism needs none.

        Returns
        -------
        list of Message
            One for each client, in order.
        """

    def init_own_memory(self, estimate: Blocks) -> OwnMemory:
        """What the clients remember beside h and y before the first message; None where that is nothing.

        Such a memory is the sender's alone, and a client's part of it depends on that client alone. It stays as it is
        while its client is away, and in rounds whose coin has the mechanism rest (:meth:`skips`).

        Parameters
        ----------
        estimate : Blocks
            h⁰, which both ends hold; the mechanism's to keep.

        Returns
        -------
        Blocks, array, dataclass of them, or None
            With the clients' axis first.
        """
        return None

    def update_own_memory(
        self, points: ThreePoints, messages: Sequence[Message], encoder: Encoder, coin: bool
    ) -> OwnMemory:
        """What the clients remember beside h and y after their messages.

        Parameters
        ----------
        points : ThreePoints
            As :meth:`messages` had them. h will be overwritten: what is kept of it must be a copy.
        messages : sequence of Message
            What :meth:`messages` returned.
        encoder : Encoder
            ``encoder.less(points.error, messages)`` is what the messages left out.
        coin : bool
            The server's coin.

        Returns
        -------
        Blocks, array, dataclass of them, or None
            Of the same form as ``points.own``, in arrays of its own.
        """
        return points.own

    def init_memory(self, estimate: Blocks, target: Blocks | None = None) -> Memory:
        """What the clients remember before the first message, of h⁰ = `estimate` and, where it is known, y = `target`.

        Parameters
        ----------
        estimate : Blocks
            h⁰.
        target : Blocks or None
            y.

        Returns
        -------
        Memory
            With the mechanism's own memory, if it keeps one.
        """
        if type(self).init_own_memory is Mechanism.init_own_memory:
            return Memory(estimate, target)
        # A copy: sending overwrites h.
        return Memory(estimate, target, self.init_own_memory(estimate.replaced(estimate.values + 0.0)))

    @property
    def acts_on(self) -> Literal["vector", "symmetric"]:
        """Whether some compressor in it needs whole matrices."""
        return "symmetric" if any(part.acts_on == "symmetric" for part in self.compressors()) else "vector"

    def memory_rates(self, sizes: Array) -> Array:
        """rate of each client, shape (n,), for clients with `sizes` coordinates."""
        return np.ones(len(sizes))

    def estimate_rates(self, sizes: Array) -> Array:
        """gain of each client, shape (n,), for clients with `sizes` coordinates."""
        return self.memory_rates(sizes) if self.step_uses == "after" else np.zeros(len(sizes))

    @property
    def main(self) -> Compressor | None:
        """The compressor that the command line gives by itself."""
        return self.compressors()[0] if self.compressors() else None

    def unwrapped(self) -> Self:
        """This mechanism as a user gave it: its compressors without what a solve puts around them."""
        return self._mapped(lambda compressor: compressor.unwrapped(), lambda inner: inner.unwrapped())

    def preset_settings(self) -> dict[str, str | float]:
        """How the settings `mechanism`, `compressor` and `step_uses` of a preset say this mechanism."""
        main = {"compressor": str(self.main)} if self.main and self.main_field else {}
        word = maker_spec(replace(self.unwrapped(), step_uses="after"))
        return {"mechanism": word, **main, "step_uses": self.step_uses}

    def compressors(self) -> list[Compressor]:
        """The compressors in it, the main one first."""
        found: list[Compressor] = []
        self._mapped(
            lambda compressor: found.append(compressor) or compressor,  # type: ignore[func-returns-value]
            lambda inner: found.extend(inner.compressors()) or inner,  # type: ignore[func-returns-value]
        )
        return found

    @property
    def shares_draws(self) -> bool:
        """Whether some compressor in it is `correlated`."""
        return any(compressor.correlated for compressor in self.compressors())

    def check(self, space: Coordinates) -> None:
        """Refuse a `space` of coordinates that this mechanism cannot serve, with a ValueError that says why."""
        for compressor in self.compressors():
            space.check(compressor)
        self.memory_rates(space.sizes)

    def for_dimension(self, dim: int) -> Self:
        """This mechanism with settings like ``"8d"`` made numbers for dimension `dim`; ValueError where none fits.

        Unbiased compressors are made contractive, but where the mechanism is about unbiased ones.
        """
        return self._mapped(
            lambda compressor: made_contractive(compressor.for_dimension(dim)), lambda inner: inner.for_dimension(dim)
        )

    def contracted(self) -> Self:
        """This mechanism with unbiased compressors made contractive."""
        return self._mapped(made_contractive, lambda inner: inner.contracted())

    def for_clients(self, n_clients: int) -> Self:
        """This mechanism with what depends on whose draws are averaged made definite for `n_clients`."""
        return self

    def on_wire(self, rounded: Callable[[Compressor], Compressor]) -> Self:
        """This mechanism with every compressor in it `rounded` to a wire's precision."""
        return self._mapped(rounded, lambda inner: inner.on_wire(rounded))

    def _mapped(
        self, change: Callable[[Compressor], Compressor], within: Callable[[Mechanism], Mechanism] = lambda inner: inner
    ) -> Self:
        """This mechanism with each compressor changed, and each mechanism in it as `within` has it."""

        def changed(value: Any) -> Any:
            if isinstance(value, Compressor):
                return change(value)
            if isinstance(value, Mechanism):
                return within(value)
            return tuple(map(changed, value)) if isinstance(value, tuple) else value

        return replace(self, **{key.name: changed(getattr(self, key.name)) for key in fields(self)})

    @timed_as("compression")
    def send(
        self, memory: Memory, target: Blocks, space: Coordinates, clients: Array, key: Key, coin: bool = True
    ) -> SendResult:
        """Send the targets: the clients' side.

        Before a client has sent anything its last target counts as the present one: y = x.

        Parameters
        ----------
        memory : Memory
            What the clients remember, at first as :meth:`init_memory` has it; its h_i may be overwritten.
        target : Blocks
            x, a block for each client held here.
        space : Coordinates
            Their coordinates.
        clients : numpy.ndarray of int64, shape (n held here,)
            Their numbers, for their random streams.
        key : Key
            The round's stream, which each client makes its own.
        coin : bool
            The server's coin.

        Returns
        -------
        SendResult
            The messages, the memory after them, and how far the estimate in use is off.
        """
        previous = target if memory.target is None else memory.target
        points, encoder = ThreePoints(memory.estimate, previous, target, memory.own), Encoder(space, clients, key)
        difference = points.error
        messages = self.messages(points, encoder, coin)
        own = self.update_own_memory(points, messages, encoder, coin)
        estimate = space.add(memory.estimate, messages, self.memory_rates(space.sizes))

        def left_out() -> Blocks:
            estimate_rates = self.estimate_rates(space.sizes)
            if not estimate_rates.any():
                return difference
            # On a copy: a message may hold a view of the difference.
            return space.add(difference.replaced(difference.values + 0.0), messages, -estimate_rates)

        return SendResult(messages, Memory(estimate, target if self.needs_previous else None, own), left_out)

    @timed_as("compression")
    def send_and_measure(
        self, memory: Memory, target: Blocks, space: Coordinates, clients: Array, key: Key, coin: bool = True,
        diagonal: tuple[Array, Array] | None = None,
    ) -> tuple[Sequence[Message], Memory, Array]:  # fmt: skip
        """:meth:`send`, of whose residual the norms alone are wanted.

        Parameters
        ----------
        memory : Memory
            What the clients remember; its h_i may be overwritten.
        target : Blocks
            x, a block for each client held here.
        space : Coordinates
            Their coordinates.
        clients : numpy.ndarray of int64, shape (n held here,)
            Their numbers, for their random streams.
        key : Key
            The round's stream, which each client makes its own.
        coin : bool
            The server's coin.
        diagonal : (positions, offsets) or None
            Where the targets' diagonals stand, if the other coordinates are yet to be scaled
            (:meth:`newtonfl.bases.TriangleCoordinates.entries_at`).

        Returns
        -------
        messages : sequence of Message
        memory : Memory
            After the messages.
        norms : array, shape (n held here,)
            Of X_i minus the estimate that the receiver now uses.
        """
        goal = target if diagonal is None else space.scaled(target)
        sent = self.send(memory, goal, space, clients, key, coin)
        return sent.messages, sent.memory, space.norms(sent.residual)

    def receive(
        self,
        mean: Array,
        messages: Sequence[Message],
        space: Coordinates,
        weights: Array,
        clients: Array | None = None,
        sampling_scale: float = 1.0,
    ) -> tuple[Array, Array]:
        """Receive the targets: the server's side.

        Parameters
        ----------
        mean : array, shape (space.total_size,)
            Σ weight_i h_i before the messages; may be overwritten.
        messages : sequence of Message
            What was sent, one for each of the `clients`.
        space : Coordinates
            The coordinates of all clients.
        weights : numpy.ndarray, shape (number of messages,)
            weight_i, 1/n as a rule.
        clients : numpy.ndarray of int64 or None
            Positions in `space` of those who sent; None means all, in order.
        sampling_scale : float
            How often their news counts in the estimate, where some of the clients stand for all.

        Returns
        -------
        mean, estimate : array
            Σ weight_i h_i after the messages, and the estimate to use; `mean` may be overwritten.
        """
        sizes = space.sizes if clients is None else space.sizes[clients]
        memory_rates, estimate_rates = self.memory_rates(sizes), self.estimate_rates(sizes)
        if sampling_scale == 1.0 and np.array_equal(memory_rates, estimate_rates):
            mean = space.accumulate(mean, messages, weights * memory_rates, clients)
            return mean, mean
        estimate = mean + 0.0  # a copy: the mean itself moves on
        if estimate_rates.any():
            estimate = space.accumulate(estimate, messages, sampling_scale * weights * estimate_rates, clients)
        return space.accumulate(mean, messages, weights * memory_rates, clients), estimate
