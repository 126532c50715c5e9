"""AdaCGD: clients that pick their level of compression."""

from __future__ import annotations

from newtonfl.compressors import TopK
from newtonfl.mechanisms import AdaCGD
from newtonfl.methods.first_order.preset import EVERYWHERE, TRACKED, first_order

LADDER = (TopK(1), TopK("0.02d"), TopK("0.05d"), TopK("0.1d"), TopK("0.25d"), TopK("0.5d"))
"""From one entry to half of them; saying nothing is the rung below."""

adacgd = first_order(
    "adacgd",
    """AdaCGD (Makarenko, Gasanov, Islamov, Sadiev, Richtárik, arXiv 2211.00188): the cheapest level that will do.

    A client says nothing where ‖∇f_i(x⁺) - g_i‖² ≤ ζ‖∇f_i(x⁺) - ∇f_i(x)‖², else the first of `levels` whose error is at
    most that, else the last; the history counts how often each was used. ``down=adacgd:2,topk:1/topk:30`` tells of the
    direction likewise: the bidirectional algorithm. γ ≤ 1/(L₋ + L₊√(B/A)) with A the least and B the largest of the
    levels', and ``zeta``, ζ ≥ 0.""",
    mechanism=lambda given: AdaCGD(given["levels"], given["zeta"]),
    **{key: value for key, value in TRACKED.items() if key != "compressor"},
    down=EVERYWHERE["down"],
    levels=LADDER,
    zeta=2.0,
)
