"""Asynchronous first-order methods: AsGrad and IAG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.participation import Arrivals
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Identity
from newtonfl.mechanisms import EF21, EFBV
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, Batch, ParticipationForm, Ridge
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class AsGradRule(StepSizeRule):
    """γ = 1/(30 n max L_i): the second theorem's bound where no answer is more than n rounds old.

    30γL·max{τ̃, τ_C} ≤ 1, from memory of the paper (arXiv 2310.20452, Theorem 2), with τ_C, the most jobs at a time,
    which is n here. How old answers get (τ̃) depends on the clients' speeds: where they are older, give a number.
    """

    formulas: ClassVar[dict[str, str]] = {"theory": "1/(30 n max L_i)"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        n = at.constants.n_clients
        return 1.0 / (30.0 * n * at.most), {"n": float(n), "L_max": at.most}


@method("asgrad", FIRST_ORDER)
def asgrad(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    batch: Batch = "full",
    participation: ParticipationForm = Arrivals("shuffled"),
) -> Descent:
    """AsGrad (Islamov, Safaryan, Alistarh, arXiv 2310.20452): x⁺ = x - γ∇f_i(x^π) as soon as client i has answered.

    x^π is the iterate that it was given with its job, some rounds ago. With a constant γ and unlike clients a floor is
    left: with ``pure`` assignment one that no γ lowers, for who is fast is heard more often; with ``random`` it falls
    with γ, with ``shuffled`` faster. ``arrivals:random:exponential:10:8`` is FedBuff with one local step: new jobs are
    about every eighth iterate. iag leaves no floor. A round is one answer; the column ``time`` has simulated seconds.

    Parameters
    ----------
    participation : Participation or str
        Arrivals(order, law, spread, wait), as text "arrivals:shuffled" or "arrivals:shuffled:exponential:10".
    """
    common = FirstOrder.of("asgrad", locals())
    # h_i = 0 for ever: the estimate is the answer itself.
    return common.descent(common.tracked(EFBV(Identity(), 0.0, 1.0)), rule=AsGradRule())


@dataclass(frozen=True)
class IAGRule(StepSizeRule):
    """γ = 1/(n max L_i): a cautious step for answers that are some n rounds old; no theorem of a paper at hand."""

    formulas: ClassVar[dict[str, str]] = {"theory": "1/(n max L_i), which no theorem gives,"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        n = at.constants.n_clients
        return 1.0 / (n * at.most), {"n": float(n), "L_max": at.most}


@method("iag", FIRST_ORDER)
def iag(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    batch: Batch = "full",
    participation: ParticipationForm = Arrivals("pure"),
) -> Descent:
    """IAG (arXiv 1608.01713), incremental aggregated gradients: x⁺ = x - γ mean g_i, g_i client i's last gradient.

    It is ef21-pp without compression, asynchronous: its only fixed point is the minimiser, however the clients differ,
    for there the g_i sum to zero. Linear for strongly convex f and a γ that the delays bear: a delay of τ rounds takes
    one of the order of 1/(Lτ).

    Parameters
    ----------
    participation : Participation or str
        Arrivals(order, law, spread, wait), as text "arrivals:pure" or "arrivals:pure:exponential:10".
    """
    common = FirstOrder.of("iag", locals())
    return common.descent(common.tracked(EF21(Identity())), rule=IAGRule())
