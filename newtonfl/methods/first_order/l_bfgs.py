"""L-BFGS with the clients' gradients."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.step.interpolation import Interpolation
from newtonfl.components.step.limited_memory import LimitedMemory
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, SECOND_ORDER, Ridge, VectorForm
from newtonfl.methods.spec import to_text
from newtonfl.methods.typed import method
from newtonfl.methods.wire import model_on_wire, vector_mechanism


@method("l-bfgs", SECOND_ORDER | FIRST_ORDER)
def l_bfgs(
    *,
    memory: int = 10,
    line_search: int = 3,
    backtrack: float = 0.5,
    gradient: VectorForm = "exact",
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """L-BFGS: x⁺ = x - tB∇f(x), B the inverse Hessian that the last `memory` steps and gradients show.

    Clients send f_i and ∇f_i, nothing of a Hessian; the server keeps 2·`memory` vectors and finds B∇f by the two-loop
    recursion (Nocedal and Wright, Numerical Optimization, 2nd edition, Algorithm 7.4). t is the vertex of a parabola
    through the best of the steps 1/γ, 1, γ, … and its neighbours. Right for very many columns, and from anywhere.
    Linear where f is strongly convex; how fast, its condition decides.

    What is sent, in two exchanges: x down, ∇f_i up; the direction down, f_i at x and all trial steps up. That is 2d + 1
    down, d + `line_search` + 1 up.

    Parameters
    ----------
    memory : int
        How many pairs of steps and gradients' changes the server keeps.
    line_search : int
        How many steps one exchange asks for, at least 1; where none makes f fall, the next as many smaller ones.
    backtrack : float
        γ: a trial step is γ times the one before.
    gradient : Compressor, Mechanism or str
        How ∇f_i is sent: "exact", by a Compressor (EF21 with it) or a Mechanism, as text "topk:30".
    """
    return Descent(
        LimitedMemory(Interpolation(backtrack, line_search), memory),
        gradient=AnchoredGradient(vector_mechanism("gradient", gradient, "auto", wire)),
        model=model_on_wire("exact", "auto", wire), ridge=ridge, wire=wire, name="l-bfgs",
        own_parameters=(("gradient", to_text(gradient)),),
    )  # fmt: skip
