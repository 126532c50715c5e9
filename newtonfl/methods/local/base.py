"""Local steps: what methods share whose clients take several gradient steps between two exchanges."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.oracle import Minibatch
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All, AmongAvailable, Participation
from newtonfl.components.protocol import Announcement, Method, ProblemConstants, silent_rounds
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms.constants import a_probability
from newtonfl.methods.settings import Batch
from newtonfl.methods.spec import to_text
from newtonfl.methods.standalone.exact import for_each, received
from newtonfl.methods.typed import defaults_of
from newtonfl.objectives.base import Problem

MOST_STEPS = 1_000_000
"""More local steps of a round are refused by whoever would take them."""

LEAST_CHANCE = 2e-5
"""The least probability of an exchange: with it one round in 10⁸ would have more steps."""


def an_exchange_probability(key: str, value: float) -> None:
    """Refuse what is no probability of an exchange after a local step."""
    a_probability(key, value)
    if value < LEAST_CHANCE:
        raise ValueError(f"{key}: given {value!r}, must be at least {LEAST_CHANCE:g}: 1/{key} local steps are a round")


@dataclass(frozen=True)
class LargestSmoothness(StepSizeRule):
    """γ = share/(max L_i + more), the ridge in L_i.

    Parameters
    ----------
    share, more : float
    formula : str
        The same as text.
    """

    share: float = 1.0
    formula: str = "1/max L_i"
    more: float = 0.0
    needs_smoothness = False
    formulas: ClassVar[dict[str, str]] = {"theory": "1/max L_i"}

    def named(self, at: StepContext, theory: str) -> str:
        return self.formula

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        return self.share / (at.most + self.more), {"L_max": at.most} | ({"nu": self.more} if self.more else {})


@dataclass
class LocalServer:
    """What the server remembers.

    Attributes
    ----------
    x : numpy.ndarray, shape (d,)
        x̄, the iterate.
    step_size : StepSize
        γ.
    constants : ProblemConstants
    """

    x: Array
    step_size: StepSize
    constants: ProblemConstants


@dataclass(frozen=True)
class LocalMethod(Method):
    """A method whose round is: x̄ down, local steps, what came of them up. The ridge stands in every f_i.

    Subclasses are frozen dataclasses; the fields that their functions offer as settings are their :meth:`parameters`.

    Attributes
    ----------
    stepsize : float or str
        γ.
    batch : int or "full"
        How many of its rows a client draws for a gradient.
    participation : Participation
        Round 0 asks everybody, as elsewhere.
    """

    stepsize: float | str
    batch: Batch = "full"
    participation: Participation = All()
    name: str = ""

    _numbers: ClassVar[dict[str, int]] = {"steps": 1, "stepsize": 1}
    """How many numbers the parts of an announcement hold that are no vectors."""

    def __post_init__(self) -> None:
        StepSizeSetting.of(self.stepsize)
        if not isinstance(self.participation, Participation):
            raise TypeError(f"participation: given {self.participation!r}, must be a Participation such as Uniform(8)")
        if self.batch != "full":
            Minibatch(self.batch)  # says what it refuses

    @abstractmethod
    def rule(self) -> StepSizeRule:
        """What the setting `stepsize` calls theory."""

    @abstractmethod
    def local(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        """The replies of the clients that take part, who are all those of the `problem`, and their next state."""

    def parameters(self) -> dict[str, str | float]:
        return {setting: to_text(getattr(self, setting)) for setting in defaults_of(self.name)}

    def resolved(self, problem: Problem) -> Self:
        self.participation.check(problem.n_clients)
        self.participation.check_prompt(self.name)
        if self.batch != "full":
            problem.check_rows()
        StepSizeSetting.of(self.stepsize).check(problem, self.rule())
        return self

    def among_available(self, availability: Participation) -> Self:
        if "participation" not in defaults_of(self.name):
            return super().among_available(availability)
        return replace(self, participation=AmongAvailable(self.participation, availability))

    def expected_silent_rounds(self, n_clients: int) -> float:
        return silent_rounds(self.participation.rarest(n_clients))

    def theory(self, server: LocalServer) -> list[str]:
        return server.step_size.notes()

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def announcement_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: self._numbers.get(part, dim)

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Any]:
        return nothing_from(problem.clients), self.first_state(problem, x0)

    @abstractmethod
    def first_state(self, problem: Problem, x0: Array) -> Any:
        """The clients' state at x⁰; every field has their axis first."""

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> Any:
        constants = replace(constants, ridge_inside=True)
        step_size = StepSizeSetting.of(self.stepsize).init(self.rule(), self.context(constants))
        return LocalServer(to_host(x0), step_size, constants)

    def context(self, constants: ProblemConstants) -> StepContext:
        """What rules of step sizes look at."""
        return StepContext(constants, AnchoredGradient(), ExactModel(), All())

    def drawn(self, constants: ProblemConstants, key: Key) -> Array | None:
        """S^k; None is all."""
        if key.round == 0:
            return None
        return self.participation.drawn(constants.n_clients, key.of(SERVER).to("participation"))

    def announced(self, server: LocalServer, key: Key, S: Array | None = None, **parts: Array) -> Announcement:
        """x̄ and `parts` for the clients of `S`; in round 0 with the numbers that they keep."""
        vectors, own = {"model": server.x, **parts}, dict[int, Parts]()
        if key.round == 0:
            own_numbers = self.client_constants(server)
            if own_numbers.ndim == 1:
                vectors["stepsize"] = own_numbers
            else:
                own = {i: {"stepsize": Dense(row)} for i, row in enumerate(own_numbers)}
        return Announcement(key.round, {name: Dense(vector) for name, vector in vectors.items()}, own, S, S)

    def client_constants(self, server: Any) -> Array:
        """The numbers that clients have to know, sent in round 0: shape (k,), or (n, k) where each has its own."""
        return np.array([server.step_size.stepsize])

    def respond(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        problem = problem.with_local_ridge()
        if announcement.recipients is None or np.isin(problem.clients, announcement.recipients).all():
            return self.local(clients, announcement, problem, key)
        chosen = np.flatnonzero(np.isin(problem.clients, announcement.recipients))
        if len(chosen) == 0:
            return [], clients
        replies, some = self.local(take_clients(clients, chosen), announcement, problem.select(chosen), key)
        return replies, put_clients(clients, chosen, some)

    def numbers(self, before: Array, announcement: Announcement, problem: Problem) -> Array:
        """The :meth:`client_constants` of this `announcement`, or of one `before`, a row a client, shape (n, k)."""
        if "stepsize" in announcement.to_all:
            return for_each(received(announcement.to_all["stepsize"], problem), problem)
        if announcement.round > 0:
            return before
        own = [announcement.to_one[int(i)]["stepsize"].coordinates()[1] for i in problem.clients]
        return to_device(np.stack(own), problem.like)

    def steps_in(self, announcement: Announcement) -> int:
        """How many local steps an `announcement` asks for; WireError where it is no number of steps."""
        count = float(announcement.to_all["steps"].coordinates()[1][0])
        if not 1 <= count <= MOST_STEPS or count != int(count):
            raise WireError(f"round {announcement.round}: {count:g} local steps, must be 1 to {MOST_STEPS}")
        return int(count)

    def gradient(self, problem: Problem, y: Array, key: Key, step: int) -> Array:
        """∇f_i(y_i) before local step number `step`, or an estimate from a minibatch; shape (n, d)."""
        point = problem.at_uncached(y)
        if self.batch == "full":
            return point.gradient
        return point.sampled_gradient(self.batch, key.to(f"step {step}").to("batch"))
