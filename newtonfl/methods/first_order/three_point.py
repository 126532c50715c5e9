"""Gradients told by a three-point mechanism: LAG, CLAG, 3PCv1 … v5 (arXiv 2202.00998)."""

from __future__ import annotations

from newtonfl.compressors import RandK, TopK
from newtonfl.mechanisms import CLAG, LAG, ThreePCv1, ThreePCv2, ThreePCv3, ThreePCv4, ThreePCv5
from newtonfl.methods.first_order.preset import EVERYWHERE, TRACKED, first_order

_DOWN = {"down": EVERYWHERE["down"]}
_WHOLE = {key: value for key, value in TRACKED.items() if key != "compressor"}

_THEORY = """

    x⁺ = x - γ·mean g_i with g_i ← C_{g_i, ∇f_i(x)}(∇f_i(x⁺)); mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) + G⁰/(AT) for γ ≤
    1/(L₋ + L₊√(B/A)) (3PC, Richtárik et al., arXiv 2202.00998)."""

lag = first_order(
    "lag",
    "LAG: a client sends its gradient where it has moved: ‖∇f_i(x⁺) - g_i‖² > ζ‖∇f_i(x⁺) - ∇f_i(x)‖²."
    + _THEORY
    + " ``zeta`` is ζ ≥ 0.",
    mechanism=lambda given: LAG(given["zeta"]),
    **_WHOLE,
    **_DOWN,
    zeta=2.0,
)

clag = first_order(
    "clag",
    "CLAG: EF21 where the gradient has moved: ‖∇f_i(x⁺) - g_i‖² > ζ‖∇f_i(x⁺) - ∇f_i(x)‖², else nothing."
    + _THEORY
    + " ``zeta`` is ζ ≥ 0.",
    mechanism=lambda given: CLAG(given["compressor"], given["zeta"]),
    **TRACKED,
    **_DOWN,
    zeta=2.0,
)

v1 = first_order(
    "3pc-v1",
    "3PCv1: g_i ← ∇f_i(x) + C(∇f_i(x⁺) - ∇f_i(x)). As many numbers are sent as x has: of theoretical interest."
    + _THEORY,
    mechanism=lambda given: ThreePCv1(given["compressor"]),
    **TRACKED,
    **_DOWN,
)

v2 = first_order(
    "3pc-v2",
    "3PCv2: g_i ← b + C(∇f_i(x⁺) - b) with b = g_i + Q(∇f_i(x⁺) - ∇f_i(x)), Q the unbiased `first`." + _THEORY,
    mechanism=lambda given: ThreePCv2(given["compressor"], given["first"]),
    **TRACKED,
    **_DOWN,
    first=RandK("0.1d"),
)

v3 = first_order(
    "3pc-v3",
    "3PCv3: g_i ← b + C(∇f_i(x⁺) - b) with b what the `inner` mechanism makes of g_i." + _THEORY,
    mechanism=lambda given: ThreePCv3(given["compressor"], given["inner"]),
    **TRACKED,
    **_DOWN,
    inner=CLAG(TopK("0.1d"), 2.0),
)

v4 = first_order(
    "3pc-v4",
    "3PCv4: g_i ← b + C₁(∇f_i(x⁺) - b) with b = g_i + C₂(∇f_i(x⁺) - g_i), C₂ the `first`." + _THEORY,
    mechanism=lambda given: ThreePCv4(given["compressor"], given["first"]),
    **{**TRACKED, "compressor": TopK("0.05d")},
    **EVERYWHERE,
    first=TopK("0.05d"),
)

v5 = first_order(
    "3pc-v5",
    "3PCv5: g_i ← ∇f_i(x⁺) with probability p, else g_i + C(∇f_i(x⁺) - ∇f_i(x)); one coin for all."
    + _THEORY
    + " ``p`` is p in (0, 1].",
    mechanism=lambda given: ThreePCv5(given["compressor"], given["p"]),
    **TRACKED,
    **_DOWN,
    p=0.1,
)
