"""What MASHA1 and MASHA2 share: extragradient's round with compressed changes of operators since a point w."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.messages import Dense, Message
from newtonfl.comm.parts import ManyParts, Parts, Sizes, nothing_from
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms.constants import a_compressor, a_probability, contraction, draws_apart
from newtonfl.methods.settings import TheoryOr
from newtonfl.methods.spec import check_choice, to_text
from newtonfl.methods.standalone.exact import decoded, for_each, mean, messages
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class MashaRule(StepSizeRule):
    """γ = min{p/(2μ), √p/(2C)} with C² = a L² + b mean L_i², L being F's.

    The numbers of the paper's theorem (arXiv 2110.03313), from memory; for unbiased messages derived here as well. Let
    g be the mean message, so that E g = F(z½) - F(w) and E‖g‖² ≤ C²‖z½ - w‖². Writing out the squares,

        E‖z⁺ - z*‖² ≤ (1-p)‖z - z*‖² + p‖w - z*‖² - (1-p)‖z½ - z‖² - (p - γ²C²)‖z½ - w‖² - 2γμ‖z½ - z*‖²,

    and Ψ = (1-p)‖z - z*‖² + ‖w - z*‖² loses the last three terms in a round. With γ²C² ≤ p/4 and γμ ≤ p/2 they are at
    least γμ/2 of Ψ, by ‖a + b‖² ≤ 2‖a‖² + 2‖b‖²: EΨ⁺ ≤ (1 - γμ/2)Ψ.

    Parameters
    ----------
    p : float
        How likely w moves.
    a, b : float
        What the compressors make of differences of F and of the F_i.
    """

    p: float
    a: float
    b: float
    needs_convexity = True
    formulas: ClassVar[dict[str, str]] = {"theory": "min{p/(2μ), √p/(2C)}"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        c = math.sqrt(self.a * at.smoothness**2 + self.b * float(np.mean(at.client_smoothness**2)))
        first = self.p / (2.0 * at.convexity) if at.convexity else math.inf
        return min(first, math.sqrt(self.p) / (2.0 * c)), {"L": at.smoothness, "C": c, "p": self.p, "mu": at.convexity}


@dataclass
class MashaServer:
    """What the server remembers, on the host; vectors of shape (d,).

    Attributes
    ----------
    x : array
        z, the iterate.
    w, mean : array
        The point of comparison, and F(w).
    error : array
        What the messages down have left out so far.
    change : Message or None
        What goes down with the next announcement; None before the first round.
    moves : bool
        Whether w moves to z.
    step_size : StepSize
        γ.
    constants : ProblemConstants
    """

    x: Array
    w: Array
    mean: Array
    error: Array
    change: Message | None
    moves: bool
    step_size: StepSize
    constants: ProblemConstants


@dataclass
class MashaClients:
    """What clients remember, on the host, a row a client.

    Attributes
    ----------
    numbers : array, shape (n, 2)
        γ and p.
    z, w, mean : array, shape (n, d)
        z, w and F(w), which everybody knows.
    own, error : array, shape (n, d)
        F_i(w), and what the client's messages have left out so far.
    """

    numbers: Array
    z: Array
    w: Array
    mean: Array
    own: Array
    error: Array


@dataclass(frozen=True)
class Masha(Method):
    """What :func:`masha1` and :func:`masha2` share: all but what a message is of, and theory's constants."""

    compressor: Compressor
    down: Compressor
    stepsize: float | str
    p: TheoryOr
    name: str = ""
    keeps_errors: ClassVar[bool]
    """Whether what a message has left out is added to the next."""

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_compressor("down", self.down)
        StepSizeSetting.of(self.stepsize)
        if isinstance(self.p, str):
            check_choice("p", self.p, ("theory",))
        else:
            a_probability("p", self.p)

    @abstractmethod
    def noise(self, n: int, dim: int) -> tuple[float, float]:
        """(a, b) of :class:`MashaRule`; ValueError where theory does not know the compressors."""

    @abstractmethod
    def used(self, compressor: Compressor) -> Compressor:
        """What compresses, for a `compressor` that was given."""

    @property
    def solves_operators(self) -> bool:
        return True

    def parameters(self) -> dict[str, str | float]:
        words = {"compressor": to_text(self.compressor), "down": to_text(self.down)}
        return {**words, "stepsize": self.stepsize, "p": self.p}

    def components(self) -> dict[str, str]:
        return {"sends": "C of F_i(z½) - F_i(w) up; F_i(w) where w has moved; F_i is ∇f_i or an operator"}

    def resolved(self, problem: Problem) -> Self:
        n, dim = problem.n_clients, problem.dim
        for compressor in (self.compressor, self.down):
            Coordinates(np.full(1, dim)).check(compressor)  # before for_dimension, which speaks of matrices
            draws_apart(compressor)
        made = replace(self, compressor=self.compressor.for_dimension(dim), down=self.down.for_dimension(dim))
        noise = made.noise(n, dim)
        made = replace(made, p=contraction(made.compressor, dim)) if isinstance(made.p, str) else made
        StepSizeSetting.of(made.stepsize).check(problem, MashaRule(float(made.p), *noise))
        return made

    def expected_silent_rounds(self, n_clients: int) -> float:
        return 1.0 / float(self.p) - 1.0  # z swings about the solution with the pace at which w moves

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def announcement_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: 2 if part == "stepsize" else dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], MashaClients]:
        z = to_host(for_each(x0, problem)) + 0.0
        nothing = 0.0 * z
        return nothing_from(problem.clients), MashaClients(np.zeros((len(z), 2)), z, z, nothing, nothing, nothing)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> MashaServer:
        constants, n, dim = replace(constants, ridge_inside=True), constants.n_clients, constants.dim
        at = StepContext(constants, AnchoredGradient(), ExactModel(), All())
        rule = MashaRule(float(self.p), *self.noise(n, dim))
        step_size, z = StepSizeSetting.of(self.stepsize).init(rule, at), to_host(x0)
        return MashaServer(z, z, 0.0 * z, 0.0 * z, None, True, step_size, constants)

    def theory(self, server: MashaServer) -> list[str]:
        return server.step_size.notes()

    def round(self, server: MashaServer, exchange: Exchange, key: Key) -> MashaServer:
        n, dim = server.constants.n_clients, server.constants.dim
        numbers, z, w, F = np.array([server.step_size.stepsize, float(self.p)]), server.x, server.w, server.mean
        last: Parts = {"stepsize": Dense(numbers)} if server.change is None else {"change": server.change}
        replies = exchange(Announcement(key.round, last, coins=int(server.moves)), lambda part, clients, decoded: dim)
        if server.moves:
            w, F = z, mean(replies, "gradient")
            replies = exchange(Announcement(key.round, {"gradient": Dense(F)}), lambda part, clients, decoded: dim)
        space, weights = Coordinates(np.full(n, dim)), np.full(n, 1.0 / n)
        average = space.accumulate(np.zeros(dim), replies.messages("change"), weights)
        sent, rest = self._compressed(self.down, average[None, :], server.error[None, :], np.array([SERVER]), key)
        z = self._stepped(_half(z, w, F, numbers), sent[0], numbers)
        moves = bool(key.of(SERVER).to("anchor coin").generator().random() < numbers[1])
        return replace(server, x=z, w=w, mean=F, error=rest[0, :], change=sent[0], moves=moves)

    def respond(
        self, clients: MashaClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], MashaClients]:
        problem, parts, state = problem.with_local_ridge(), announcement.to_all, clients
        if "stepsize" in parts:
            state = replace(state, numbers=for_each(parts["stepsize"].coordinates()[1], problem))
        numbers, z, w, F = state.numbers[0, :], state.z[0, :], state.w[0, :], state.mean[0, :]
        if "change" in parts:
            z = self._stepped(_half(z, w, F, numbers), parts["change"], numbers)
            state = replace(state, z=for_each(z, problem))
        if announcement.coins:  # w moves to z
            own = to_host(problem.at(to_device(z, problem.like)).gradient)
            return ManyParts({"gradient": messages(own)}, len(own)), replace(state, w=state.z, own=own)
        if "gradient" in parts:
            F = parts["gradient"].coordinates()[1]
            state = replace(state, mean=for_each(F, problem))
        half = problem.at(to_device(_half(z, w, F, numbers), problem.like))
        change = self._scale(numbers) * (to_host(half.gradient) - state.own)
        sent, rest = self._compressed(self.compressor, change, state.error, problem.clients, key)
        return ManyParts({"change": sent}, len(change)), replace(state, error=rest)

    def _compressed(
        self, compressor: Compressor, rows: Array, errors: Array, senders: Array, key: Key
    ) -> tuple[Sequence[Message], Array]:
        """A message about every one of the `rows` (n, d), and what is left out so far: at both ends."""
        rows = rows + errors
        space = Coordinates(np.full(len(rows), rows.shape[1]))
        sent = space.compress(self.used(compressor), equal_blocks(rows), senders, key.to("change"))
        return sent, rows - decoded(sent, rows.shape[1], rows) if self.keeps_errors else errors

    def _stepped(self, half: Array, message: Message, numbers: Array) -> Array:
        """z⁺, from z½ and the message down: the server's and the clients', in the same bits."""
        change = decoded([message], len(half), half)[0, :]
        after: Array = half - numbers[0] / self._scale(numbers) * change
        return after

    def _scale(self, numbers: Array) -> float:
        """What messages are of: F_i(z½) - F_i(w) times this."""
        return float(numbers[0]) if self.keeps_errors else 1.0


def _half(z: Array, w: Array, F: Array, numbers: Array) -> Array:
    """z½ = z̄ - γF(w) with z̄ = (1-p)z + pw."""
    gamma, p = numbers
    half: Array = (1.0 - p) * z + p * w - gamma * F
    return half
