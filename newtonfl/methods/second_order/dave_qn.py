"""DAve-QN: BFGS of every client's own function, asynchronously."""

from __future__ import annotations

from typing import cast

from newtonfl.components.curvature.client_bfgs import ClientBFGS
from newtonfl.components.gradient.invariant import InvariantGradient
from newtonfl.components.participation import Arrivals, Participation
from newtonfl.components.step.newton import Positive
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import SECOND_ORDER, ParticipationForm, Ridge
from newtonfl.methods.typed import method


@method("dave-qn", SECOND_ORDER)
def dave_qn(*, participation: ParticipationForm = Arrivals("pure"), ridge: Ridge = "server") -> Descent:
    """DAve-QN (Soori, Mishchenko, Mokhtari, Dehnavi, Gurbuzbalaban, arXiv 1906.00506): quasi-Newton, asynchronous.

    x⁺ = (mean B_i)⁻¹ mean(B_i z_i - ∇f_i(z_i)), z_i being the iterate that client i was given last, and B_i the BFGS
    matrix that its own steps and gradients show, from B_i⁰ = L_i I. What a client sends is three vectors, whatever d
    is; the iteration is local and superlinear where every f_i is strongly convex: each client needs
    some d answers until its matrix is known. From memory of the paper. Its server updates an inverse, for d² work an
    answer; here the mean is factored, for d³, which is the same up to rounding.

    What is sent: x down; y_i/√(y_iᵀs_i), B_i s_i/√(s_iᵀB_i s_i), and the change of B_i z_i - ∇f_i(z_i) up, as float64.

    Parameters
    ----------
    participation : Participation or str
        Arrivals(order, law, spread, wait), as text "arrivals:pure"; with "all" or "uniform:8" it is synchronous.
    """
    return Descent(
        Positive(), ClientBFGS(), InvariantGradient(), participation=cast(Participation, participation), ridge=ridge,
        name="dave-qn",
    )  # fmt: skip
