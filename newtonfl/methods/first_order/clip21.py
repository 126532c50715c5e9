"""Clip21."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.step.shortened import Shortened
from newtonfl.components.step.stepsizes import Smooth
from newtonfl.compressors import Clip
from newtonfl.mechanisms import EF21
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, Ridge, TheoryOr
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
