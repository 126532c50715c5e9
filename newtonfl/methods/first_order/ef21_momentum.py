"""EF21 with momentum: heavy ball at the server, and averaged minibatches at the clients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.oracle import Momentum
from newtonfl.components.participation import All
from newtonfl.components.step.fixed import HeavyBall
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import TopK
from newtonfl.mechanisms import EF21
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
    formulas: ClassVar[dict[str, str]] = {"theory": "(1 - η)/(L + √(2(Lη/(1-η))² + 2 mean(L_i²)·B/A))"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        a, b = at.gradient.constants(at.constants, at.share)
        square, keep = float((at.client_smoothness**2).mean()), 1.0 - self.eta
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
    :class:`newtonfl.methods.first_order.ef21_momentum.HeavyBallRule`.

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

    formulas: ClassVar[dict[str, str]] = {"theory": "min{δ/(20·√mean(L_i²)), η/(7L)}"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EF21)
        assert isinstance(at.gradient.oracle, Momentum)
        delta, eta = contraction(at.gradient.mechanism.compressor, at.constants.dim), at.gradient.oracle.eta
        spread = math.sqrt(float((at.client_smoothness**2).mean()))
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
