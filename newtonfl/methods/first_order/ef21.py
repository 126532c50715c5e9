"""EF21 and its family."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.ef21_plus import ChosenGradient
from newtonfl.components.participation import All, Uniform
from newtonfl.components.step.stepsizes import ErrorFeedback21, ThreePoint
from newtonfl.compressors import TopK
from newtonfl.mechanisms import EF21
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
    return common.descent(common.tracked(EF21(common.compressor)), rule=ErrorFeedback21())


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
