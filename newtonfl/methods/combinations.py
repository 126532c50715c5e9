"""Which of the round's components go together: what they need of each other is asked of them, and refused in words.

A component states what it needs and what it offers (``needs_error`` and ``measures_error``, say); but for
:func:`delayed_model` no concrete class is known here, so that a component of one's own takes part as the library's do.
"""

from __future__ import annotations

from typing import Any

from newtonfl.components.curvature.base import Curvature
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.model.base import Model
from newtonfl.components.model.delayed import DelayedModel
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import Participation
from newtonfl.components.step.base import NewtonStep, Step
from newtonfl.core.symmetric import TooLarge
from newtonfl.objectives.base import Problem

COINS = ("curvature", "anchor", "gradient")
"""What the library's components let the server draw coins for; coin j is bit j of the announcement's."""

COIN_BITS = 16
"""The bits of a packet's flags."""


def check_problem(name: str, step: Step[Any], curvature: Curvature[Any, Any], problem: Problem) -> None:
    """Refuse a `problem` that the components cannot serve; ValueError, or TooLarge where a Hessian does not fit."""
    if step.needs_convexity or curvature.needs_convexity:
        problem.check_convex(name)
    if curvature.sends_hessians:
        _check_matrix(name, step, curvature, problem)
    if curvature.starts_at_zero and step.error_norm is None and problem.ridge.min() <= 0:
        raise ValueError(
            f"{name}: init=zero leaves the first step's matrix singular where nothing else penalises x (an "
            "intercept, l2 = 0, or a ridge within the f_i as FLIX has it): use init=hessian or step=shift"
        )


def _check_matrix(name: str, step: Step[Any], curvature: Curvature[Any, Any], problem: Problem) -> None:
    """Refuse a (d, d) matrix that does not fit, where the step needs one."""
    apart = curvature.keeps_apart(problem.dim)
    if apart and isinstance(step, NewtonStep) and not step.needs_matrix(problem.ridge):
        return
    try:
        problem.check_hessians(name)
    except TooLarge as error:
        if not apart:
            raise
        raise TooLarge(f"{error}; or step=shift or step=plain, which need no such matrix in basis=data") from None


def check_components(
    name: str, step: Step[Any], curvature: Curvature[Any, Any], gradient: Gradient[Any, Any],
    participation: Participation, n_clients: int,
) -> None:  # fmt: skip
    """Refuse components whose mathematics do not go together, for `n_clients`; ValueError."""
    away = participation.setting
    if shared := gradient.bernoulli_probabilities.keys() & curvature.bernoulli_probabilities.keys():
        raise ValueError(f"{name}: gradient and curvature both ask for a coin named {min(shared)}: name one otherwise")
    if len(coins := (gradient.bernoulli_probabilities | curvature.bernoulli_probabilities).keys() - set(COINS)) > (
        most := COIN_BITS - len(COINS)
    ):
        raise ValueError(f"{name}: given {len(coins)} coins of one's own, a packet has room for {most}")
    if step.needs_hessian and not curvature.sends_hessians:
        raise ValueError(f"{name}: this step needs a Hessian, and curvature is none")
    if participation.partial and not (gradient.partial and (gradient.invariant or not curvature.sends_hessians)):
        raise ValueError(
            f"{name}: {away} needs gradients that stay true while a client is away: with a learned Hessian the "
            "invariant, of first order a mechanism that does not compare with the last round, such as ef21"
        )
    least = gradient.least_replies
    if least and (expected := participation.share(n_clients) * n_clients) < least - 1e-9:
        raise ValueError(
            f"{name}: {away} has {expected:g} of {n_clients} clients reply in a round, must be at least {least}: the "
            "aggregator needs them"
        )
    if gradient.reaches_all:
        participation.check_prompt(name)
    if gradient.reaches_all and not participation.reachable:
        raise ValueError(
            f"{name}: {away} cannot be: every client must hear every round, for it keeps its last gradient"
        )
    if step.searches and "anchor" in gradient.bernoulli_probabilities:
        raise ValueError(
            f"{name}: a line search needs gradient_p=1, given {gradient.p:g}: its trial points begin where the last "
            "gradient was sent, which the clients do not keep"
        )
    if step.needs_error and not curvature.measures_error:
        raise ValueError(f"{name}: step=shift needs l_i = ‖H_i - ∇²f_i‖, which only a learned Hessian sends")
    if not gradient.invariant:
        return
    needing = away if participation.partial else "gradient=invariant"
    if not step.serves_invariants:
        raise ValueError(
            f"{name}: FedNL without l cannot take part partially: {needing} needs step=shift, given "
            f"{step.parameters().get('step', 'fixed')}{' with a line search' if step.searches else ''}"
        )
    if not curvature.keeps_matrices:
        raise ValueError(f"{name}: {needing} needs a learned Hessian with step_uses=after")


def check_model(
    name: str, step: Step[Any], curvature: Curvature[Any, Any], gradient: Gradient[Any, Any],
    participation: Participation, model: Model[Any, Any],
) -> None:  # fmt: skip
    """Refuse models that the other components cannot follow; ValueError."""
    if model.replays and (curvature.preconditions or not step.replayable):
        raise ValueError(f"{name}: clients that step themselves take x - γg alone: a fixed step, no curvature")
    if participation.partial and not gradient.invariant and not model.survives_absence:
        raise ValueError(
            f"{name}: {participation.setting}, and {model.to_spec()} downwards: who was away would hold another "
            "estimate than the server. Use a direction compressed without memory (artemis), or send the model whole"
        )


def delayed_model(name: str, model: Model[Any, Any], participation: Any) -> Model[Any, Any]:
    """The `model` where answers are about the iterates of earlier rounds; ValueError if it does not send iterates."""
    if not isinstance(model, ExactModel):
        raise ValueError(f"{name}: {participation.setting} needs the iterate itself downwards, given {model.to_spec()}")
    return model if isinstance(model, DelayedModel) else DelayedModel(participation)
