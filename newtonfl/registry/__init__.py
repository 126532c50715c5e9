"""Registry: every part by its name, for the command line, problem files, estimators and Python strings.

A part is a compressor, mechanism, basis, loss, participation or method. ``"topk:8d"`` ⇄ ``TopK("8d")``,
``"newton-3pc,compressor=topk:30"`` ⇄ ``nf.newton_3pc(compressor=nf.TopK(30))``. What is not known is refused with the
nearest name.

May be imported by: solver, estimators, checks, experiments, cli.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from newtonfl.compressors import Compressor
from newtonfl.methods import (
    Method,
    accelerated_gd,
    adacgd,
    adiana,
    artemis,
    bl1,
    bl2,
    bl3,
    clag,
    cubic_newton_learn,
    diana,
    dingo,
    dore,
    ef21,
    ef21_bc,
    ef21_hb,
    ef21_plus,
    ef21_pp,
    ef21_sgd,
    ef21_sgdm,
    ef21_w,
    ef_bv,
    error_feedback,
    fednl,
    fednl_bc,
    fednl_cr,
    fednl_ls,
    fednl_pp,
    fib_ios,
    gd,
    giant,
    lag,
    m_fac,
    marina,
    newton,
    newton_3pc,
    newton_3pc_bc,
    newton_3pc_bc_pp,
    newton_3pc_cr,
    newton_3pc_ls,
    newton_star,
    newton_zero,
    nl1,
    nl2,
    pp_marina,
    v1,
    v2,
    v3,
    v4,
    v5,
)
from newtonfl.registry.compressors import compressor
from newtonfl.registry.mechanisms import mechanism, participation, spoken
from newtonfl.registry.words import nearest, number_or_word

METHODS: dict[str, Callable[..., Method]] = {
    "newton": newton,
    "newton-star": newton_star,
    "newton-zero": newton_zero,
    "gd": gd,
    "fednl": fednl,
    "fednl-pp": fednl_pp,
    "fednl-cr": fednl_cr,
    "fednl-ls": fednl_ls,
    "fednl-bc": fednl_bc,
    "newton-3pc": newton_3pc,
    "newton-3pc-bc": newton_3pc_bc,
    "newton-3pc-bc-pp": newton_3pc_bc_pp,
    "newton-3pc-cr": newton_3pc_cr,
    "newton-3pc-ls": newton_3pc_ls,
    "bl1": bl1,
    "bl2": bl2,
    "bl3": bl3,
    "nl1": nl1,
    "nl2": nl2,
    "cubic-newton-learn": cubic_newton_learn,
    "dingo": dingo,
    "giant": giant,
    "fib-ios": fib_ios,
    "accelerated-gd": accelerated_gd,
    "ef21": ef21,
    "ef21-plus": ef21_plus,
    "ef21-w": ef21_w,
    "ef21-pp": ef21_pp,
    "ef21-bc": ef21_bc,
    "ef21-hb": ef21_hb,
    "ef21-sgd": ef21_sgd,
    "ef21-sgdm": ef21_sgdm,
    "error-feedback": error_feedback,
    "lag": lag,
    "clag": clag,
    "3pc-v1": v1,
    "3pc-v2": v2,
    "3pc-v3": v3,
    "3pc-v4": v4,
    "3pc-v5": v5,
    "adacgd": adacgd,
    "marina": marina,
    "pp-marina": pp_marina,
    "diana": diana,
    "adiana": adiana,
    "ef-bv": ef_bv,
    "artemis": artemis,
    "dore": dore,
    "m-fac": m_fac,
}
"""Presets by name."""

_NUMBERS = (
    "alpha", "armijo", "backtrack", "batch", "beta", "c", "dampening", "eigenvectors", "eta", "gradient_p", "lam",
    "line_search", "lipschitz", "model_rate", "mu", "nu", "p", "phi", "rho", "stepsize", "theta", "trials", "window",
    "zeta",
)  # fmt: skip


def method(name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """The method of a preset's name and settings.

    Parameters
    ----------
    name : str
        One of :data:`METHODS`.
    settings : mapping or None
        Of the preset; values may be strings as on the command line.

    Returns
    -------
    Method
        With every other setting at its default.

    Raises
    ------
    ValueError
        If a name, a key or a value is not known; the message names the nearest.

    Examples
    --------
    >>> method("newton-3pc", {"compressor": "topk:8d", "step": "project"}).name
    'newton-3pc'
    """
    if name not in METHODS:
        raise nearest("method", name, METHODS)
    allowed = inspect.signature(METHODS[name]).parameters
    given: dict[str, Any] = {}
    for key, value in (settings or {}).items():
        if key not in allowed:
            raise nearest(f"setting of {name}", key, allowed)
        if key in ("compressor", "first") and not isinstance(value, Compressor):
            value = compressor(str(value))
        elif key == "levels" and isinstance(value, str):
            value = tuple(compressor(level) for level in value.split(","))
        elif key == "mechanism" and isinstance(value, str):
            value = mechanism(value, compressor)
        elif key in ("gradient", "model", "down", "inner") and isinstance(value, str) and value != "invariant":
            value = spoken(value, compressor)
        elif key == "participation" and isinstance(value, str):
            value = participation(value)
        elif key in _NUMBERS and isinstance(value, str):
            value = number_or_word(value)
        given[key] = value
    return METHODS[name](**given)


def parse(text: str) -> tuple[str, dict[str, str]]:
    """The preset's name and settings in ``NAME[,KEY=VALUE…]``; a piece without ``=`` belongs to the value before it.

    Parameters
    ----------
    text : str
        As the command line takes it.

    Returns
    -------
    name : str
        Not looked up.
    settings : dict of str
        Its settings, for :func:`method`.

    Raises
    ------
    ValueError
        If a setting has no key or no value, or is given twice.

    Examples
    --------
    >>> parse("newton-3pc,compressor=topk:30,line_search=20")
    ('newton-3pc', {'compressor': 'topk:30', 'line_search': '20'})
    >>> parse("adacgd,levels=topk:1,topk:8")
    ('adacgd', {'levels': 'topk:1,topk:8'})
    """
    name, *pieces = (piece.strip() for piece in text.split(","))
    given: dict[str, str] = {}
    last = ""
    for piece in pieces:
        key, equals, value = (part.strip() for part in piece.partition("="))
        if piece and not equals and last:
            given[last] += f",{piece}"
            continue
        if not (equals and key and value) or key in given:
            raise ValueError(f"method: given {text!r}, must be NAME[,KEY=VALUE…] with every key once")
        last, given[key] = key, value
    return name, given


def asks_for_optimum(name: str) -> bool:
    """Whether a preset needs the solution before it begins.

    Parameters
    ----------
    name : str
        Its name; false where there is no such preset.

    Returns
    -------
    bool
        True where `optimum` is among its settings.
    """
    return name in METHODS and "optimum" in inspect.signature(METHODS[name]).parameters


def settings(made: Method) -> dict[str, str | float]:
    """The settings of a method made by a preset.

    Parameters
    ----------
    made : Method
        Its ``name`` is the preset's.

    Returns
    -------
    dict
        Such that :func:`method` makes it again.
    """
    allowed = inspect.signature(METHODS[made.name]).parameters
    return {key: value for key, value in made.settings().items() if key in allowed}


def defaults(name: str) -> dict[str, str | float]:
    """The settings that a preset has when nothing is said.

    Parameters
    ----------
    name : str
        One of :data:`METHODS`.

    Returns
    -------
    dict
        As the command line writes them, but `optimum`, which it finds itself.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    made = settings(method(name))
    offered = inspect.signature(METHODS[name]).parameters
    told = {key: made.get(key, getattr(p.default, "text", p.default)) for key, p in offered.items()}
    return {key: value for key, value in told.items() if key != "optimum"}  # which the command line finds itself
