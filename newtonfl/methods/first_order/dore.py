"""DORE: compression both ways, with the server's error remembered."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.model.sent import ServerModelState, TrackedModel
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, Dithering
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array
from newtonfl.mechanisms import EFBV, Diana
from newtonfl.mechanisms.constants import omega
from newtonfl.methods.first_order.diana import within_theory
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    CompressorForm,
    Ridge,
    TheoryOr,
    VectorForm,
)
from newtonfl.methods.typed import method
from newtonfl.methods.wire import on_wire


@dataclass(frozen=True)
class HalfRate(Diana):
    """DIANA's mechanism at DORE's rate: ``theory`` is 1/(2(ω+1))."""

    def _rate(self, number: float | Literal["theory"], size: int, n: int) -> float:
        return 0.5 / (omega(self.compressor, size) + 1.0) if isinstance(number, str) else float(number)


@dataclass(frozen=True)
class ResidualModel(TrackedModel):
    """x̂ ← x̂ + βQ(q), q = x - x̂ + ηe, e = q - Q(q): the clients see x̂, the server remembers e.

    Parameters
    ----------
    mechanism : Mechanism
    eta : float or "theory"
        η.
    """

    eta: float | Literal["theory"] = "theory"

    def init_server(self, x0: Array, apart: int, step_size: StepSize | None) -> ServerModelState:
        eta = self.eta
        if isinstance(eta, str):
            if step_size is None or "eta" not in step_size.constants:
                raise ValueError(
                    "eta: theory has none for these rates, or without the clients' own L_i: give eta=NUMBER"
                )
            eta = step_size.constants["eta"]
        return replace(super().init_server(x0, apart, step_size), errors=0.0 * x0, eta=eta)


def residual_share(at: StepContext) -> tuple[float, float, float]:
    """(η, low, high): η of the server's memory, and the interval of γ (DORE, arXiv 1910.07561).

    With α, β the rates, ω, ω' the variances up and down and c = 4ω(ω+1)/n the rate is ρ = max{ω'(η² + η)/(1 - (ω'+1)β),
    1 + ηβ - 2(1+η)βγμL/(μ+L), 1 - α}; it is below 1 for γ between η(μ+L)/(2(1+η)μL) and 2/((1+cα)(μ+L)), where η is
    below both 4μL/((μ+L)²(1+cα) - 4μL), at which that interval shrinks to a point and ρ is 1, and the positive root of
    ω'(η² + η) = 1 - (ω'+1)β. ``theory`` takes half of the smaller one, 1 at the most.
    """
    assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EFBV)
    assert isinstance(at.model, ResidualModel) and isinstance(at.model.mechanism, EFBV)
    dim, up, down = at.constants.dim, at.gradient.mechanism, at.model.mechanism
    w, v = omega(up.compressor, dim), omega(down.compressor, dim)
    alpha, beta = float(up.memory_rates([dim])[0]), float(down.memory_rates([dim])[0])
    mu, smooth = at.convexity, at.most
    within_theory("alpha", alpha, w)
    if v and (v + 1.0) * beta >= 1.0:
        raise ValueError(f"beta: given {beta:g}, and theory needs less than 1/(1+ω') = {1.0 / (1.0 + v):g}")
    if not isinstance(at.model.eta, str) and v * (at.model.eta**2 + at.model.eta) >= 1.0 - (v + 1.0) * beta:
        raise ValueError(f"eta: given {at.model.eta:g}, and theory needs ω'(η² + η) < 1 - (ω'+1)β")
    spread = 1.0 + 4.0 * w * (w + 1.0) / at.constants.n_clients * alpha
    product = 4.0 * mu * smooth
    if isinstance(at.model.eta, str):
        left = max(1.0 - (v + 1.0) * beta, 0.0)
        root = (-v + math.sqrt(v**2 + 4.0 * v * left)) / (2.0 * v) if v else math.inf
        rest = (mu + smooth) ** 2 * spread - product
        eta = min(0.5 * root, 0.5 * product / rest if rest > 0 else math.inf, 1.0)
    else:
        eta = at.model.eta
    low = 2.0 * eta * (mu + smooth) / ((1.0 + eta) * product) if mu > 0 else 0.0
    return eta, low, 2.0 / (spread * (mu + smooth))


@dataclass(frozen=True)
class DoreRule(StepSizeRule):
    """γ in the middle of theory's interval: see :func:`newtonfl.methods.first_order.dore.residual_share`."""

    needs_convexity = True
    formulas: ClassVar[dict[str, str]] = dict.fromkeys(
        ("theory", "theory-pl"), "the middle of [η(μ+L)/(2(1+η)μL), 2/((1+cα)(μ+L))]"
    )

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        eta, low, high = residual_share(at)
        if low > high * (1.0 + 1e-12):
            raise ValueError(f"dore's theorem has no stepsize for these rates and η = {eta:g}")
        return (low + high) / 2.0, {"L_max": at.most, "mu": at.convexity, "eta": eta}


def _downward(common: FirstOrder, beta: TheoryOr, eta: TheoryOr) -> ResidualModel:
    """The iterate's residual, compressed, with the server's error remembered."""
    down = common.down
    if not isinstance(down, Compressor):
        raise TypeError(f"down: given {down!r}, must be an unbiased Compressor such as Dithering()")
    right = eta == "theory" if isinstance(eta, str) else is_number(eta) and 0 <= eta <= 1
    if not right:
        raise ValueError(f"eta: given {eta!r}, must be 'theory' or a number from 0 to 1")
    return ResidualModel(on_wire(HalfRate(down, beta), common.wire), eta)


@method("dore", FIRST_ORDER)
def dore(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = Dithering(),
    down: VectorForm = Dithering(),
    alpha: TheoryOr = "theory",
    beta: TheoryOr = "theory",
    eta: TheoryOr = "theory",
) -> Descent:
    """DORE (Liu, Li, Tang, Yan, arXiv 1910.07561): DIANA's messages up, the iterate's compressed residual down.

    x = x̂ - γg with g = mean h_i + mean Q(∇f_i(x̂) - h_i); q = x - x̂ + ηe goes down as Q(q), e = q - Q(q), and x̂ ←
    x̂ + βQ(q). Linear for strongly convex f_i; α = 1/(2(ω+1)), β = 1/(2(ω'+1)), η and γ as in
    :func:`newtonfl.methods.first_order.dore.residual_share`.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, for the gradients' differences.
    down : Compressor or str
        The unbiased compressor of the iterate's residual.
    alpha : float or "theory"
        α in [0, 1]; "theory" is 1/(2(ω+1)).
    beta : float or "theory"
        β in [0, 1]; "theory" is 1/(2(ω'+1)).
    eta : float or "theory"
        η in [0, 1], the share of the server's error that is sent again.
    """
    common = FirstOrder.of("dore", locals())
    gradient = common.tracked(HalfRate(common.compressor, alpha))
    return common.descent(gradient, model=_downward(common, beta, eta), rule=DoreRule())
