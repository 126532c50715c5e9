"""Newton-3PC: Hessians sent by a three-point mechanism, at the new point."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import ErrorNorm
from newtonfl.components.participation import All, Uniform
from newtonfl.compressors import RankR, TopK
from newtonfl.mechanisms import Alpha, StepUses, ThreePCv4
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


@method("newton-3pc", SECOND_ORDER)
def newton_3pc(
    *,
    compressor: CompressorForm = TopK("1d"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "after",
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
    """Newton-3PC (Islamov et al., arXiv 2206.03588, Algorithm 1), by default with the EF21 mechanism.

    At the new point x^{k+1} a client sends ∇f_i and the message of its mechanism about ∇²f_i(x^{k+1}), and the server
    steps with H^{k+1}: x⁺ = x - [H]_λ⁻¹∇f (``step=project``, Option 1) or x - (H + l·I)⁻¹∇f (``step=shift``, Option 2,
    with l_i = ‖H_i^{k+1} - ∇²f_i(x^{k+1})‖). Round 0 takes H_i⁰ as it is and sends no curvature.

    Conditions: f μ-strongly convex with Lipschitz Hessians; local, from ‖x⁰ - x*‖ ≤ μ/√(2D) and mean ‖H_i^k -
    ∇²f_i(x*)‖_F² ≤ μ²/(4C) with (C, D) = (2, L_*²) or (8, (L_* + 2L_F)²); then ‖x^k - x*‖² halves each round and the
    rate turns superlinear. project can diverge from farther away; shift is the safe choice.

    Examples
    --------
    >>> import newtonfl as nf
    >>> method = nf.newton_3pc(mechanism=nf.CLAG(nf.TopK("1d"), zeta=2.0))
    >>> nf.solve(nf.load("breast_cancer", clients=4), method).converged
    True
    """
    return SecondOrder("newton-3pc", **locals()).descent()


@method("newton-3pc-bc", SECOND_ORDER)
def newton_3pc_bc(
    *,
    compressor: CompressorForm = TopK("1d"),
    mechanism: MechanismForm = "cbag:0.75",
    alpha: Alpha = "auto",
    step_uses: StepUses = "after",
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
    model: VectorForm = ThreePCv4(TopK("0.25d"), TopK("0.25d")),
    model_rate: Alpha = "auto",
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton-3PC with bidirectional compression (arXiv 2206.03588, Algorithm 2).

    x⁺ = z - [H]_λ⁻¹g, the server's mechanism moves z to x⁺, and with probability p the clients send ∇f_i(z), w = z;
    else g = [H]_λ(z - w) + ∇f(w): the same as x⁺ = w - [H]_λ⁻¹∇f(w). The defaults are those of the paper's comparison:
    CBAG (p = 0.75, Top-d) on Hessians, 0.75 on gradients, 3PCv4 with two Top-(d/4) on models.

    Conditions: local; ‖z - x*‖² ≤ A_M μ²/(24 C_M L_*²) and mean ‖H_i - ∇²f_i(x*)‖² ≤ A_M μ²/(96 C_M); then the distance
    shrinks by 1 - min{A_M/4, 3p/8} a round.
    """
    return SecondOrder("newton-3pc-bc", **locals()).descent()


@method("newton-3pc-bc-pp", SECOND_ORDER)
def newton_3pc_bc_pp(
    *,
    compressor: CompressorForm = TopK("1d"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    basis: BasisForm = "auto",
    init: HessianInit = "hessian",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    gradient_p: float = 0.75,
    model: VectorForm = TopK("0.5d"),
    model_rate: Alpha = "auto",
    participation: ParticipationForm = Uniform(0.5),
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton-3PC with bidirectional compression and partial participation (arXiv 2206.03588, Algorithm 3).

    x⁺ = (H + l·I)⁻¹g with the invariant g_i = (H_i + l_i I) w_i - ∇f_i(w_i). τ clients receive x⁺ by the server's
    mechanism, each with its own z_i; a client moves w_i to z_i and sends g_i's change with probability p, else the
    server works the change out from the Hessian's message. The server keeps z_i and w_i (2nd numbers).

    Conditions: every f_i μ-strongly convex; local; then the rate is 1 - (τ/n) min{2A_M, 3p}/8.
    """
    return SecondOrder("newton-3pc-bc-pp", **locals(), gradient="invariant").descent()


@method("newton-3pc-cr", SECOND_ORDER)
def newton_3pc_cr(
    *,
    compressor: CompressorForm = TopK("1d"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "after",
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
    """Newton-3PC with cubic regularisation (arXiv 2206.03588, section on globalisation).

    x⁺ = x + argmin_h ⟨∇f, h⟩ + ½⟨(H + l·I)h, h⟩ + (L_*/6)‖h‖³; the rest as Newton-3PC. Theory as for FedNL-CR.
    """
    return SecondOrder("newton-3pc-cr", **locals(), step="cubic").descent()


@method("newton-3pc-ls", SECOND_ORDER)
def newton_3pc_ls(
    *,
    compressor: CompressorForm = RankR(1),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "after",
    basis: BasisForm = "auto",
    init: HessianInit = "zero",
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
    """Newton-3PC with backtracking line search (arXiv 2206.03588, section on globalisation), from H⁰ = 0.

    d = -[H]_λ⁻¹∇f and a step γˢ as in FedNL-LS; the rest as Newton-3PC. Theory as for FedNL-LS.
    """
    return SecondOrder("newton-3pc-ls", **locals()).descent()
