"""Newton's method with learned Hessians where some of the clients may be Byzantine."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from newtonfl.bases import Symmetric
from newtonfl.comm.coding import Precision
from newtonfl.components.aggregation import GeometricMedian
from newtonfl.components.curvature.base import ErrorNorm
from newtonfl.components.curvature.robust import RobustHessian
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.compressors import TopK
from newtonfl.mechanisms import Alpha
from newtonfl.methods.round import Descent
from newtonfl.methods.second_order.settings import SecondOrder
from newtonfl.methods.settings import (
    SECOND_ORDER,
    AggregatorForm,
    CompressorForm,
    HessianInit,
    MechanismForm,
    Ridge,
    VectorForm,
)
from newtonfl.methods.typed import method


@method("robust-newton", SECOND_ORDER)
def robust_newton(
    *,
    aggregator: AggregatorForm = GeometricMedian(),
    compressor: CompressorForm = TopK("1d"),
    mechanism: MechanismForm = None,
    alpha: Alpha = "auto",
    init: HessianInit = "hessian",
    step: Literal["shift", "project"] = "shift",
    shift_norm: ErrorNorm = "frobenius",
    gradient: VectorForm = "exact",
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton-3PC with a rule in the place of its means (ours, in no paper).

    x⁺ = x - (H + l·I)⁻¹g with g = Agg{g_i}, H = Agg{H_i} and l = Agg{l_i}, or with [H]_λ (step=project): the server
    keeps every client's estimates g_i, ∇f_i itself with gradient=exact, and H_i ← H_i + what its mechanism sent, and
    applies the rule to them, not to the messages, of which most entries are zero
    (:class:`newtonfl.components.curvature.robust.RobustHessian`). With aggregator=mean it is newton-3pc.

    The geometric median is a weighted mean of the H_i, positive semidefinite as they are, and not far from their mean.
    A median by entries is neither: of unlike H_i it can be indefinite. Krum's is one client's H_i. Where all hold like
    data every rule will do.

    No theorem is claimed. Where honest clients hold like data and no more are Byzantine than the rule bears, it steps
    as newton-3pc among the honest; where they are unlike, it goes to a point where Agg{∇f_i} = 0, as far from x* as
    they differ. All clients take part.

    Parameters
    ----------
    step : {"shift", "project"}
        The step's matrix: H + l·I, or [H]_λ, which can diverge from afar.
    """
    shared = dict(locals())
    rule = shared.pop("aggregator")
    common = SecondOrder("robust-newton", **shared)
    made = common.descent(RobustHessian(common.to_mechanism(), Symmetric(), init, wire, aggregator=rule))
    assert isinstance(made.gradient, AnchoredGradient)
    return replace(made, gradient=replace(made.gradient, aggregator=rule))
