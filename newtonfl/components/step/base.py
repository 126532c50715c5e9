"""The step component's interface: from the server's estimates to the next iterate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from newtonfl.components.curvature.base import ErrorNorm, HessianEstimate, StepMatrix
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.core.backend import Array
from newtonfl.objectives.base import Problem

State = TypeVar("State")

Probe: TypeAlias = Callable[[Array, int], Array]
"""(direction, s) → f at the clients' point plus each of ``Step.trial_steps(s)`` times the direction: one exchange."""


class NoStep(ArithmeticError):
    """No step can be taken: no trial along the direction makes the objective smaller."""


class SingularStep(NoStep):
    """No step can be taken: its matrix is not positive definite."""


class Step(ABC, Generic[State]):
    """Takes the next iterate. Subclasses are frozen dataclasses; `State` is what they remember on the server.

    Attributes
    ----------
    needs_hessian : bool
        Whether the step asks for a matrix that clients have sent of.
    estimates_hessian : bool
        Whether it learns a matrix of ∇²f itself.
    needs_error : bool
        Whether it cannot do without l_i = ‖H_i - ∇²f_i‖.
    needs_convexity : bool
        Whether f must be convex.
    needs_lipschitz : bool
        Whether it asks the clients for L_*i, the Lipschitz constants of their Hessians, at the set-up.
    sends : str
        What clients send for it, in a few words for people; empty where nothing.
    searches : bool
        Whether it asks for values at trial points.
    serves_invariants : bool
        Whether it is right for the invariants of clients that may be away: x⁺ = (H + l·I + D)⁻¹b and nothing else.
    replayable : bool
        Whether clients that know the direction alone can take the step themselves.
    """

    needs_hessian: ClassVar[bool] = True
    estimates_hessian: ClassVar[bool] = False
    needs_error: ClassVar[bool] = False
    needs_convexity: ClassVar[bool] = False
    needs_lipschitz: bool = False
    sends: ClassVar[str] = ""
    searches: ClassVar[bool] = False
    serves_invariants: ClassVar[bool] = False
    replayable: ClassVar[bool] = False

    @property
    def error_norm(self) -> ErrorNorm | None:
        """In which norm the clients shall send l_i, the error of their estimate; None where it is not used."""
        return None

    @property
    def fresh_error(self) -> bool:
        """Whether l_i must be of this round even where no Hessian is sent."""
        return self.error_norm is not None

    def check(self, problem: Problem) -> None:
        """Refuse a problem that the step cannot serve, with a ValueError that says why."""

    @abstractmethod
    def parameters(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""

    @abstractmethod
    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> State:
        """What the step remembers at `x0` (d,); `context` holds the other components, for theory's step sizes."""

    def step_size(self, state: State) -> StepSize | None:
        """The size of a step of fixed size; None where it has none."""
        return None

    def hessian_estimate(self, state: State) -> Array | None:
        """What it has learned of ∇²f, ridge included, shape (d, d), on the host; None where it has nothing (yet)."""
        return None

    def query_point(self, state: State, x: Array) -> Array:
        """Where the clients shall look next, given the iterate x (d,): at x itself, or ahead of it."""
        return x

    def trial_steps(self, first: int) -> Array:
        """0, then the trial steps from the exponent `first` on, of a step that searches."""
        return np.zeros(1)

    @abstractmethod
    def update(
        self, state: State, g: GradientEstimate, hessian: StepMatrix, constants: ProblemConstants, probe: Probe
    ) -> tuple[Array, State]:
        """The next iterate, shape (d,), and what the step remembers after it.

        Parameters
        ----------
        state : State
            What it remembers.
        g : GradientEstimate
            (w, ∇f(w)).
        hessian : HessianEstimate, Preconditioner or None
            H and l, or P⁻¹.
        constants : ProblemConstants
            The ridge and theory's constants.
        probe : Probe
            Values at trial points, an exchange a call.

        Raises
        ------
        NoStep
            If no step can be taken.
        """


class NewtonStep(Step[None]):
    """A step that remembers nothing and solves with a matrix P made of H."""

    def needs_matrix(self, ridge: Array) -> bool:
        """Whether it asks for H as a (d, d) matrix where H is kept as a sum, with D = diag(`ridge`)."""
        return True

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> None:
        return None

    def update(
        self, state: None, g: GradientEstimate, hessian: StepMatrix, constants: ProblemConstants, probe: Probe
    ) -> tuple[Array, None]:
        assert isinstance(hessian, HessianEstimate)  # Curvature.sends_hessians was asked
        return self.next(g, hessian, constants, probe), None

    @abstractmethod
    def next(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        """The next iterate, shape (d,); the arguments are those of :meth:`update`."""

    def fallback_direction(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        """A point down the slope where :meth:`next` found its matrix singular: for a line search, which checks it."""
        raise SingularStep("the matrix of the step is not positive definite")
