"""Settings of a second-order method, and the round that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from newtonfl.bases import Basis
from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import Curvature, ErrorNorm
from newtonfl.components.curvature.learned import LearnedHessian
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.gradient.invariant import InvariantGradient
from newtonfl.components.model.base import Model
from newtonfl.components.participation import All, Participation
from newtonfl.components.step.backtracking import MOST_TRIALS, Backtracking
from newtonfl.components.step.base import Step
from newtonfl.components.step.cubic import Cubic
from newtonfl.components.step.line_search import LineSearch
from newtonfl.components.step.newton import Plain, Project, Shift
from newtonfl.compressors import Compressor, Identity, TopK
from newtonfl.mechanisms import EF21, Alpha, Mechanism, StepUses
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import Freshness, HessianInit, Ridge, StepName, TheoryOr
from newtonfl.methods.typed import defaults_of
from newtonfl.methods.wire import model_on_wire, on_wire, vector_mechanism


@dataclass(frozen=True)
class SecondOrder:
    """Every setting of the second-order method `name`; what it neither offers nor fixes has the default here.

    ``SecondOrder("fednl-cr", **locals(), step="cubic").descent()`` is all that such a method does: ``locals()`` are the
    settings that it offers, with every text form already read, and the rest makes it what it is.
    :data:`newtonfl.methods.settings.SECOND_ORDER` explains them. What is not allowed raises ValueError or TypeError
    when the round is made.
    """

    name: str
    compressor: Compressor = TopK("1d")
    mechanism: Mechanism | Callable[[Compressor], Mechanism] | None = None
    alpha: Alpha = "auto"
    step_uses: StepUses = "after"
    basis: Basis | Literal["auto"] = "auto"
    init: HessianInit = "hessian"
    step: StepName = "shift"
    shift_norm: ErrorNorm = "frobenius"
    l: Freshness = "fresh"
    lipschitz: TheoryOr = "theory"
    line_search: int = 0
    armijo: float = 0.5
    backtrack: float = 0.5
    gradient: Compressor | Mechanism | str = "exact"
    gradient_p: float = 1.0
    model: Compressor | Mechanism | str = "exact"
    model_rate: Alpha = "auto"
    participation: Participation = All()
    ridge: Ridge = "server"
    wire: Precision = "float64"

    def descent(self, curvature: Curvature[Any, Any] | None = None) -> Descent:
        """The round with these settings, or with another `curvature` than the learned Hessian that they make."""
        self.refuse_unused()
        curvature = self.to_curvature() if curvature is None else curvature
        return Descent(
            self.to_step(), curvature, self.to_gradient(), self.to_model(), self.participation,
            ridge=self.ridge, wire=self.wire, name=self.name,
        )  # fmt: skip

    def refuse_unused(self) -> None:
        """Refuse a setting that differs from its default and would not be used; ValueError."""
        idle = {
            "compressor": isinstance(self.mechanism, Mechanism)
            and "the mechanism holds its own compressor; give one or the other",
            "alpha": self.mechanism not in (None, EF21) and "alpha is EF21's rate, and the mechanism is another",
            "model_rate": not isinstance(self.model, Compressor) and "model_rate is the rate of a model's compressor",
            "armijo": not self.line_search and "armijo belongs to a line search; give line_search=20",
            "backtrack": not self.line_search and "backtrack belongs to a line search; give line_search=20",
            "lipschitz": self.step != "cubic" and "lipschitz belongs to step=cubic",
        }
        defaults = defaults_of(self.name)
        for key, why in idle.items():
            if why and key in defaults and getattr(self, key) not in (getattr(SecondOrder, key), defaults[key]):
                raise ValueError(f"{self.name}: {why}")

    def to_mechanism(self) -> Mechanism:
        """The mechanism that sends Hessians, at the wire's precision."""
        mechanism = self.mechanism
        if mechanism is None or mechanism is EF21:
            return on_wire(EF21(self.compressor, self.alpha, step_uses=self.step_uses), self.wire)
        if callable(mechanism):
            try:
                mechanism = mechanism(self.compressor)
            except TypeError as error:
                raise TypeError(
                    f"mechanism: {getattr(mechanism, '__name__', mechanism)} is not made of a compressor alone "
                    f"({error}): give a Mechanism such as CLAG(TopK(30), zeta=2)"
                ) from None
        if not isinstance(mechanism, Mechanism):
            raise TypeError(f"mechanism: given {mechanism!r}, must be a Mechanism such as CLAG(TopK(30), zeta=2)")
        offers = defaults_of(self.name)
        if mechanism.step_uses == "before" and "mechanism" in offers and "step_uses" not in offers:
            raise ValueError(f"mechanism: given {mechanism!r}, {self.name} needs one with step_uses=after")
        # Who makes a mechanism for the estimate before the message means it.
        before = mechanism.step_uses == "before"
        return on_wire(mechanism if before else replace(mechanism, step_uses=self.step_uses), self.wire)

    def to_curvature(self) -> LearnedHessian:
        """The Hessian that is learned in a basis."""
        basis = None if isinstance(self.basis, str) else self.basis
        return LearnedHessian(self.to_mechanism(), basis, self.init, self.wire)

    def to_step(self) -> Step[Any]:
        """The step, with its line search."""
        inner: Step[Any]
        if self.step == "cubic":
            inner = Cubic(self.shift_norm, self.l, self.lipschitz)
        elif self.step == "shift":
            inner = Shift(self.shift_norm, self.l)
        else:
            inner = Project() if self.step == "project" else Plain()
        trials = self.line_search
        if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or not 0 <= trials <= MOST_TRIALS:
            raise ValueError(
                f"line_search: given {trials!r}, must be a whole number of trial steps up to {MOST_TRIALS}, 0 for none"
            )
        return LineSearch(inner, Backtracking(self.armijo, self.backtrack, int(trials))) if trials else inner

    def to_gradient(self) -> Gradient[Any, Any]:
        """How gradients are sent: an invariant where clients may be away."""
        if not isinstance(self.participation, Participation):
            raise TypeError(f"participation: given {self.participation!r}, must be a Participation such as Uniform(8)")
        if self.participation.partial or self.gradient == "invariant":
            return self.to_invariant()
        return AnchoredGradient(vector_mechanism("gradient", self.gradient, "auto", self.wire), self.gradient_p)

    def to_invariant(self) -> InvariantGradient:
        """The invariant (H_i + l_i I)w_i - ∇f_i(w_i), which stays true while a client is away."""
        if self.gradient not in ("exact", "invariant"):
            raise ValueError("gradient: under partial participation invariants are sent, whole: use gradient=exact")
        if self.wire == "natural":
            raise ValueError("wire=natural: an invariant holds H_i w_i, which bears no powers of two: use float32")
        return InvariantGradient(on_wire(EF21(Identity()), self.wire), self.gradient_p)

    def to_model(self) -> Model[Any, Any]:
        """How the iterate is sent."""
        return model_on_wire(self.model, self.model_rate, self.wire)
