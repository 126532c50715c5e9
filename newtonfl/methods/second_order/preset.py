"""Presets: the papers' methods as settings of the round's five sockets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from newtonfl.bases import Basis
from newtonfl.comm.coding import PRECISIONS, Precision
from newtonfl.components.curvature.learned import LearnedHessian
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.gradient.invariant import InvariantGradient
from newtonfl.components.model.base import ExactModel, Model, TrackedModel
from newtonfl.components.participation import All, Participation
from newtonfl.components.protocol import Method
from newtonfl.components.step.base import Plain, Project, Shift, Step
from newtonfl.components.step.cubic import Cubic
from newtonfl.components.step.line_search import LineSearch
from newtonfl.compressors import Compressor, Identity, Rounded, TopK
from newtonfl.mechanisms import EF21, Mechanism
from newtonfl.methods.round import Descent
from newtonfl.registry import from_spec, known, nearest

M = TypeVar("M", bound=Method)

DEFAULTS: dict[str, Any] = {
    "compressor": TopK("1d"),
    "mechanism": None,
    "alpha": "auto",
    "step_uses": "after",
    "basis": "auto",
    "init": "hessian",
    "step": "shift",
    "shift_norm": "frobenius",
    "l": "fresh",
    "lipschitz": "theory",
    "line_search": 0,
    "armijo": 0.5,
    "backtrack": 0.5,
    "gradient": "exact",
    "gradient_p": 1.0,
    "model": "exact",
    "model_rate": "auto",
    "participation": All(),
    "ridge": "server",
    "wire": "float64",
}
"""Every setting of a second-order preset, and what it is when neither the preset nor the user says otherwise.

compressor
    How much of a Hessian's change is sent.
mechanism
    What is sent given what was sent before: a Mechanism such as ``LAG(2)``, or what makes one of `compressor`, such as
    ``CLAG`` or ``lambda c: CBAG(c, p=0.5)``; None is EF21 with `compressor` and `alpha`.
alpha
    EF21's rate: a number in (0, 1], "theory" or "auto".
step_uses
    Whether the step uses the estimate "after" this round's message (Newton-3PC) or "before" it (FedNL).
basis
    "auto", "symmetric", "symmetric-plain", "support", "data", "rotation", "psd", or a Basis.
init
    H_i⁰: "hessian" (sent once, counted as set-up), "zero", or "zero-total" (zero with its ridge).
step
    "shift" (H + l·I), "project" ([H]_λ), "plain" or "cubic".
shift_norm, l
    The norm of l_i, "frobenius" or "spectral"; and whether a round that tells no Hessian needs a "fresh" l_i.
lipschitz
    The cubic step's constant: "theory" (the clients' L_*i, told when they join) or a number.
line_search, armijo, backtrack
    How many trial steps an exchange asks for (0: no line search), c and γ.
gradient, gradient_p
    "exact", "invariant" (what partial participation needs and gets), or a Mechanism or Compressor that tells of
    gradients; and how likely a round tells them at all.
model, model_rate
    "exact", or a Mechanism or Compressor that tells of the iterate; and that compressor's rate η.
participation
    A Participation: All(), Uniform(τ), Independent(p), Trace.read(path).
ridge
    Whether λ/2‖x‖² is added by the "server", or stands in the "clients"' functions and so in what is learned.
wire
    "float64", "float32" or "natural".
"""


MOST_TRIALS = 1000
"""γˢ has long vanished by then."""


def check_choice(key: str, given: object, allowed: tuple[str, ...]) -> None:
    """Refuse a setting that is none of the `allowed` words."""
    if given not in allowed:
        raise ValueError(f"{key}: given {given!r}, allowed are {', '.join(allowed)}")


def preset(name: str, doc: str, *, without: tuple[str, ...] = (), **own: Any) -> Callable[..., Descent]:
    """A function that makes the method `name`: the round with the preset's `own` settings unless others are given.

    Parameters
    ----------
    name : str
    doc : str
        Its docstring: the paper, its equations and its theory's conditions.
    without : tuple of str
        Settings that make the method what it is, and cannot be given.
    own : settings
        Where it differs from :data:`DEFAULTS`.
    """
    everything = {**DEFAULTS, **own}

    def make(given: Mapping[str, Any]) -> Descent:
        unused = _unused(given, everything)
        if unused:
            raise ValueError(f"{name}: {unused}")
        return assemble(name, {**everything, **given})

    offered = {key: value for key, value in everything.items() if key not in without}
    return make_preset(
        name, with_settings_note(doc, ":data:`newtonfl.methods.second_order.preset.DEFAULTS`"), offered, make
    )


def with_settings_note(doc: str, tables: str) -> str:
    """A preset's docstring that says, before its examples, which `tables` explain its settings."""
    text, heading, examples = inspect.cleandoc(doc).partition("\n\nExamples\n")
    note = f"Settings: see {tables}.\nWhat is not allowed raises ValueError or TypeError."
    return f"{text}\n\n{note}{heading}{examples}\n"


def make_preset(
    name: str, doc: str, offered: Mapping[str, Any], make: Callable[[Mapping[str, Any]], M]
) -> Callable[..., M]:
    """A function with the settings `offered` as keyword arguments that makes a method of them all."""

    def preset(**settings: Any) -> M:
        for key in settings:
            if key not in offered:
                raise TypeError(f"{name} has no setting {key!r}; it has {', '.join(offered)}")
        return make({**offered, **settings})

    preset.__name__ = preset.__qualname__ = name.replace("-", "_")
    preset.__doc__ = doc
    preset.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value) for key, value in offered.items()],
    )
    return preset


def _unused(given: Mapping[str, Any], preset: Mapping[str, Any]) -> str:
    """What was given and would not be used; empty where all is."""
    all_ = {**preset, **given}
    own = isinstance(all_["mechanism"], Mechanism)
    idle = {
        "compressor": own and "the mechanism holds its own compressor; give one or the other",
        "alpha": all_["mechanism"] not in (None, EF21) and "alpha is EF21's rate, and the mechanism is another",
        "model_rate": not isinstance(all_["model"], Compressor) and "model_rate is the rate of a model's compressor",
        "armijo": not all_["line_search"] and "armijo belongs to a line search; give line_search=20",
        "backtrack": not all_["line_search"] and "backtrack belongs to a line search; give line_search=20",
        "lipschitz": all_["step"] != "cubic" and "lipschitz belongs to step=cubic",
    }
    return next(
        (why for key, why in idle.items() if why and key in given and given[key] not in (DEFAULTS[key], preset[key])),
        "",
    )


def assemble(name: str, given: Mapping[str, Any]) -> Descent:
    """The round with these settings, all of :data:`DEFAULTS` among them."""
    wire = given["wire"]
    check_choice("wire", wire, PRECISIONS)
    check_choice("ridge", given["ridge"], ("server", "clients"))
    if "optimum" not in given:
        check_choice("init", given["init"], ("hessian", "zero", "zero-total"))
    curvature = LearnedHessian(
        on_wire(_mechanism(given), wire), basis_of(given["basis"]), given["init"], wire, _optimum(given)
    )
    return Descent(
        step_of(given), curvature, _gradient(given, wire), _model(given, wire), _participation(given),
        ridge=given["ridge"], wire=wire, name=name,
    )  # fmt: skip


def _mechanism(given: Mapping[str, Any]) -> Mechanism:
    check_choice("step_uses", given["step_uses"], ("after", "before"))
    mechanism = given["mechanism"]
    if mechanism is None or mechanism is EF21:
        return EF21(given["compressor"], given["alpha"], step_uses=given["step_uses"])
    if callable(mechanism):
        try:
            mechanism = mechanism(given["compressor"])
        except TypeError as error:
            raise TypeError(
                f"mechanism: {getattr(mechanism, '__name__', mechanism)} is not made of a compressor alone ({error}): "
                "give a Mechanism such as CLAG(TopK(30), zeta=2)"
            ) from None
    if not isinstance(mechanism, Mechanism):
        raise TypeError(f"mechanism: given {mechanism!r}, must be a Mechanism such as CLAG(TopK(30), zeta=2)")
    # Who makes a mechanism for the estimate before the message means it.
    return mechanism if mechanism.step_uses == "before" else replace(mechanism, step_uses=given["step_uses"])


def _optimum(given: Mapping[str, Any]) -> tuple[float, ...] | None:
    if given.get("optimum") is None:
        return None
    try:
        found = np.asarray(given["optimum"], dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(())
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(f"optimum: given {given['optimum']!r}, must be the solution x*, a vector of finite numbers")
    return tuple(found.tolist())


def step_of(given: Mapping[str, Any]) -> Step:
    """The step socket."""
    check_choice("step", given["step"], ("shift", "project", "plain", "cubic"))
    check_choice("shift_norm", given["shift_norm"], ("frobenius", "spectral"))
    check_choice("l", given["l"], ("fresh", "last"))
    inner: Step
    if given["step"] == "cubic":
        inner = Cubic(given["shift_norm"], given["l"], given["lipschitz"])
    elif given["step"] == "shift":
        inner = Shift(given["shift_norm"], given["l"])
    else:
        inner = {"project": Project(), "plain": Plain()}[given["step"]]
    trials = given["line_search"]
    if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or not 0 <= trials <= MOST_TRIALS:
        raise ValueError(
            f"line_search: given {trials!r}, must be a whole number of trial steps up to {MOST_TRIALS}, 0 for none"
        )
    if trials == 0:
        return inner
    return LineSearch(inner, given["armijo"], given["backtrack"], int(trials))


def basis_of(basis: str | Basis) -> Basis | None:
    """The basis by its name; None leaves the choice to the problem."""
    if isinstance(basis, Basis):
        return basis
    if basis == "auto":
        return None
    names = known("basis")
    if basis not in names:
        raise nearest("basis", basis, ["auto", *names])
    made: Basis = from_spec("basis", basis)
    return made


def on_wire(mechanism: Mechanism, wire: Precision) -> Mechanism:
    """The mechanism at the wire's precision."""
    return mechanism if wire == "float64" else mechanism.on_wire(lambda compressor: Rounded(compressor, wire))


def vector_mechanism(key: str, given: Any, alpha: Any, wire: Precision) -> Mechanism | None:
    """How a vector is told; None tells it whole.

    Exact values would stop a float32 run at a gradient norm of 5e-10. Differences do not: so below float64 what is
    exact becomes EF21 with a rounding compressor.
    """
    check_choice("wire", wire, PRECISIONS)
    if isinstance(given, str):
        check_choice(key, given, ("exact",))
        return None if wire == "float64" else on_wire(EF21(Identity()), wire)
    if isinstance(given, Compressor):
        return on_wire(EF21(given, alpha), wire)
    if not isinstance(given, Mechanism):
        raise TypeError(f"{key}: given {given!r}, must be 'exact', a Compressor or a Mechanism")
    return on_wire(given, wire)


def _gradient(given: Mapping[str, Any], wire: Precision) -> Gradient:
    if _participation(given).partial or given["gradient"] == "invariant":
        if given["gradient"] not in ("exact", "invariant"):
            raise ValueError("gradient: under partial participation invariants are told, whole: use gradient=exact")
        if wire == "natural":
            raise ValueError("wire=natural: an invariant holds H_i w_i, which bears no powers of two: use float32")
        return InvariantGradient(on_wire(EF21(Identity()), wire), given["gradient_p"])
    return AnchoredGradient(vector_mechanism("gradient", given["gradient"], "auto", wire), given["gradient_p"])


def _model(given: Mapping[str, Any], wire: Precision) -> Model:
    mechanism = vector_mechanism("model", given["model"], given["model_rate"], wire)
    return ExactModel() if mechanism is None else TrackedModel(mechanism)


def _participation(given: Mapping[str, Any]) -> Participation:
    participation: Participation = given["participation"]
    if not isinstance(participation, Participation):
        raise TypeError(f"participation: given {participation!r}, must be a Participation such as Uniform(8)")
    return participation


def vectors_on_wire(wire: Precision) -> tuple[Gradient, Model]:
    """The exact gradient and model sockets at the wire's precision."""
    mechanism = vector_mechanism("model", "exact", "auto", wire)
    return AnchoredGradient(mechanism), ExactModel() if mechanism is None else TrackedModel(mechanism)
