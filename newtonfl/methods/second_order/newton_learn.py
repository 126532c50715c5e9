"""Newton-Learn: the second derivatives of the loss are learned, row by row."""

from __future__ import annotations

from newtonfl.components.curvature.learned_rows import Majorised, NewtonLearn
from newtonfl.compressors import RandK
from newtonfl.mechanisms import Alpha
from newtonfl.methods.round import Descent
from newtonfl.methods.second_order.settings import SecondOrder
from newtonfl.methods.settings import (
    SECOND_ORDER,
    CompressorForm,
    GradientForm,
    TheoryOr,
    VectorForm,
)
from newtonfl.methods.typed import method


@method("nl1", SECOND_ORDER)
def nl1(
    *,
    compressor: CompressorForm = RandK(1),
    alpha: Alpha = "auto",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
) -> Descent:
    """NL1, Newton-Learn for λ > 0 (Islamov, Qian, Richtárik, arXiv 2102.07158, Algorithm 1).

    Client i learns h_ij ≈ φ″(a_ijᵀx) at its rows, h_i ← [h_i + ηC(h_i(x) - h_i)]₊, and sends the rows whose h_ij moved.
    The server steps with H = (1/nm) Σ h_ij a_ij a_ijᵀ from before these messages: x⁺ = x - (H + λI)⁻¹∇P(x).

    Conditions: rows and a loss with a ν-Lipschitz φ″, λ > 0; local, from ‖x⁰ - x*‖² ≤ λ²/(12ν²R⁶) with R = max‖a_ij‖;
    then ‖x^k - x*‖² + Σ‖h_i - h_i(x*)‖²/(3mnην²R²) shrinks by 1 - min{η/2, 5/8} a round, superlinearly in x
    (Theorem 3.2).

    The rows themselves travel (Option 1), which shows the server data: 32K(d + 1) formula bits a round for Rand-K; more
    than d/2 rows at once are sent as their matrix. The set-up is the Hessian at x⁰, d(d+1)/2 numbers. The wire is
    float64, for factors that are rounded would let the two ends drift apart; all clients take part.

    Parameters
    ----------
    compressor : Compressor or str
        C, which acts on the m_i numbers h_i of a client.
    alpha : float or {"auto", "theory"}
        η in (0, 1]. "auto" is 1/(ω+1) for an unbiased compressor, K/m for Rand-K, and 1 for a contractive one.
    """
    return _learned(NewtonLearn, SecondOrder("nl1", **locals(), step_uses="before", step="plain"))


@method("nl2", SECOND_ORDER)
def nl2(
    *,
    compressor: CompressorForm = RandK(1),
    alpha: Alpha = "auto",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
) -> Descent:
    """NL2, Newton-Learn for λ ≥ 0 (Islamov, Qian, Richtárik, arXiv 2102.07158, Algorithm 2).

    h_i ← h_i + ηC(h_i(x) - h_i), and client i sends β_i = max_j (h_ij(x) + 2γ)/(h_ij + 2γ), γ the loss's bound of φ″.
    With β = max β_i, A = (1/nm) Σ (h_ij + 2γ)a_ij a_ijᵀ and C = (2γ/nm) Σ a_ij a_ijᵀ the matrix βA - C ⪰ ∇²f(x), and
    x⁺ = x - (βA - C + λI)⁻¹∇P(x).

    Conditions: φ″ bounded and ν-Lipschitz, P μ-strongly convex; local, from ‖x⁰ - x*‖² ≤ μ²/(432mnν²R⁶)
    (Theorem 3.5).

    The rows themselves travel (Option 1), which shows the server data: 32K(d + 1) formula bits a round for Rand-K; more
    than d/2 rows at once are sent as their matrix. The set-up is the Hessian at x⁰ and (1/m) Σ a_ij a_ijᵀ, d(d+1)
    numbers. The wire is float64, for factors that are rounded would let the two ends drift apart; all clients take
    part.

    Parameters
    ----------
    compressor : Compressor or str
        C, which acts on the m_i numbers h_i of a client.
    alpha : float or {"auto", "theory"}
        η in (0, 1]. "auto" is 1/(ω+1) for an unbiased compressor, K/m for Rand-K, and 1 for a contractive one.
    """
    return _learned(Majorised, SecondOrder("nl2", **locals(), step_uses="before", step="plain"))


@method("cubic-newton-learn", SECOND_ORDER)
def cubic_newton_learn(
    *,
    compressor: CompressorForm = RandK(1),
    alpha: Alpha = "auto",
    lipschitz: TheoryOr = "theory",
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
) -> Descent:
    """CNL, Cubic-Newton-Learn (Islamov, Qian, Richtárik, arXiv 2102.07158, Algorithm 3): global convergence.

    NL2's matrix H = βA - C ⪰ ∇²f(x) and x⁺ = x + argmin_s ⟨∇P, s⟩ + ½⟨(H + λI)s, s⟩ + (M/6)‖s‖³.

    Conditions: φ″ bounded and ν-Lipschitz, M a Lipschitz constant of ∇²f; then P(x^k) - P* ≤ 81γR²R_x²/k + 9MR_x³/k² +
    4(P(x⁰) - P*)/k³ for convex P, linear and locally superlinear for strongly convex P (Theorems 4.3 to 4.5). The paper
    takes M = νR³, R = max‖a_ij‖; ``lipschitz=theory`` is the mean of ν‖a_ij‖³, which is never larger and all that its
    proofs ask for.

    The rows themselves travel (Option 1), which shows the server data: 32K(d + 1) formula bits a round for Rand-K; more
    than d/2 rows at once are sent as their matrix. The set-up is the Hessian at x⁰, (1/m) Σ a_ij a_ijᵀ and L_*i, d(d+1)
    + 1 numbers. The wire is float64, for factors that are rounded would let the two ends drift apart; all clients take
    part.

    Parameters
    ----------
    compressor : Compressor or str
        C, which acts on the m_i numbers h_i of a client.
    alpha : float or {"auto", "theory"}
        η in (0, 1]. "auto" is 1/(ω+1) for an unbiased compressor, K/m for Rand-K, and 1 for a contractive one.
    """
    return _learned(Majorised, SecondOrder("cubic-newton-learn", **locals(), step_uses="before", step="cubic"))


def _learned(curvature: type[NewtonLearn], common: SecondOrder) -> Descent:
    """The round with second derivatives of rows in the place of Hessians."""
    return common.descent(curvature(common.to_mechanism()))
