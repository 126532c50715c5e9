"""EF21 and its family, and the error feedback that it replaced."""

from __future__ import annotations

import math
from dataclasses import dataclass

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.ef21_plus import ChosenGradient
from newtonfl.components.gradient.oracle import Momentum
from newtonfl.components.participation import All, Uniform
from newtonfl.components.step.fixed import HeavyBall
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule, ThreePoint
from newtonfl.compressors import TopK
from newtonfl.mechanisms import EF21, EFBV
from newtonfl.mechanisms.constants import contraction
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    Batch,
    CompressorForm,
    GradientInit,
    ParticipationForm,
    Ridge,
    VectorForm,
)
from newtonfl.methods.typed import method
from newtonfl.methods.wire import rounded


@method("ef21", FIRST_ORDER)
def ef21(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    participation: ParticipationForm = All(),
    down: VectorForm = "exact",
) -> Descent:
    """EF21 (Richtárik, Sokolov, Fatkhullin, arXiv 2106.05203): x⁺ = x - γ·mean g_i.

    g_i ← g_i + C(∇f_i(x⁺) - g_i). mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(θT) for γ ≤ 1/(L + L̃√(β/θ)), L̃² = mean
    L_i², θ = 1 - √(1-δ), β = (1-δ)/θ; under the PŁ condition (1 - γμ)ᵀ for ``stepsize=theory-pl``.

    Examples
    --------
    >>> import newtonfl as nf
    >>> r = nf.solve(nf.load("breast_cancer", clients=4), nf.ef21(compressor=nf.TopK(3)), rounds=20)
    >>> r.history[-1].f < 0.6 * r.history[0].f
    True
    """
    common = FirstOrder.of("ef21", locals())
    return common.descent(common.tracked(EF21(common.compressor)))


@method("ef21-plus", FIRST_ORDER)
def ef21_plus(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
) -> Descent:
    """EF21+ (arXiv 2106.05203): the better of EF21's g_i + C(∇f_i - g_i) and C(∇f_i), client by client.

    C deterministic; the theory is EF21's. The server keeps every g_i (n·d numbers).
    """
    common = FirstOrder.of("ef21-plus", locals())
    gradient = ChosenGradient(rounded(common.compressor, wire), common.oracle, init, common.whole)
    return common.descent(gradient)


@method("ef21-w", FIRST_ORDER)
def ef21_w(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
) -> Descent:
    """EF21-W (Richtárik, Gasanov, Burlachenko, arXiv 2402.10774): x⁺ = x - γ Σ w_i g_i with w_i = L_i/ΣL_j.

    g_i ← g_i + C(∇f_i(x⁺)/(n w_i) - g_i). The step γ ≤ 1/(L + mean(L_i)·√(β/θ)) has the mean of the L_i where EF21's
    has their quadratic mean. With Top-K, which commutes with scaling, the iterates are EF21's at the same step.
    """
    common = FirstOrder.of("ef21-w", locals())
    gradient = common.tracked(EF21(common.compressor), weigh="smoothness")
    return common.descent(gradient, rule=ThreePoint(mean=True))


@method("ef21-pp", FIRST_ORDER)
def ef21_pp(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    participation: ParticipationForm = Uniform(0.5),
    down: VectorForm = "exact",
) -> Descent:
    """EF21 with partial participation (Fatkhullin et al., arXiv 2110.03294): who is away keeps its g_i.

    With probability p of taking part, A_p = pA - ρ(1-p) and B_p = pB + (1 + 1/ρ)(1-p) stand for EF21's (A, B), with the
    ρ that makes B_p/A_p least.
    """
    common = FirstOrder.of("ef21-pp", locals())
    return common.descent(common.tracked(EF21(common.compressor)))


@method("ef21-bc", FIRST_ORDER)
def ef21_bc(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    participation: ParticipationForm = All(),
    down: VectorForm = TopK("0.1d"),
) -> Descent:
    """EF21 with bidirectional compression (Fatkhullin et al., arXiv 2110.03294).

    g ← g + C_M(mean g_i - g) goes down, and everybody steps x⁺ = x - γg. The step is that of AdaCGD's bidirectional
    theorem (arXiv 2211.00188), of which this is the case with one level.
    """
    common = FirstOrder.of("ef21-bc", locals())
    return common.descent(common.tracked(EF21(common.compressor)))


@dataclass(frozen=True)
class HeavyBallRule(StepSizeRule):
    """γ = (1-η)/(L + √(2M)) with M = (Lη/(1-η))² + L₊²B/A.

    Derived here as EF21's: with z^t = x^t + η/(1-η)(x^t - x^{t-1}), f(z) falls by (γ/(1-η))/2·‖∇f(z)‖² a round up to
    the error of g, and mean ‖∇f(z^t)‖² ≤ 2(1-η)(f(x⁰) - f*)/(γT) + 2G⁰/(AT).

    Parameters
    ----------
    eta : float
        η.
    """

    eta: float
    formula = "(1 - η)/(L + √(2(Lη/(1-η))² + 2 mean(L_i²)·B/A))"

    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        a, b = at.gradient.constants(at.constants, at.share)
        square, keep = float((at.each**2).mean()), 1.0 - self.eta
        m = (at.smoothness * self.eta / keep) ** 2 + square * b / a
        constants = {"L": at.smoothness, "L_plus": math.sqrt(square), "A": a, "B": b, "eta": self.eta}
        return keep / (at.smoothness + math.sqrt(2.0 * m)), constants


@method("ef21-hb", FIRST_ORDER)
def ef21_hb(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    participation: ParticipationForm = All(),
    eta: float = 0.5,
) -> Descent:
    """EF21 with Polyak's heavy ball (Fatkhullin et al., arXiv 2110.03294).

    v ← ηv + mean g_i and x⁺ = x - γv. The theoretical step is derived in
    :class:`newtonfl.methods.first_order.ef21.HeavyBallRule`.

    Parameters
    ----------
    eta : float
        η in [0, 1).
    """
    common = FirstOrder.of("ef21-hb", locals())
    step = HeavyBall(stepsize, HeavyBallRule(eta), eta)
    return common.descent(common.tracked(EF21(common.compressor)), step=step)


@method("ef21-sgd", FIRST_ORDER)
def ef21_sgd(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = 16,
    participation: ParticipationForm = All(),
    down: VectorForm = "exact",
) -> Descent:
    """EF21 with minibatch gradients (Fatkhullin et al., arXiv 2110.03294).

    The step is EF21's; the gradient norm stops falling where the minibatches' noise is: batches of the order of
    σ²/(δ²ε²) are needed for an accuracy ε.
    """
    common = FirstOrder.of("ef21-sgd", locals())
    return common.descent(common.tracked(EF21(common.compressor)))


@dataclass(frozen=True)
class MomentumRule(StepSizeRule):
    """γ = min{δ/(20 L̃), η/(7L)} (EF21-SGDM, arXiv 2305.15155)."""

    formula = "min{δ/(20·√mean(L_i²)), η/(7L)}"

    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EF21)
        assert isinstance(at.gradient.oracle, Momentum)
        delta, eta = contraction(at.gradient.mechanism.compressor, at.constants.dim), at.gradient.oracle.eta
        spread = math.sqrt(float((at.each**2).mean()))
        gamma = min(delta / (20.0 * spread), eta / (7.0 * at.smoothness))
        return gamma, {"L": at.smoothness, "L_plus": spread, "delta": delta, "eta": eta}


@method("ef21-sgdm", FIRST_ORDER)
def ef21_sgdm(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = 16,
    eta: float = 0.1,
) -> Descent:
    """EF21 with momentum (Fatkhullin, Tyurin, Richtárik, arXiv 2305.15155): g_i tracks v_i ← (1-η)v_i + η·minibatch.

    Batches of one row suffice for convergence to any accuracy, with γ and η small enough.

    Parameters
    ----------
    eta : float
        η in (0, 1].
    """
    common = FirstOrder.of("ef21-sgdm", locals())
    gradient = common.tracked(EF21(common.compressor), oracle=Momentum(eta, common.oracle))
    return common.descent(gradient, rule=MomentumRule())


@dataclass(frozen=True)
class ErrorFeedbackRule(StepSizeRule):
    """γ = δ/(4L).

    Derived here: for γ ≤ 1/(2L), mean ‖∇f(x^t)‖² ≤ 4(f(x⁰) - f*)/(γT) + 8(1-δ)(γL/δ)² max_t mean_i‖∇f_i(x^t)‖²: the
    clients' own gradients, which do not vanish, leave a floor.
    """

    needs_each = False
    formula = "δ/(4L)"

    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EFBV)
        delta = contraction(at.gradient.mechanism.compressor, at.constants.dim)
        return delta / (4.0 * at.smoothness), {"L": at.smoothness, "delta": delta}


@method("error-feedback", FIRST_ORDER)
def error_feedback(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    batch: Batch = "full",
) -> Descent:
    """Classical error feedback (Seide et al., 2014; Stich et al., arXiv 1809.07599): Δ_i = C(e_i + ∇f_i) is sent.

    e_i ← e_i + ∇f_i - Δ_i and x⁺ = x - γ·mean Δ_i. With clients of different data it stops at a distance that shrinks
    with γ: what EF21 mends.
    """
    common = FirstOrder.of("error-feedback", locals())
    gradient = common.tracked(EFBV(common.compressor, 0.0, 1.0), errors=True)
    return common.descent(gradient, rule=ErrorFeedbackRule())
