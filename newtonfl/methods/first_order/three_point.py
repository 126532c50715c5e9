"""Gradients sent by a three-point mechanism: LAG, CLAG, 3PCv1 … v5 (arXiv 2202.00998)."""

from __future__ import annotations

from typing import cast

from newtonfl.comm.coding import Precision
from newtonfl.components.participation import All
from newtonfl.compressors import Compressor, RandK, TopK
from newtonfl.mechanisms import CLAG, LAG, Mechanism, ThreePCv1, ThreePCv2, ThreePCv3, ThreePCv4, ThreePCv5
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


@method("lag", FIRST_ORDER)
def lag(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
    zeta: float = 2.0,
) -> Descent:
    """LAG: a client sends its gradient where it has moved: ‖∇f_i(x⁺) - g_i‖² > ζ‖∇f_i(x⁺) - ∇f_i(x)‖².

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).

    Parameters
    ----------
    zeta : float
        ζ ≥ 0.
    """
    common = FirstOrder.of("lag", locals())
    return common.descent(common.tracked(LAG(zeta)))


@method("clag", FIRST_ORDER)
def clag(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
    zeta: float = 2.0,
) -> Descent:
    """CLAG: EF21 where the gradient has moved: ‖∇f_i(x⁺) - g_i‖² > ζ‖∇f_i(x⁺) - ∇f_i(x)‖², else nothing.

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).

    Parameters
    ----------
    zeta : float
        ζ ≥ 0.
    """
    common = FirstOrder.of("clag", locals())
    return common.descent(common.tracked(CLAG(common.compressor, zeta)))


@method("3pc-v1", FIRST_ORDER)
def v1(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
) -> Descent:
    """3PCv1: g_i ← ∇f_i(x) + C(∇f_i(x⁺) - ∇f_i(x)). As many numbers are sent as x has: of theoretical interest.

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).
    """
    common = FirstOrder.of("3pc-v1", locals())
    return common.descent(common.tracked(ThreePCv1(common.compressor)))


@method("3pc-v2", FIRST_ORDER)
def v2(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
    first: CompressorForm = RandK("0.1d"),
) -> Descent:
    """3PCv2: g_i ← b + C(∇f_i(x⁺) - b) with b = g_i + Q(∇f_i(x⁺) - ∇f_i(x)), Q the unbiased `first`.

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).

    Parameters
    ----------
    first : Compressor or str
        Q, unbiased.
    """
    common = FirstOrder.of("3pc-v2", locals())
    return common.descent(common.tracked(ThreePCv2(common.compressor, cast(Compressor, first))))


@method("3pc-v3", FIRST_ORDER)
def v3(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
    inner: Mechanism | str = CLAG(TopK("0.1d"), 2.0),
) -> Descent:
    """3PCv3: g_i ← b + C(∇f_i(x⁺) - b) with b what the `inner` mechanism makes of g_i.

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).

    Parameters
    ----------
    inner : Mechanism or str
        What makes b of g_i, as text "clag:2/topk:0.1d".
    """
    common = FirstOrder.of("3pc-v3", locals())
    return common.descent(common.tracked(ThreePCv3(common.compressor, cast(Mechanism, inner))))


@method("3pc-v4", FIRST_ORDER)
def v4(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.05d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    participation: ParticipationForm = All(),
    down: VectorForm = "exact",
    first: CompressorForm = TopK("0.05d"),
) -> Descent:
    """3PCv4: g_i ← b + C₁(∇f_i(x⁺) - b) with b = g_i + C₂(∇f_i(x⁺) - g_i), C₂ the `first`.

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).

    Parameters
    ----------
    first : Compressor or str
        C₂, how much of a gradient's change is sent first, say TopK(30) or "topk:0.05d".
    """
    common = FirstOrder.of("3pc-v4", locals())
    return common.descent(common.tracked(ThreePCv4(common.compressor, cast(Compressor, first))))


@method("3pc-v5", FIRST_ORDER)
def v5(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
    p: float = 0.1,
) -> Descent:
    """3PCv5: g_i ← ∇f_i(x⁺) with probability p, else g_i + C(∇f_i(x⁺) - ∇f_i(x)); one coin for all.

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998).

    Parameters
    ----------
    p : float
        p in (0, 1], how likely g_i becomes the gradient itself.
    """
    common = FirstOrder.of("3pc-v5", locals())
    return common.descent(common.tracked(ThreePCv5(common.compressor, p)))
