"""What the second-order presets share: named settings, turned into sockets."""

from __future__ import annotations

from typing import Literal, TypeAlias

from newtonfl.bases import Basis, Support, Symmetric
from newtonfl.coding import PRECISIONS, Precision
from newtonfl.compressors import Compressor, Identity, Rounded
from newtonfl.mechanisms import EF21, Alpha
from newtonfl.methods.curvature import ErrorNorm, Init, LearnedHessian
from newtonfl.methods.descent import Descent
from newtonfl.methods.gradients import ExactGradient, Gradient, TrackedGradient
from newtonfl.methods.models import ExactModel, Model, TrackedModel
from newtonfl.methods.steps import Plain, Project, Shift, Step

StepName: TypeAlias = Literal["project", "shift", "plain"]
BasisName: TypeAlias = Literal["auto", "symmetric", "symmetric-plain", "support"]
RidgeAt: TypeAlias = Literal["server", "clients"]

_BASES: dict[str, Basis | None] = {
    "auto": None,
    "symmetric": Symmetric(),
    "symmetric-plain": Symmetric(isometric=False),
    "support": Support(),
}


def one_of(key: str, given: object, allowed: tuple[str, ...]) -> None:
    """Refuse a setting that is none of the `allowed` words."""
    if given not in allowed:
        raise ValueError(f"{key}: given {given!r}, allowed are {', '.join(allowed)}")


def step_of(step: StepName, shift_norm: ErrorNorm) -> Step:
    """The step socket."""
    one_of("step", step, ("project", "shift", "plain"))
    one_of("shift_norm", shift_norm, ("frobenius", "spectral"))
    return {"project": Project(), "shift": Shift(shift_norm), "plain": Plain()}[step]


def basis_of(basis: BasisName | Basis) -> Basis | None:
    """The basis by its name; None leaves the choice to the problem."""
    if isinstance(basis, Basis):
        return basis
    one_of("basis", basis, tuple(_BASES))
    return _BASES[basis]


def on_wire(compressor: Compressor, wire: Precision) -> Compressor:
    """The compressor at the wire's precision."""
    one_of("wire", wire, PRECISIONS)
    return compressor if wire == "float64" else Rounded(compressor, wire)


def vectors_on_wire(wire: Precision) -> tuple[Gradient, Model]:
    """The gradient and model sockets at the wire's precision.

    Exact values would stop a float32 run at a gradient norm of 5e-10. Differences do not: so below float64 the exact
    sockets become EF21 with a rounding compressor.
    """
    if wire == "float64":
        return ExactGradient(), ExactModel()
    rounding = EF21(on_wire(Identity(), wire))
    return TrackedGradient(rounding), TrackedModel(rounding)


def learned(
    name: str,
    compressor: Compressor,
    step: StepName,
    shift_norm: ErrorNorm,
    alpha: Alpha,
    init: Init,
    step_uses: Literal["after", "before"],
    basis: BasisName | Basis,
    ridge: RidgeAt,
    wire: Precision,
) -> Descent:
    """The round with Hessians learned by the EF21 mechanism.

    Parameters
    ----------
    name : str
        The preset's name.
    compressor : Compressor
        How much of a Hessian's change is sent.
    step : {"shift", "project", "plain"}
        How the estimate is made safe to invert.
    shift_norm : {"frobenius", "spectral"}
        The norm of l_i.
    alpha : float, "theory" or "auto"
        The Hessian learning rate; see :class:`EF21`.
    init : {"hessian", "zero", "zero-total"}
        H_i⁰.
    step_uses : {"after", "before"}
        Whether the step uses the estimate after this round's message or before it.
    basis : {"auto", "symmetric", "symmetric-plain", "support"} or Basis
        The coordinates of the Hessians.
    ridge : {"server", "clients"}
        Where λ/2‖x‖² is added.
    wire : {"float64", "float32", "natural"}
        How numbers are sent.
    """
    if not isinstance(compressor, Compressor):
        raise TypeError(f"compressor: given {compressor!r}, must be a Compressor such as TopK(30)")
    one_of("init", init, ("hessian", "zero", "zero-total"))
    one_of("step_uses", step_uses, ("after", "before"))
    one_of("ridge", ridge, ("server", "clients"))
    if isinstance(alpha, str):
        one_of("alpha", alpha, ("auto", "theory"))
    elif isinstance(alpha, bool) or not 0 < alpha <= 1:
        raise ValueError(f"alpha: given {alpha}, must be in (0, 1], or 'theory'")
    gradient, model = vectors_on_wire(wire)
    mechanism = EF21(on_wire(compressor, wire), alpha, step_uses)
    curvature = LearnedHessian(mechanism, basis_of(basis), init, wire)
    return Descent(step_of(step, shift_norm), curvature, gradient, model, ridge=ridge, wire=wire, name=name)
