"""The step socket: from what is known to the next iterate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from newtonfl.components.curvature.base import ErrorNorm, HessianEstimate, Preconditioner
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.core.backend import Array, eye, namespace, to_device, to_host, zeros
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.objectives.base import Problem

Probe: TypeAlias = Callable[[Array, int], Array]
"""(direction, s) → f at the clients' point plus each of ``Step.trial_steps(s)`` times the direction: one exchange."""


class NoStep(ArithmeticError):
    """No step can be taken: no trial along the direction makes the objective smaller."""


class SingularStep(NoStep):
    """No step can be taken: its matrix is not positive definite."""


class Step(ABC):
    """Takes the next iterate. Subclasses are frozen dataclasses.

    Attributes
    ----------
    needs_hessian : bool
        Whether the step asks for curvature.
    needs_convexity : bool
        Whether f must be convex.
    needs_lipschitz : bool
        Whether it asks the clients for L_*i, the Lipschitz constants of their Hessians, when they join.
    searches : bool
        Whether it asks for values at trial points.
    """

    needs_hessian: ClassVar[bool] = True
    needs_convexity: ClassVar[bool] = False
    needs_lipschitz: bool = False
    searches: ClassVar[bool] = False

    @property
    def error_norm(self) -> ErrorNorm | None:
        """In which norm the clients shall tell l_i, the error of their estimate; None where it is not used."""
        return None

    @property
    def fresh_error(self) -> bool:
        """Whether l_i must be of this round even where no Hessian is told."""
        return self.error_norm is not None

    def check(self, problem: Problem) -> None:  # noqa: B027 - most steps serve all problems
        """Refuse a problem that the step cannot serve, with a ValueError that says why."""

    @abstractmethod
    def settings(self) -> dict[str, str | float]: ...

    def init(self, facts: ProblemConstants, sockets: StepContext, x0: Array) -> Any:
        """What the step remembers, at the start."""
        return None

    def query_point(self, state: Any, x: Array) -> Array:
        """Where the clients shall look next, given the iterate x: at x itself, or ahead of it."""
        return x

    def trial_steps(self, first: int) -> Array:
        """0, then the trial steps from the exponent `first` on, of a step that searches."""
        return np.zeros(1)

    @abstractmethod
    def update(
        self,
        state: Any,
        anchor: GradientEstimate,
        operator: HessianEstimate | Preconditioner | None,
        facts: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, Any]:
        """The next iterate, shape (d,), and what the step remembers after it.

        Raises
        ------
        NoStep
            If no step can be taken.
        """


class Stateless(Step):
    """A step that remembers nothing."""

    def update(
        self,
        state: Any,
        anchor: GradientEstimate,
        operator: HessianEstimate | Preconditioner | None,
        facts: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, Any]:
        assert isinstance(operator, HessianEstimate)
        return self.next(anchor, operator, facts, probe), state

    @abstractmethod
    def next(self, anchor: GradientEstimate, operator: HessianEstimate, facts: ProblemConstants, probe: Probe) -> Array:
        """The next iterate, shape (d,)."""

    def fallback_direction(self, anchor: GradientEstimate, operator: HessianEstimate, facts: ProblemConstants) -> Array:
        """A point down the slope where :meth:`next` found its matrix singular: for a line search, which checks it."""
        raise SingularStep("the matrix of the step is not positive definite")


@dataclass(frozen=True)
class Plain(Stateless):
    """x⁺ = w - (H + D)⁻¹∇f(w), D the server's ridge."""

    name: ClassVar[str] = "plain"

    def settings(self) -> dict[str, str | float]:
        return {"step": self.name}

    def next(self, anchor: GradientEstimate, operator: HessianEstimate, facts: ProblemConstants, probe: Probe) -> Array:
        factor = cholesky(self.matrix(operator, facts))
        if factor is None:
            raise SingularStep("the matrix of the step is not positive definite")
        return anchor.point - cholesky_solve(factor, anchor.gradient)

    def fallback_direction(self, anchor: GradientEstimate, operator: HessianEstimate, facts: ProblemConstants) -> Array:
        # A hair on the diagonal makes the step run far along the directions without curvature, and the search says how
        # far. Where losses are flat or straight (Huber's far from the data) no other step leaves the place.
        matrix = self.matrix(operator, facts)
        largest = float(np.max(np.abs(to_host(matrix)), initial=0.0))
        for digits in (10, 6, 2):
            factor = cholesky(matrix + diagonal(10.0**-digits * (largest or 1.0), facts))
            if factor is not None:
                return anchor.point - cholesky_solve(factor, anchor.gradient)
        return super().fallback_direction(anchor, operator, facts)

    def matrix(self, operator: HessianEstimate, facts: ProblemConstants) -> Array:
        """P, shape (d, d)."""
        return operator.hessian + diagonal(0.0 if facts.ridge_inside else facts.ridge, facts)


@dataclass(frozen=True)
class Shift(Plain):
    """x⁺ = w - (H + l·I + D)⁻¹∇f(w), l = (1/n) Σ‖H_i - ∇²f_i‖ (Option 2 of FedNL and Newton-3PC).

    H + l·I ⪰ (1/n) Σ ∇²f_i in either norm, so the step never overshoots for want of curvature.

    Parameters
    ----------
    norm : {"frobenius", "spectral"}
        The papers' statements use the Frobenius norm, their programs the spectral one: fewer rounds, an eigenvalue
        problem a client and round.
    l : {"fresh", "last"}
        Whether a round in which no Hessian is told needs l_i all the same, and so a Hessian, or uses the last l_i.
    """

    norm: ErrorNorm = "frobenius"
    l: Literal["fresh", "last"] = "fresh"  # noqa: E741 - the papers' letter
    name = "shift"

    def __post_init__(self) -> None:
        if self.norm not in ("frobenius", "spectral") or self.l not in ("fresh", "last"):
            raise ValueError(
                f"shift_norm, l: given {self.norm!r}, {self.l!r}; allowed are frobenius, spectral and fresh, last"
            )

    @property
    def error_norm(self) -> ErrorNorm | None:
        return self.norm

    @property
    def fresh_error(self) -> bool:
        return self.l == "fresh"

    def settings(self) -> dict[str, str | float]:
        return {"step": self.name, "shift_norm": self.norm, "l": self.l}

    def matrix(self, operator: HessianEstimate, facts: ProblemConstants) -> Array:
        return super().matrix(operator, facts) + diagonal(operator.error, facts)


@dataclass(frozen=True)
class Project(Plain):
    """x⁺ = w - ([H]₀ + D)⁻¹∇f(w), D the ridge and [H]₀ the data part's projection onto the positive semidefinite cone.

    That is [H + λI]_λ of Option 1 of FedNL and Newton-3PC, and right where an intercept is not penalised too.
    It can diverge far from the solution with sparse compressors: then use shift.
    """

    name = "project"

    def check(self, problem: Problem) -> None:
        if problem.strong_convexity <= 0 and problem.ridge.max() <= 0:
            raise ValueError(
                f"step=project needs λ > 0, given l2 = {problem.ridge.max():g}: its matrix [H]_λ is singular without. "
                "Give --l2, or use step=shift"
            )

    def matrix(self, operator: HessianEstimate, facts: ProblemConstants) -> Array:
        xp = namespace(operator.hessian)
        ridge = diagonal(facts.ridge, facts)
        data = operator.hessian - ridge if facts.ridge_inside else operator.hessian
        # [H]₀ = H where H is positive semidefinite. Data Hessians are often singular, hence the hair's breadth.
        hair = 1e-14 * xp.linalg.matrix_norm(data)
        if cholesky(data + hair * diagonal(1.0, facts)) is None:
            values, vectors = xp.linalg.eigh(data)
            data = (vectors * xp.clip(values, 0.0, None)) @ vectors.T
        return data + ridge


def diagonal(entries: Array | float, facts: ProblemConstants) -> Array:
    """The matrix with `entries` on its diagonal, shape (d, d)."""
    like = facts.like
    each = to_device(np.broadcast_to(np.asarray(entries, np.float64), (facts.dim,)), like)
    return namespace(like).where(eye(facts.dim, like), each, zeros((), like))
