"""Whether a user's gradient is the derivative of the value, and the Hessian of the gradient, at one point.

A check that accuses a sound function is worse than none. So differences are taken at several lengths, with an error
that is estimated at each, and the length that knows best decides; what is not known to a part in a thousand at any is
not judged, nor is a derivative that jumps there: Huber's curvature, the hinge's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.objectives.differences import derivative

Function = Callable[[int, Array], Array | float]

_DIRECTIONS = 2

_LENGTHS = 10.0 ** np.array([0, -2, -4, -6, -8, 2, 4, 6])
"""Of a direction, in lengths of x (or 1 where x is shorter): a function may vary on any scale."""

_KNOWN = 1e-3
"""The largest relative error of differences that still tell something."""

_ALLOWED = 1e-4
"""A relative error that a user's own derivative may have, beside the differences'."""

_NEAR = 4.0
"""At a kink a user may name any derivative that there is close by, or a mean of them: this much of their spread."""


def check_functions(functions: Sequence[Function], client: int, x: Array, hessians: bool) -> None:
    """Refuse one client's functions where one is not the derivative of the one before it.

    Parameters
    ----------
    functions : sequence of callable
        value, gradient and Hessian, each of (client, x).
    client : int
        Whose.
    x : numpy.ndarray, shape (d,)
        Where.
    hessians : bool
        Whether the third is looked at.

    Raises
    ------
    ValueError
        At the first that is not; the message has the client, the entry and both numbers.
    """
    draw = Key(0).to("verify").of(client).generator()
    directions = draw.standard_normal((_DIRECTIONS, len(x)))
    for which, name in ((1, "value"), (2, "gradient"))[: 2 if hessians else 1]:
        try:
            with np.errstate(all="ignore"):
                fault = _compared(functions[which - 1], functions[which], client, x, directions, name)
        except Exception:  # the solve meets it too if it calls the function, and says where
            return
        if fault:
            raise ValueError(f"{fault}; with verify=False FromFunctions does not compare them")


def _compared(function: Function, slope: Function, client: int, x: Array, directions: Array, name: str) -> str:
    """How `function`'s differences and what its derivative `slope` says differ, in words; empty where they do not."""

    def called(which: Function, point: Array) -> Array:
        point.flags.writeable = False
        return np.array(which(client, point), dtype=np.float64)  # a copy: it may use its array again

    at, said = partial(called, function), called(slope, x + 0.0)
    if said.shape[-1:] != x.shape or said.ndim != at(x + 0.0).ndim + 1:
        return ""  # the solve says what shape it must have
    for u in directions:
        along = _suspect(at, said, x, u)
        if along is None:
            continue
        row, found, expected = along
        entry = f"entry {row} along a random direction" if said.ndim == 2 else "its part along a random direction"

        def differs(part: Array, u: Array = u) -> bool:
            # Once something is wrong, a smaller trace of it will do.
            return _suspect(at, said, x, _within(part, u), 1e-2 * _ALLOWED) is not None

        columns = _narrowed(np.arange(len(x)), differs)
        axis = _suspect(at, said, x, _within(columns, np.ones(len(x)))) if len(columns) == 1 else None
        if axis is not None:
            row, found, expected = axis
            entry = f"entry ({row}, {columns[0]})" if said.ndim == 2 else f"entry {columns[0]}"
        derived = {"value": "gradient", "gradient": "hessian"}[name]
        return (
            f"{derived}({client}, x): {entry} is {found:.6g} at the start, must be the derivative of {name}, whose "
            f"differences give {expected:.6g}"
        )
    return ""


def _narrowed(part: Array, differs: Callable[[Array], bool]) -> Array:
    """The coordinates of `part` down to one, by halves that still differ; as far as they do."""
    while len(part) > 1:
        halves = part[: len(part) // 2], part[len(part) // 2 :]
        half = next((half for half in halves if differs(half)), None)
        if half is None:
            break
        part = half
    return part


def _within(part: Array, u: Array) -> Array:
    """`u` at the coordinates of `part`, zero elsewhere."""
    v = np.zeros(len(u))
    v[part] = u[part]
    return v


def _suspect(
    at: Callable[[Array], Array], said: Array, x: Array, u: Array, allowed: float = _ALLOWED
) -> tuple[int, float, float] | None:
    """The worst entry where `said` is not the derivative along `u`, with both numbers a unit; None where it is."""
    if not u.any():
        return None
    u = u / np.linalg.norm(u)
    found, best, suspect = said @ u, _KNOWN, None
    errors: dict[float, float] = {}
    for length in _LENGTHS * max(1.0, float(np.linalg.norm(x))):
        for sizes in (2, 6):
            guess, off = (part / length for part in _differences(at, x, length * u, sizes))
            scale = max(float(np.abs(guess).max()), float(np.abs(found).max()), np.finfo(float).tiny)
            doubt = float(np.max(off)) / scale
            if not doubt <= _KNOWN:  # nor where it is not a number
                continue
            errors[length] = float(np.max(off))
            excess = np.ravel(np.abs(found - guess) - off - allowed * scale)
            row = int(np.argmax(excess))
            if excess[row] <= 0.0:
                # Who knows less than an accuser knew cannot acquit.
                if suspect is None or np.max(off) <= 0.5 * abs(suspect[1] - suspect[2]):
                    return None
            elif doubt <= best:
                best, suspect = doubt, (row, float(np.ravel(found)[row]), float(np.ravel(guess)[row]))
    if suspect is None:
        return None
    row, claimed, expected = suspect
    gap = abs(claimed - expected)
    short = 1e-3 * min((length for length, error in errors.items() if error <= 0.05 * gap), default=0.0)
    return suspect if short and gap > _NEAR * _jump(at, x, u, short, row) else None


def _jump(at: Callable[[Array], Array], x: Array, u: Array, short: float, row: int) -> float:
    """By how much that entry's derivative along `u` varies in any neighbourhood of `x`: not at all without a kink."""
    around = Key(0).to("around").generator().standard_normal((6, len(x)))
    around = np.concatenate([[u, -u], around / np.linalg.norm(around, axis=1)[:, None]])

    def variation(radius: float) -> float:
        step = 0.1 * radius * u
        changes = [at(x + radius * w + step) - at(x + radius * w - step) for w in around]
        return float(np.ptp([np.ravel(change)[row] for change in changes])) / (0.2 * radius)

    # A bend varies it by as much as the radius, and this leaves what stays when that goes to zero.
    return max(0.0, (8.0 * variation(short / 8.0) - variation(short)) / 7.0)


def _differences(at: Callable[[Array], Array], x: Array, v: Array, sizes: int) -> tuple[Array, Array]:
    """The derivative along `v` and its error; not a number where a function is not defined so far out."""
    try:
        slope, error = derivative(lambda t: np.stack([at(x + step * v) for step in t]), np.zeros(1), sizes)
    except (ArithmeticError, ValueError):
        return np.full_like(at(x + 0.0), np.nan), np.full_like(at(x + 0.0), np.nan)
    return slope[0], error[0]
