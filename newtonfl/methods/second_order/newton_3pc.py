"""Newton-3PC: Hessians told by a three-point mechanism, at the new point."""

from __future__ import annotations

from functools import partial

from newtonfl.components.participation import Uniform
from newtonfl.compressors import RankR, TopK
from newtonfl.mechanisms import CBAG, ThreePCv4
from newtonfl.methods.second_order.preset import preset

newton_3pc = preset(
    "newton-3pc",
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
    """,
)

newton_3pc_bc = preset(
    "newton-3pc-bc",
    """Newton-3PC with bidirectional compression (arXiv 2206.03588, Algorithm 2).

    x⁺ = z - [H]_λ⁻¹g, the server's mechanism tells z of x⁺, and with probability p the clients send ∇f_i(z), w = z;
    else g = [H]_λ(z - w) + ∇f(w): the same as x⁺ = w - [H]_λ⁻¹∇f(w). The defaults are those of the paper's comparison:
    CBAG (p = 0.75, Top-d) on Hessians, 0.75 on gradients, 3PCv4 with two Top-(d/4) on models.

    Conditions: local; ‖z - x*‖² ≤ A_M μ²/(24 C_M L_*²) and mean ‖H_i - ∇²f_i(x*)‖² ≤ A_M μ²/(96 C_M); then the distance
    shrinks by 1 - min{A_M/4, 3p/8} a round.
    """,
    without=("participation",),
    mechanism=partial(CBAG, p=0.75),
    step="project",
    gradient_p=0.75,
    model=ThreePCv4(TopK("0.25d"), TopK("0.25d")),
)

newton_3pc_bc_pp = preset(
    "newton-3pc-bc-pp",
    """Newton-3PC with bidirectional compression and partial participation (arXiv 2206.03588, Algorithm 3).

    x⁺ = (H + l·I)⁻¹g with the invariant g_i = (H_i + l_i I) w_i - ∇f_i(w_i). τ clients hear of x⁺ by the server's
    mechanism, each with its own z_i; a client moves w_i to z_i and sends g_i's change with probability p, else the
    server works the change out from the Hessian's message. The server keeps z_i and w_i (2nd numbers).

    Conditions: every f_i μ-strongly convex; local; then the rate is 1 - (τ/n) min{2A_M, 3p}/8.
    """,
    without=("step", "lipschitz", "line_search", "armijo", "backtrack", "gradient", "step_uses"),
    participation=Uniform(0.5),
    gradient_p=0.75,
    model=TopK("0.5d"),
    gradient="invariant",
)

newton_3pc_cr = preset(
    "newton-3pc-cr",
    """Newton-3PC with cubic regularisation (arXiv 2206.03588, section on globalisation).

    x⁺ = x + argmin_h ⟨∇f, h⟩ + ½⟨(H + l·I)h, h⟩ + (L_*/6)‖h‖³; the rest as Newton-3PC. Theory as for FedNL-CR.
    """,
    without=("step", "line_search", "armijo", "backtrack", "participation"),
    step="cubic",
    init="zero",
)

newton_3pc_ls = preset(
    "newton-3pc-ls",
    """Newton-3PC with backtracking line search (arXiv 2206.03588, section on globalisation), from H⁰ = 0.

    d = -[H]_λ⁻¹∇f and a step γˢ as in FedNL-LS; the rest as Newton-3PC. Theory as for FedNL-LS.
    """,
    without=("lipschitz", "participation"),
    compressor=RankR(1),
    step="project",
    init="zero",
    line_search=20,
)
