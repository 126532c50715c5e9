"""First-order presets: the papers' methods as settings of the round's gradient, model and step sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from newtonfl.comm.coding import PRECISIONS, Precision
from newtonfl.components.curvature.base import Curvature, NoCurvature
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.gradient.oracle import Full, Minibatch, Source
from newtonfl.components.model.base import Model
from newtonfl.components.model.replayed import ReplayedModel
from newtonfl.components.participation import All, Participation
from newtonfl.components.step.base import Step
from newtonfl.components.step.fixed import Fixed
from newtonfl.components.step.stepsizes import StepSizeRule, ThreePoint
from newtonfl.compressors import Compressor, Identity, Rounded, TopK
from newtonfl.mechanisms import EF21, Mechanism
from newtonfl.methods.round import Descent
from newtonfl.methods.second_order.preset import (
    check_choice,
    make_preset,
    on_wire,
    vector_mechanism,
    vectors_on_wire,
    with_settings_note,
)
from newtonfl.registry import Part

Given = Mapping[str, Any]

COMMON: dict[str, Any] = {"stepsize": "theory", "ridge": "server", "wire": "float64"}
"""What every first-order preset has.

stepsize
    γ: a number; "theory", the largest that the method's theorem allows for smooth f; "theory-pl", that for a linear
    rate under strong convexity or the Polyak-Łojasiewicz condition; or a multiple such as "theory*16".
ridge
    Whether λ/2‖x‖² is added by the "server", or stands in the "clients"' functions.
wire
    "float64", "float32" or "natural".
"""

TRACKED: dict[str, Any] = {"compressor": TopK("0.1d"), "init": "gradient", "batch": "full"}
"""What presets have whose gradients a mechanism tells.

compressor
    How much of a gradient's change is sent.
init
    "gradient" (g_i⁰ = ∇f_i(x⁰), sent whole in round 0) or "zero" (the mechanism begins from 0).
batch
    "full", or how many of its rows a client draws for a gradient.
"""

EVERYWHERE: dict[str, Any] = {"participation": All(), "down": "exact"}
"""What presets have that bear partial participation and compression downwards.

participation
    A Participation: All(), Uniform(τ), Independent(p), Trace.read(path).
down
    "exact" (x is sent), or a Compressor or Mechanism that tells of the direction, and the clients step themselves.
"""


def first_order(
    name: str,
    doc: str,
    *,
    mechanism: Callable[[Given], Mechanism] | None = None,
    gradient: Callable[[Given], Gradient] | None = None,
    model: Callable[[Given], Model] | None = None,
    step: Callable[[Given, StepSizeRule], Step] | None = None,
    curvature: Callable[[Given], Curvature] | None = None,
    rule: StepSizeRule | None = None,
    **own: Any,
) -> Callable[..., Descent]:
    """A function that makes the first-order method `name`.

    Parameters
    ----------
    name : str
    doc : str
        Its docstring: the paper, its equations and its theory's conditions.
    mechanism, gradient, model, step, curvature : callable or None
        Sockets made of the settings; `mechanism` serves where the gradient socket is :class:`AnchoredGradient`.
    rule : StepSizeRule or None
        What theory allows; None is 3PC's.
    own : settings
        With their defaults, beside :data:`COMMON`.
    """
    allowed = rule or ThreePoint()

    def assemble(given: Given) -> Descent:
        check_choice("wire", given["wire"], PRECISIONS)
        check_choice("ridge", given["ridge"], ("server", "clients"))
        participation = given.get("participation", All())
        if not isinstance(participation, Participation):
            raise TypeError(f"participation: given {participation!r}, must be a Participation such as Uniform(8)")
        told = gradient(given) if gradient else anchored(given, mechanism(given) if mechanism else None)
        return Descent(
            step(given, allowed) if step else Fixed(given["stepsize"], allowed),
            curvature(given) if curvature else NoCurvature(),
            told,
            model(given) if model else downward(given),
            participation,
            ridge=given["ridge"], wire=given["wire"], name=name,
            given=tuple((key, as_text(value)) for key, value in given.items()),
        )  # fmt: skip

    tables = ":data:`newtonfl.methods.first_order.preset.COMMON`, TRACKED and EVERYWHERE beside it"
    return make_preset(name, with_settings_note(doc, tables), {**COMMON, **own}, assemble)


def anchored(given: Given, mechanism: Mechanism | None, **more: Any) -> AnchoredGradient:
    """The gradient socket that tells by a `mechanism` (None: whole)."""
    wire, init = given["wire"], given.get("init", "zero")
    check_choice("init", init, ("gradient", "zero"))
    told = vector_mechanism("gradient", "exact" if mechanism is None else mechanism, "auto", wire)
    return AnchoredGradient(told, source=source_of(given), init=init, whole=rounded(Identity(), wire), **more)


def source_of(given: Given) -> Source:
    """All rows, or a minibatch of them."""
    batch = given.get("batch", "full")
    return Full() if batch == "full" else Minibatch(batch)


def rounded(compressor: Compressor, wire: Precision) -> Compressor:
    """The compressor at the wire's precision."""
    return compressor if wire == "float64" else Rounded(compressor, wire)


def downward(given: Given) -> Model:
    """How the iterate reaches the clients."""
    down, wire = given.get("down", "exact"), given["wire"]
    if isinstance(down, str):
        check_choice("down", down, ("exact",))
        return vectors_on_wire(wire)[1]
    mechanism = EF21(down) if isinstance(down, Compressor) else down
    if not isinstance(mechanism, Mechanism):
        raise TypeError(f"down: given {down!r}, must be 'exact', a Compressor or a Mechanism")
    return ReplayedModel(on_wire(mechanism, wire), given.get("init", "zero"), rounded(Identity(), wire))


def as_text(value: Any) -> str | float:
    """A setting as the command line writes it."""
    if isinstance(value, tuple | list):
        return ",".join(str(as_text(each)) for each in value)
    return str(value) if isinstance(value, Part) else value
