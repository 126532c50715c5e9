"""Clip21, and its form with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.oracle import Momentum
from newtonfl.components.step.shortened import Shortened
from newtonfl.components.step.stepsizes import Smooth, StepContext, StepSizeRule
from newtonfl.compressors import Clip
from newtonfl.mechanisms import EF21, NoisyClip
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, Batch, Ridge, TheoryOr
from newtonfl.methods.typed import method


@method("clip21", FIRST_ORDER)
def clip21(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    tau: float = 1.0,
    longest: TheoryOr = "theory",
) -> Descent:
    """Clip21 (Khirirat et al., arXiv 2305.18929): v_i ← v_i + clip_τ(∇f_i - v_i) from v_i = 0, and x⁺ = x - γ·mean v_i.

    EF21 with clipping, which contracts what is bounded alone: no message is longer than τ. The box is from the abstract
    and memory. The paper's step asks for max ‖∇f_i(x⁰)‖ and more that the server does not know. Derived here instead:
    where no step is longer than ℓ = τ/(2·max L_i), every ‖∇f_i - v_i‖ above τ falls by τ/2 a round, so that from round
    2(max ‖∇f_i(x⁰)‖/τ - 1) on nothing is clipped, v_i = ∇f_i, and the rest is gradient descent, for which γ = 1/L is
    theory's.

    Parameters
    ----------
    tau : float
        τ, how long a message may be.
    longest : float or "theory"
        ℓ, how long a step may be; "theory" is τ/(2·max L_i), and inf sets no limit: the paper's constant step.

    Examples
    --------
    >>> import newtonfl as nf
    >>> r = nf.solve(nf.load("breast_cancer", clients=4), nf.clip21(tau=0.1), rounds=50)
    >>> r.history[-1].f < 0.8 * r.history[0].f
    True
    """
    common = FirstOrder.of("clip21", locals())
    gradient = common.tracked(EF21(Clip(tau)))
    return common.descent(gradient, step=Shortened(stepsize, Smooth(), longest, tau / 2.0))


@dataclass(frozen=True)
class NoTheory(StepSizeRule):
    """No step size is known in theory here."""

    needs_client_smoothness = False
    formulas: ClassVar[dict[str, str]] = {}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        raise ValueError("no theorem of this method is known here")


@method("clip21-sgd2m", FIRST_ORDER)
def clip21_sgd2m(
    *,
    stepsize: float | str = 0.1,
    ridge: Ridge = "server",
    wire: Precision = "float64",
    batch: Batch = "full",
    tau: float = 1.0,
    sigma: float = 0.1,
    beta: float = 0.5,
    beta_hat: float = 0.5,
) -> Descent:
    """Clip21-SGD2M (Islamov et al., arXiv 2502.11682): Clip21 with noise for differential privacy, and two momenta.

    v_i ← (1-β)v_i + β∇f_i; c_i = clip_τ(v_i - g_i) + ξ_i with normal ξ_i is sent; g_i ← g_i + β̂clip_τ(v_i - g_i), the
    client's own, without the noise; m_i ← m_i + β̂c_i and x⁺ = x - γ·mean m_i at the server. From a third party's page
    of it; v_i begins with the first gradient here. What T rounds say of a client's rows, :func:`newtonfl.spent_epsilon`
    says, and :class:`newtonfl.mechanisms.NoisyClip` for whom it holds: not for who knows the solve's seed. The paper's
    step sizes are not at hand: give a number.

    Parameters
    ----------
    tau : float
        τ, how long what is new in a message may be.
    sigma : float
        σ, the standard deviation of every entry of the noise.
    beta : float
        β in (0, 1].
    beta_hat : float
        β̂ in (0, 1].
    """
    common = FirstOrder.of("clip21-sgd2m", locals())
    gradient = common.tracked(NoisyClip(tau, sigma, beta_hat), oracle=Momentum(beta, common.oracle))
    return common.descent(gradient, rule=NoTheory())
