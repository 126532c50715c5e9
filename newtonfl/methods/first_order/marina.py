"""MARINA and PP-MARINA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.shared_gradient import SharedGradient
from newtonfl.components.participation import All, Uniform
from newtonfl.components.step.stepsizes import StepContext, ThreePoint
from newtonfl.compressors import RandK
from newtonfl.core.backend import Array
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    CompressorForm,
    ParticipationForm,
    Ridge,
)
from newtonfl.methods.typed import method
from newtonfl.methods.wire import rounded


@dataclass(frozen=True)
class MarinaRule(ThreePoint):
    """3PC's step with what draws that belong together spare: γ = 1/(L₋ + √((1-p)/p·((A-B)L₊² + B·L_±²))).

    (A, B) are the compressor's :meth:`~newtonfl.compressors.Compressor.mean_constants`, (ω/n, 0) of independent draws,
    and mean ‖∇f_i(x) - ∇f_i(y)‖² - ‖∇f(x) - ∇f(y)‖² ≤ L_±²‖x - y‖² (Szlendak, Tyurin, Richtárik, arXiv 2110.03300;
    the formula is from memory, and follows as 3PC's does). Twice the root's argument, and at most p/(2μ), serve the
    linear rate. For L_± stands :func:`hessian_variance`, which needs the L_i alone.
    """

    formulas: ClassVar[dict[str, str]] = {
        key: formula.replace("√mean(L_i²)·√(", "√((1 - B_Q/A_Q)·mean(L_i²) + (B_Q/A_Q)·L_pm²)·√(")
        for key, formula in ThreePoint.formulas.items()
    }

    def named(self, at: StepContext, theory: str) -> str:
        assert isinstance(at.gradient, SharedGradient)
        return (self if at.gradient.compressor.correlated else ThreePoint()).formulas[theory]

    def spread(self, at: StepContext, mean: bool) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, SharedGradient)
        plus, said = super().spread(at, mean)
        if not at.gradient.compressor.correlated:
            return plus, said
        a, b = at.gradient.compressor.mean_constants(at.constants.dim, at.constants.n_clients)
        alike = b / a if a else 1.0
        apart = hessian_variance(at.constants.client_smoothness(), at.constants.convex)
        spread = math.sqrt((1.0 - alike) * plus**2 + alike * apart**2)
        return spread, {**said, "L_pm": apart, "A_Q": a, "B_Q": b}


def hessian_variance(smoothness: Array, convex: bool) -> float:
    """A bound on L_± by the L_i less the ridge, which all clients have in common: min_c √mean max{c, L_i - c}².

    Derived here: for every c, mean ‖(H_i - H̄)v‖² ≤ mean ‖(H_i - cI)v‖², and 0 ⪯ H_i ⪯ L_i I where f_i is convex. It
    lies between L₊/2 and L₊: half where all L_i are alike. Where f_i need not be convex c is 0, and it is L₊.
    """
    falling = np.sort(smoothness)[::-1]
    # Convex in c, with a kink at each L_i/2; between them it is least where c is the sum of the L_i above 2c, over n.
    candidates = np.concatenate([falling / 2, np.cumsum(falling) / len(falling)]) if convex else np.zeros(1)
    norms = np.maximum(candidates[:, None], falling[None, :] - candidates[:, None])
    return float(np.sqrt(np.min(np.mean(norms**2, axis=1))))


def _shared(common: FirstOrder, p: float) -> SharedGradient:
    """One mean for all, sent whole on heads."""
    participation = common.participation
    if not isinstance(participation, All | Uniform):
        raise ValueError(
            f"participation: given {participation!r}, and pp-marina draws a fixed number of clients: use uniform:8"
        )
    if common.compressor.correlated and not isinstance(participation, All):
        raise ValueError(f"compressor: given {common.compressor}, whose clients draw together: use marina, with all")
    return SharedGradient(rounded(common.compressor, common.wire), p, common.whole)


@method("marina", FIRST_ORDER)
def marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
) -> Descent:
    """MARINA (Gorbunov, Burlachenko, Li, Richtárik, arXiv 2102.07845): Q unbiased.

    With probability p, one coin for all, g = ∇f(x⁺); else g ← g + mean Q(∇f_i(x⁺) - ∇f_i(x)). The mean obeys the
    three-point inequality with (A, B) = (p, (1-p)ω/n), hence E‖∇f‖² ≤ 2(f(x⁰) - f*)/(γT) for γ ≤ 1/(L₋ + L₊√(B/A)).
    On a float32 wire the gradient norm stops near 1e-9: whole gradients are sent, not differences.

    Parameters
    ----------
    p : float
        p in (0, 1], how likely whole gradients are sent.
    """
    common = FirstOrder.of("marina", locals())
    return common.descent(_shared(common, p), rule=MarinaRule())


@method("pp-marina", FIRST_ORDER)
def pp_marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
    participation: ParticipationForm = Uniform(0.5),
) -> Descent:
    """PP-MARINA (Gorbunov et al., arXiv 2102.07845): on tails τ clients send, and the mean is over them.

    All clients receive x in every round. The τ are drawn without replacement, whose variance v = (ω + (n-τ)/(n-1))/τ is
    at most the paper's (1+ω)/τ; (A, B) = (p, (1-p)v).

    Parameters
    ----------
    p : float
        p in (0, 1], how likely all clients send whole gradients.
    """
    common = FirstOrder.of("pp-marina", locals())
    return common.descent(_shared(common, p))
