"""Basis Learn: Hessians learned in a basis of the client's own data."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import ErrorNorm
from newtonfl.components.participation import Uniform
from newtonfl.compressors import TopK
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


@method("bl1", SECOND_ORDER)
def bl1(
    *,
    compressor: CompressorForm = TopK("1r"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    step_uses: StepUses = "before",
    basis: BasisForm = "data",
    init: HessianInit = "hessian",
    step: StepName = "project",
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
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """BL1 (Qian, Islamov, Safaryan, Richtárik, Basis Matters, arXiv 2111.01847, Algorithm 1).

    S_i = C(h_i(∇²f_i(z)) - L_i) compresses coefficients in the basis, by default that of the client's own rows:
    r(r+1)/2 and r numbers for Hessian and gradient, for a set-up of r·d. x⁺ = z - [H]_λ⁻¹g with H from before this
    round's message; models and gradients may be lazy as in FedNL-BC. In the symmetric basis this is FedNL.

    Conditions: local; ‖z - x*‖² ≤ A_M μ²/(4H²B_M) and mean ‖L_i - L_i*‖² ≤ A_M μ²/(16 N_B R² B_M); then the distance
    shrinks by 1 - min{A_M, p}/2 a round, superlinearly for an exact model and p = 1.

    Examples
    --------
    >>> import newtonfl as nf
    >>> p = nf.load("breast_cancer", clients=40)
    >>> nf.solve(p, nf.bl1(), x0=nf.optimum(p)[0] + 0.01).converged
    True
    """
    return SecondOrder("bl1", **locals()).descent()


@method("bl2", SECOND_ORDER)
def bl2(
    *,
    compressor: CompressorForm = TopK("1r"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    basis: BasisForm = "data",
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
    """BL2: Basis Learn with partial participation (arXiv 2111.01847, Algorithm 2).

    x⁺ = (H + l·I)⁻¹g with g_i = (H_i + l_i I) w_i - ∇f_i(w_i); τ clients receive a compressed model each, learn their
    coefficients at z_i, and with probability p move w_i to z_i. The server keeps z_i and w_i (2nd numbers).

    Conditions: every f_i μ-strongly convex; ‖z_i - x*‖² ≤ A_M μ²/((6H² + 24H_1²)B_M); rate 1 - τ min{p, A_M}/(2n).
    """
    return SecondOrder("bl2", **locals(), gradient="invariant").descent()
