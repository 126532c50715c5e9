"""MARINA and PP-MARINA."""

from __future__ import annotations

from newtonfl.components.gradient.shared_gradient import SharedGradient
from newtonfl.components.participation import All, Uniform
from newtonfl.compressors import Identity, RandK
from newtonfl.methods.first_order.preset import Given, first_order, rounded


def _shared(given: Given) -> SharedGradient:
    compressor, wire, part = given["compressor"], given["wire"], given.get("participation", All())
    if not isinstance(part, All | Uniform):
        raise ValueError(f"participation: given {part!r}, and pp-marina draws a fixed number of clients: use uniform:8")
    return SharedGradient(rounded(compressor, wire), given["p"], rounded(Identity(), wire))


marina = first_order(
    "marina",
    """MARINA (Gorbunov, Burlachenko, Li, Richtárik, arXiv 2102.07845): Q unbiased.

    With probability p, one coin for all, g = ∇f(x⁺); else g ← g + mean Q(∇f_i(x⁺) - ∇f_i(x)). The mean obeys the
    three-point inequality with (A, B) = (p, (1-p)ω/n), hence E‖∇f‖² ≤ 2(f(x⁰) - f*)/(γT) for γ ≤ 1/(L₋ + L₊√(B/A)).
    On a float32 wire the gradient norm stops near 1e-9: whole gradients are sent, not differences. ``p`` is p in
    (0, 1].""",
    gradient=_shared,
    compressor=RandK("0.1d"),
    p=0.1,
)

pp_marina = first_order(
    "pp-marina",
    """PP-MARINA (Gorbunov et al., arXiv 2102.07845): on tails τ clients send, and the mean is over them.

    All hear in every round. The τ are drawn without replacement, whose variance v = (ω + (n-τ)/(n-1))/τ is at most the
    paper's (1+ω)/τ; (A, B) = (p, (1-p)v). ``p`` is p in (0, 1].""",
    gradient=_shared,
    compressor=RandK("0.1d"),
    p=0.1,
    participation=Uniform(0.5),
)
