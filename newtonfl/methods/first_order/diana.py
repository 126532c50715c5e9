"""DIANA and its relatives: unbiased messages about differences, and a shift that is learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.lsvrg import LSVRG
from newtonfl.components.gradient.shared_gradient import variance
from newtonfl.components.model.base import Model
from newtonfl.components.model.replayed import ReplayedModel
from newtonfl.components.participation import Trace, Uniform
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, Dithering, Natural, RandK
from newtonfl.mechanisms import EFBV, Diana
from newtonfl.mechanisms.constants import bias_and_variance, draws_apart, omega
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    Batch,
    CompressorForm,
    ParticipationForm,
    Ridge,
    TheoryOr,
    VectorForm,
)
from newtonfl.methods.typed import method
from newtonfl.methods.wire import on_wire


def _upward(at: StepContext) -> EFBV:
    """The mechanism of the clients' messages."""
    assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EFBV)
    return at.gradient.mechanism


def within_theory(key: str, number: float, omega: float) -> None:
    """Refuse a rate of the shifts that no theorem has: shifts that stand still leave a floor where ω > 0."""
    if number == 0.0 and omega > 0.0:
        raise ValueError(f"{key}: given 0, and theory needs it above 0 where ω > 0 (here {omega:g})")
    if number > (1.0 + 1e-12) / (1.0 + omega):
        raise ValueError(f"{key}: given {number:g}, and theory needs at most 1/(1+ω) = {1.0 / (1.0 + omega):g}")


@dataclass(frozen=True)
class DianaRule(StepSizeRule):
    """γ = 1/((1 + ω_down)(1 + 6v) L_max), v = ω/n where all take part (Gorbunov, Hanzely, Richtárik, arXiv 1905.11261).

    For convex f_i and μ-strongly convex f, E‖x^k - x*‖² + Mγ²mean ‖h_i - ∇f_i(x*)‖² shrinks by max{1 - γμ, 1 - pα/2} a
    round, with p the chance of taking part, M = 4(1 + ω_down)v/(pα) and α ≤ 1/(1+ω). A direction that goes down
    through an unbiased compressor has (1 + ω_down) times the second moment, and a sample of τ clients the variance v =
    (ω + (n-τ)/(n-1))/τ of a mean (independent ones (ω + 1 - p)/(np)): both are derived here with that paper's lemma.
    """

    needs_convexity = True
    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "1/((1 + ω_down)(1 + 6v)·max(L_i))")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        n, dim = at.constants.n_clients, at.constants.dim
        up = omega(_upward(at).compressor, dim)
        down = omega(at.model.mechanism.compressors()[0], dim) if isinstance(at.model, ReplayedModel) else 0.0
        drawn = isinstance(at.participation, Uniform) or at.share == 1.0
        v = variance(up, n, at.share) if drawn else (up + 1.0 - at.share) / (n * at.share)
        most = at.most
        within_theory("alpha", float(_upward(at).memory_rates([dim])[0]), up)
        constants = {"L_max": most, "omega": up, "v": v, "omega_down": down}
        return 1.0 / ((1.0 + down) * (1.0 + 6.0 * v) * most), constants


@method("diana", FIRST_ORDER)
def diana(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    alpha: TheoryOr = "theory",
) -> Descent:
    """DIANA (Mishchenko, Gorbunov, Takáč, Richtárik, arXiv 1901.09269): g = mean h_i + mean Q(∇f_i - h_i), Q unbiased.

    h_i ← h_i + αQ(∇f_i - h_i), h_i⁰ = 0. Linear for strongly convex f: see
    :class:`newtonfl.methods.first_order.diana.DianaRule`.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    alpha : float or "theory"
        α in [0, 1]; "theory" is 1/(1+ω).
    """
    common = FirstOrder.of("diana", locals())
    gradient = common.tracked(Diana(common.compressor, alpha))
    return common.descent(gradient, rule=DianaRule())


@dataclass(frozen=True)
class VRDianaRule(StepSizeRule):
    """γ = 1/(L + 6ωL_max/n + 6cℒ(1 + 5ω)/n), c = max (m_i - b)/(b(m_i - 1)), ℒ = max √m_i ℒ_i ≥ L_ij of every row.

    Derived here, the paper's constants (arXiv 1904.05115) not being at hand. With D = f(x) - f*, S = mean_i (1/m_i)Σ_j
    ‖∇h_ij(w_i) - ∇h_ij(x*)‖² and T = mean ‖h_i - ∇f_i(x*)‖², convex functions of rows and α ≤ 1/(1+ω),

        E‖g‖² ≤ 2(L + 2ωL_max/n + 2c(1+ω)ℒ/n)D + (2c(1+ω)/n)S + (2ω/n)T,
        ES⁺ ≤ (1-p)S + 2pℒD,    ET⁺ ≤ (1-α)T + 2αcS + 2α(L_max + 2cℒ)D,

    and ‖x - x*‖² + γ²(4c(1+5ω)/(pn))S + γ²(4ω/(αn))T shrinks by max{1 - γμ, 1 - p/2, 1 - α/2} a round. With whole
    batches, c = 0, it is DIANA's.
    """

    needs_convexity = True
    needs_row_smoothness = True
    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "1/(L + 6ω·max(L_i)/n + 6cℒ(1 + 5ω)/n)")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        n, up = at.constants.n_clients, omega(_upward(at).compressor, at.constants.dim)
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.oracle, LSVRG)
        within_theory("alpha", float(_upward(at).memory_rates([at.constants.dim])[0]), up)
        smoothness, rows = at.constants.row_smoothness().T
        b, of_rows = at.gradient.oracle.batch, float(np.max(np.sqrt(rows) * smoothness))
        c = float(np.max(np.maximum(rows - b, 0.0) / (b * np.maximum(rows - 1.0, 1.0))))
        gamma = 1.0 / (at.smoothness + 6.0 * (up * at.most + c * of_rows * (1.0 + 5.0 * up)) / n)
        return gamma, {"L": at.smoothness, "L_max": at.most, "omega": up, "c": c, "L_rows": of_rows}


@method("vr-diana", FIRST_ORDER)
def vr_diana(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    alpha: TheoryOr = "theory",
    p: float = 0.1,
    batch: int = 16,
) -> Descent:
    """VR-DIANA (Horváth, Kovalev, Mishchenko, Stich, Richtárik, arXiv 1904.05115): DIANA of L-SVRG's gradients.

    v_i = ∇f_iB(x) - ∇f_iB(w_i) + ∇f_i(w_i) stands where diana has ∇f_i(x), B the same rows twice, and then w_i ← x
    with probability p, each client by a coin of its own. Unlike minibatches alone it leaves no floor. The paper has
    rows one by one and p = 1/m for the m rows of a client; from memory. The step is derived in
    :class:`newtonfl.methods.first_order.diana.VRDianaRule`.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    alpha : float or "theory"
        α in [0, 1]; "theory" is 1/(1+ω).
    p : float
        p in (0, 1], how likely a client's anchor moves, and its whole gradient is computed.
    batch : int
        b, how many rows B has; a client with no more is exact.
    """
    common = FirstOrder.of("vr-diana", locals())
    gradient = common.tracked(Diana(common.compressor, alpha), oracle=LSVRG(batch, p))
    return common.descent(gradient, rule=VRDianaRule())


@dataclass(frozen=True)
class EFBVRule(StepSizeRule):
    """γ = 1/(L + L̃√(r_av/r)/s) with s = √((1+r)/(2r)) - 1 (EF-BV, arXiv 2205.04180).

    r = (1-λ+λη)² + λ²ω and r_av = (1-ν+νη)² + ν²ω/n; f - f* shrinks by max{1 - γμ, (r+1)/2} a round under the PŁ
    condition.
    """

    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "1/(L + √mean(L_i²)·√(r_av/r)/s)")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        n, dim, up = at.constants.n_clients, at.constants.dim, _upward(at)
        draws_apart(up.compressor)
        bias, spread = bias_and_variance(up.compressor, dim)
        lam, nu = float(up.memory_rates([dim])[0]), float(up.estimate_rates([dim])[0])
        r = (1.0 - lam + lam * bias) ** 2 + lam**2 * spread
        averaged = (1.0 - nu + nu * bias) ** 2 + nu**2 * spread / n
        plus = math.sqrt(float((at.client_smoothness**2).mean()))
        constants = {"L": at.smoothness, "L_plus": plus, "r": r, "r_av": averaged}
        if r >= 1.0:
            raise ValueError(f"ef-bv's theorem needs (1-λ+λη)² + λ²ω below 1, and λ = {lam:g} makes it {r:g}")
        if r == 0.0:  # nothing is lost
            return 1.0 / at.smoothness, constants
        s = math.sqrt((1.0 + r) / (2.0 * r)) - 1.0
        return 1.0 / (at.smoothness + plus * math.sqrt(averaged / r) / s), constants


@method("ef-bv", FIRST_ORDER)
def ef_bv(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    batch: Batch = "full",
    lam: TheoryOr = "theory",
    nu: TheoryOr = "theory",
) -> Descent:
    """EF-BV (Condat, Yi, Richtárik, arXiv 2205.04180): h_i ← h_i + λC(∇f_i - h_i) and g = mean h_i + ν·mean C(·).

    For compressors with bias and variance: λ = ν = 1 is EF21 from zero, λ = 1/(1+ω), ν = 1 is DIANA. ``theory`` takes
    the paper's λ and ν, ν with the clients' draws averaged.

    Parameters
    ----------
    lam : float or "theory"
        λ in [0, 1].
    nu : float or "theory"
        ν in (0, 1].
    """
    common = FirstOrder.of("ef-bv", locals())
    gradient = common.tracked(EFBV(common.compressor, lam, nu))
    return common.descent(gradient, rule=EFBVRule())


def _replayed(common: FirstOrder) -> Model[Any, Any]:
    """Directions compressed without memory, which clients that were away can make up for."""
    down, participation = common.down, common.participation
    if isinstance(participation, Trace):
        raise ValueError(
            f"participation: given {participation!r}, and artemis needs clients drawn at random: use uniform:8"
        )
    if isinstance(down, str):
        return common.to_model()
    if not isinstance(down, Compressor):
        raise TypeError(f"down: given {down!r}, must be 'exact' or an unbiased Compressor such as Natural()")
    return ReplayedModel(on_wire(Diana(down, 0.0), common.wire))


@method("artemis", FIRST_ORDER)
def artemis(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = Dithering(),
    alpha: TheoryOr = "theory",
    participation: ParticipationForm = Uniform(0.5),
    down: VectorForm = Natural(),
) -> Descent:
    """Artemis (Philippenko, Dieuleveut, arXiv 2006.14591): DIANA with partial participation and compression downwards.

    g = mean h_i + (1/pn)Σ Q(∇f_i - h_i) over the clients that take part, each with chance p (pn = τ of uniform:τ); Ω =
    Q(g) goes down and x⁺ = x - γΩ. Who was away receives the directions that it missed, or x where that is shorter. The
    step is that of :class:`newtonfl.methods.first_order.diana.DianaRule`.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, for the gradients' differences.
    alpha : float or "theory"
        α in [0, 1]; "theory" is 1/(1+ω).
    down : Compressor or str
        "exact", or the unbiased compressor of the direction.
    """
    common = FirstOrder.of("artemis", locals())
    gradient = common.tracked(Diana(common.compressor, alpha))
    return common.descent(gradient, model=_replayed(common), rule=DianaRule())
