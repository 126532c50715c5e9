"""FedNL: learned Hessians, used before this round's message."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import ErrorNorm
from newtonfl.components.participation import All, Uniform
from newtonfl.compressors import RankR, TopK
from newtonfl.mechanisms import Alpha, StepUses
from newtonfl.methods.round import Descent
from newtonfl.methods.second_order.settings import SecondOrder
from newtonfl.methods.settings import (
    SECOND_ORDER,
    BasisForm,
    CompressorForm,
    Freshness,
    GradientForm,
    HessianInit,
    MechanismForm,
    ParticipationForm,
    Ridge,
    StepName,
    TheoryOr,
    VectorForm,
)
from newtonfl.methods.typed import method


@method("fednl", SECOND_ORDER)
def fednl(
    *,
    compressor: CompressorForm = RankR(1),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "before",
    basis: BasisForm = "auto",
    init: HessianInit = "hessian",
    step: StepName = "shift",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    lipschitz: TheoryOr = "theory",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    participation: ParticipationForm = All(),
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """FedNL (Safaryan, Islamov, Qian, Richtárik, arXiv 2106.02969, Algorithm 1).

    A client sends ∇f_i(x^k) and S_i = C(∇²f_i(x^k) - H_i), and moves H_i ← H_i + αS_i. The server steps with H^k from
    before these messages: x⁺ = x - [H^k]_λ⁻¹∇f (``step=project``, Option 1) or x - (H^k + l^k I)⁻¹∇f (``step=shift``,
    Option 2, with l_i = ‖H_i^k - ∇²f_i(x^k)‖).

    Conditions: f λ-strongly convex with Lipschitz Hessians; local, from ‖x⁰ - x*‖² ≤ μ²/(2D) and mean ‖H_i^k -
    ∇²f_i(x*)‖_F² ≤ μ²/(4C) with (C, D) = (2, L_*²) or (8, (L_* + 2L_F)²); then ‖x^k - x*‖² halves each round and the
    rate turns superlinear (Theorem 3.6). project can diverge from farther away; shift is the safe choice.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.solve(nf.load("breast_cancer", clients=4), nf.fednl(compressor=nf.RankR(5))).converged
    True
    """
    return SecondOrder("fednl", **locals()).descent()


@method("fednl-pp", SECOND_ORDER)
def fednl_pp(
    *,
    compressor: CompressorForm = RankR(1),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    basis: BasisForm = "auto",
    init: HessianInit = "hessian",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    participation: ParticipationForm = Uniform(0.5),
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """FedNL with partial participation (arXiv 2106.02969, Algorithm 2).

    x⁺ = (H + l·I)⁻¹g with g the mean of g_i = (H_i + l_i I) w_i - ∇f_i(w_i). τ clients receive x⁺, set w_i to it, and
    send the compressed change of H_i and the changes of l_i and g_i; what the others last sent stays true.

    Conditions: every f_i μ-strongly convex; ‖x⁰ - x*‖² ≤ min{Aμ²/(16B L_F²), μ²/(4(L_* + 2L_F)²)}; then the mean of
    ‖w_i - x*‖² shrinks by 1 - 3τ/(4n) a round.
    """
    return SecondOrder("fednl-pp", **locals(), gradient="invariant").descent()


@method("fednl-cr", SECOND_ORDER)
def fednl_cr(
    *,
    compressor: CompressorForm = RankR(1),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "before",
    basis: BasisForm = "auto",
    init: HessianInit = "zero",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    lipschitz: TheoryOr = "theory",
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """FedNL with cubic regularisation (arXiv 2106.02969, Algorithm 4): global convergence without a line search.

    x⁺ = x + argmin_h ⟨∇f, h⟩ + ½⟨(H + l·I)h, h⟩ + (L_*/6)‖h‖³. From anywhere: f - f* ≤ 9lR²/k² + … for convex f, and
    linear for strongly convex f; near the solution as FedNL. L_* is the mean of the clients' own bounds.
    """
    return SecondOrder("fednl-cr", **locals(), step="cubic").descent()


@method("fednl-ls", SECOND_ORDER)
def fednl_ls(
    *,
    compressor: CompressorForm = RankR(1),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "before",
    basis: BasisForm = "auto",
    init: HessianInit = "hessian",
    step: StepName = "project",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    line_search: int = 20,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """FedNL with backtracking line search (arXiv 2106.02969, Algorithm 3): global convergence.

    d = -[H]_λ⁻¹∇f and the largest step γˢ with f(x + γˢd) ≤ f(x) + cγˢ⟨∇f, d⟩; then f - f* shrinks by
    1 - (μ/L) min{μ/L̃, 1} a round, L̃ = sup‖H^k‖. The trial values cost one more exchange.
    """
    return SecondOrder("fednl-ls", **locals()).descent()


@method("fednl-bc", SECOND_ORDER)
def fednl_bc(
    *,
    compressor: CompressorForm = TopK("1d"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "before",
    basis: BasisForm = "auto",
    init: HessianInit = "hessian",
    step: StepName = "project",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    lipschitz: TheoryOr = "theory",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 0.75,
    model: VectorForm = TopK("0.5d"),
    model_rate: Alpha = "auto",
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """FedNL with bidirectional compression (arXiv 2106.02969, Algorithm 5).

    The server sends C_M(x⁺ - z), the clients hold z ← z + ηC_M(x⁺ - z). With probability p they send ∇f_i(z) and set
    w = z; else the server goes on from g = [H]_λ(z - w) + ∇f(w). For ξ = 0 the projected (shifted) H stands in g, as in
    the authors' program, so that x⁺ = w - [H]_λ⁻¹∇f(w).

    Conditions: local; mean ‖H_i^k - ∇²f_i(x*)‖² ≤ (A_M/B_M)μ²/(9C_M); then the distance shrinks by 1 - min{A_M/3, p/2}.
    """
    return SecondOrder("fednl-bc", **locals()).descent()
