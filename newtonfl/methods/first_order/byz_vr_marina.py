"""Byz-VR-MARINA-PP: MARINA where some of the clients may be Byzantine, and few take part in a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from newtonfl.comm.coding import Precision
from newtonfl.components.aggregation import Bucketed, Mean, Median
from newtonfl.components.gradient.page import Page
from newtonfl.components.participation import Uniform
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.compressors import RandK
from newtonfl.methods.first_order.marina import MarinaRule, shared_gradient
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, AggregatorForm, Batch, CompressorForm, ParticipationForm, Ridge
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class HonestMarinaRule(MarinaRule):
    """pp-marina's γ, or vr-marina's, which supposes that all clients are honest and nothing is clipped.

    The theorem of arXiv 2311.14127 has γ = 1/(L(1 + √A)) with A of the order (1 + F_A²)/p², F_A the rule's bound
    ‖Agg‖ ≤ F_A max ‖v_i‖, and in A the rule's c too, which is known in orders of magnitude only: no γ is made of them.
    """

    def named(self, at: StepContext, theory: str) -> str:
        return f"{super().named(at, theory)}, as if all clients were honest"


class HonestMinibatchRule(HonestMarinaRule):
    """The same where N is needed."""

    needs_row_smoothness = True


@method("byz-vr-marina-pp", FIRST_ORDER)
def byz_vr_marina_pp(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
    batch: Batch = "full",
    aggregator: AggregatorForm = Bucketed(Median()),
    clip: float | Literal["theory", "none"] = "theory",
    tails: Literal["aggregator", "mean"] = "aggregator",
    participation: ParticipationForm = Uniform(0.5),
) -> Descent:
    """Byz-VR-MARINA-PP (Malinovsky, Richtárik, Horváth, Gorbunov, arXiv 2311.14127): Agg for the mean, and clipping.

    With probability p all send gradients and g = Agg{∇f_i(x⁺)}; else g ← g + Agg{clip_λ(Q(Δ_i))} over τ clients, with
    Δ_i = ∇f_i(x⁺) - ∇f_i(x), or a minibatch's, and λ = α‖x⁺ - x‖. The server clips: however many of the τ are
    Byzantine, g moves by no more than λ times what the rule lets through, while the honest, whose Δ_i are no longer
    than L_i‖x⁺ - x‖, lose little. On heads all take part, which is the paper's Ĉ = n.

    "theory" for the step is pp-marina's, as if all were honest; the paper's own is far smaller, and needs constants of
    the rule that are not known well. Give a number where it is too large. With aggregator=mean and clip=none it is
    pp-marina, and vr-marina with a batch and all clients. Where honest clients are unlike, the limit is a
    neighbourhood of x* that their unlikeness decides.

    Parameters
    ----------
    p : float
        p in (0, 1], how likely all clients send whole gradients.
    clip : float or {"theory", "none"}
        α; "theory" is 2·max L_i, the paper's 2L for the unbiased Q with an L that serves every client; "none" clips
        nothing.
    tails : {"aggregator", "mean"}
        The rule on tails: the same, or the mean of what was clipped (the paper's Byz-VR-MARINA-PP+).
    """
    common = FirstOrder.of("byz-vr-marina-pp", locals())
    oracle, theory = (None, HonestMarinaRule()) if batch == "full" else (Page(batch, p=None), HonestMinibatchRule())
    rule = aggregator if tails == "aggregator" else Mean()
    gradient = shared_gradient(common, p, oracle, aggregator=aggregator, tails=rule, clip=clip)
    return common.descent(gradient, rule=theory)
