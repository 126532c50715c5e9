"""MARINA and PP-MARINA."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.shared_gradient import SharedGradient
from newtonfl.components.participation import All, Uniform
from newtonfl.compressors import RandK
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    CompressorForm,
    ParticipationForm,
    Ridge,
)
from newtonfl.methods.typed import method
from newtonfl.methods.wire import rounded


def _shared(common: FirstOrder, p: float) -> SharedGradient:
    """One mean for all, sent whole on heads."""
    participation = common.participation
    if not isinstance(participation, All | Uniform):
        raise ValueError(
            f"participation: given {participation!r}, and pp-marina draws a fixed number of clients: use uniform:8"
        )
    return SharedGradient(rounded(common.compressor, common.wire), p, common.whole)


@method("marina", FIRST_ORDER)
def marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
) -> Descent:
    """MARINA (Gorbunov, Burlachenko, Li, Richtárik, arXiv 2102.07845): Q unbiased.

    With probability p, one coin for all, g = ∇f(x⁺); else g ← g + mean Q(∇f_i(x⁺) - ∇f_i(x)). The mean obeys the
    three-point inequality with (A, B) = (p, (1-p)ω/n), hence E‖∇f‖² ≤ 2(f(x⁰) - f*)/(γT) for γ ≤ 1/(L₋ + L₊√(B/A)).
    On a float32 wire the gradient norm stops near 1e-9: whole gradients are sent, not differences.

    Parameters
    ----------
    p : float
        p in (0, 1], how likely whole gradients are sent.
    """
    common = FirstOrder.of("marina", locals())
    return common.descent(_shared(common, p))


@method("pp-marina", FIRST_ORDER)
def pp_marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
    participation: ParticipationForm = Uniform(0.5),
) -> Descent:
    """PP-MARINA (Gorbunov et al., arXiv 2102.07845): on tails τ clients send, and the mean is over them.

    All clients receive x in every round. The τ are drawn without replacement, whose variance v = (ω + (n-τ)/(n-1))/τ is
    at most the paper's (1+ω)/τ; (A, B) = (p, (1-p)v).

    Parameters
    ----------
    p : float
        p in (0, 1], how likely all clients send whole gradients.
    """
    common = FirstOrder.of("pp-marina", locals())
    return common.descent(_shared(common, p))
