"""Which of the round's sockets go together: everything else is refused in words before a round begins."""

from __future__ import annotations

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import Curvature, NoCurvature
from newtonfl.components.curvature.learned import LearnedHessian
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.model.base import ExactModel, Model, TrackedModel
from newtonfl.components.model.replayed import ReplayedModel
from newtonfl.components.participation import Participation
from newtonfl.components.step.base import Shift, Step
from newtonfl.components.step.fixed import Fixed
from newtonfl.compressors import Identity, Rounded
from newtonfl.mechanisms import EF21
from newtonfl.objectives.base import Problem


def check_problem(name: str, step: Step, curvature: Curvature, problem: Problem) -> None:
    """Refuse a `problem` that the sockets cannot serve; ValueError."""
    if step.needs_convexity or curvature.needs_convexity:
        problem.check_convex(name)
    learned = curvature if isinstance(curvature, LearnedHessian) else None
    from_zero = learned is not None and learned.init in ("zero", "zero-total")
    if from_zero and step.error_norm is None and problem.ridge.min() <= 0:
        raise ValueError(
            f"{name}: init=zero leaves the first step's matrix singular where x is not penalised (an "
            "intercept, or l2 = 0): use init=hessian or step=shift"
        )


def check_sockets(
    name: str, step: Step, curvature: Curvature, gradient: Gradient, participation: Participation
) -> None:
    """Refuse sockets whose mathematics do not go together; ValueError."""
    away = f"participation={participation}"
    learned = curvature if isinstance(curvature, LearnedHessian) else None
    if step.needs_hessian and isinstance(curvature, NoCurvature):
        raise ValueError(f"{name}: this step needs a Hessian, and curvature is none")
    if participation.partial and not (gradient.partial and (learned is None or gradient.invariant)):
        raise ValueError(
            f"{name}: {away} needs gradients that stay true while a client is away: with a learned Hessian the "
            "invariant, of first order a mechanism that does not compare with the last round, such as ef21"
        )
    if step.searches and "anchor" in gradient.bernoulli_probabilities:
        raise ValueError(
            f"{name}: a line search needs gradient_p=1, given {gradient.p:g}: its trial points begin where the last "
            "gradient was told, which the clients do not keep"
        )
    if type(getattr(step, "inner", step)) is Shift and learned is None:
        raise ValueError(f"{name}: step=shift needs l_i = ‖H_i - ∇²f_i‖, which only a learned Hessian tells")
    if not gradient.invariant:
        return
    needing = away if participation.partial else "gradient=invariant"
    if type(step) is not Shift:
        raise ValueError(
            f"{name}: FedNL without l cannot take part partially: {needing} needs step=shift, given "
            f"{step.settings().get('step', 'fixed')}{' with a line search' if step.searches else ''}"
        )
    if learned is None or learned.mechanism.step_uses == "before":
        raise ValueError(f"{name}: {needing} needs a learned Hessian with step_uses=after")


def check_model(
    name: str, step: Step, curvature: Curvature, gradient: Gradient, participation: Participation, model: Model,
    wire: Precision,
) -> None:  # fmt: skip
    """Refuse models that the other sockets cannot follow; ValueError."""
    if model.replays and not (type(step) is Fixed and isinstance(curvature, NoCurvature)):
        raise ValueError(f"{name}: clients that step themselves take x - γg alone: a fixed step, no curvature")
    if not participation.partial or gradient.invariant or isinstance(model, ExactModel):
        return
    rounds = isinstance(model, TrackedModel) and model.mechanism == EF21(Rounded(Identity(), wire))
    forgets = isinstance(model, ReplayedModel) and not model.mechanism.memory_rates(np.ones(1, np.int64)).any()
    if not rounds and not forgets:
        raise ValueError(
            f"{name}: participation={participation} with {model.text} downwards: who was away would hold another "
            "estimate than the server. Use a direction compressed without memory (artemis), or tell the model whole"
        )
