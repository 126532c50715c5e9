"""AdaCGD: clients that pick their level of compression."""

from __future__ import annotations

from typing import cast

from newtonfl.comm.coding import Precision
from newtonfl.compressors import Compressor, TopK
from newtonfl.mechanisms import AdaCGD
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    Batch,
    CompressorForm,
    GradientInit,
    Ridge,
    VectorForm,
)
from newtonfl.methods.typed import method

LADDER = (TopK(1), TopK("0.02d"), TopK("0.05d"), TopK("0.1d"), TopK("0.25d"), TopK("0.5d"))
"""From one entry to half of them; saying nothing is the rung below."""


@method("adacgd", FIRST_ORDER)
def adacgd(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    init: GradientInit = "gradient",
    batch: Batch = "full",
    down: VectorForm = "exact",
    levels: tuple[CompressorForm, ...] | str = LADDER,
    zeta: float = 2.0,
) -> Descent:
    """AdaCGD (Makarenko, Gasanov, Islamov, Sadiev, Richtárik, arXiv 2211.00188): the cheapest level that will do.

    A client says nothing where ‖∇f_i(x⁺) - g_i‖² ≤ ζ‖∇f_i(x⁺) - ∇f_i(x)‖², else the first of `levels` whose error is at
    most that, else the last; the history counts how often each was used. ``down=adacgd:2,topk:1/topk:30`` sends the
    direction likewise: the bidirectional algorithm. γ ≤ 1/(L₋ + L₊√(B/A)) with A the least and B the largest of the
    levels'.

    Parameters
    ----------
    levels : sequence of Compressor, or str
        From the strongest compression to the weakest, as text "topk:1,topk:8".
    zeta : float
        ζ ≥ 0.
    """
    common = FirstOrder.of("adacgd", locals())
    return common.descent(common.tracked(AdaCGD(cast(tuple[Compressor, ...], levels), zeta)))
