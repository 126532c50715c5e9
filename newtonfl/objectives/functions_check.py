"""Whether a user's gradient is the derivative of the value, and the Hessian of the gradient, at one point.

A check that accuses a sound function is worse than none. So differences are taken at several lengths, with an error
that is estimated at each, and the length that knows best decides, if another agrees; what is known to a part in a
thousand at none is not judged, nor is a derivative that jumps there (Huber's curvature, the hinge's), nor what is drawn
at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

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

_REACH = 1e-2
"""How far differences reach, in the length that they are taken at."""

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

    at, said, here = partial(called, function), called(slope, x + 0.0), called(function, x + 0.0)
    if said.shape[-1:] != x.shape or said.ndim != here.ndim + 1:
        return ""  # the solve says what shape it must have
    if not (np.array_equal(said, called(slope, x + 0.0)) and np.array_equal(here, at(x + 0.0))):
        return ""  # drawn at random
    for u in directions:
        along = _suspect(at, said, x, u, _LENGTHS * max(1.0, float(np.linalg.norm(x))))
        # At one length alone noise may look exact.
        if along is None or len(along.agree) == 1 or along.gap <= _NEAR * _jump(at, x, u / np.linalg.norm(u), along):
            continue
        entry = f"entry {along.row} along a random direction" if said.ndim == 2 else "its part along a random direction"

        def differs(part: Array, u: Array = u, length: float = along.length) -> bool:
            # Once something is wrong, a smaller trace of it will do, at the length that showed it.
            return _suspect(at, said, x, _within(part, u), [length], 1e-2 * _ALLOWED) is not None

        columns = _narrowed(np.arange(len(x)), differs)
        axis = _suspect(at, said, x, _within(columns, np.ones(len(x))), [along.length]) if len(columns) == 1 else None
        if axis is not None:
            along = axis
            entry = f"entry ({axis.row}, {columns[0]})" if said.ndim == 2 else f"entry {columns[0]}"
        derived = {"value": "gradient", "gradient": "hessian"}[name]
        return (
            f"{derived}({client}, x): {entry} is {along.claimed:.6g} at the start, must be the derivative of {name}, "
            f"whose differences give {along.expected:.6g}"
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


class _Suspect(NamedTuple):
    """The worst entry of a derivative, both numbers a unit, the length that tells, all that agree, the least first."""

    row: int
    claimed: float
    expected: float
    length: float
    agree: tuple[float, ...] = ()

    @property
    def gap(self) -> float:
        return abs(self.claimed - self.expected)


def _suspect(
    at: Callable[[Array], Array], said: Array, x: Array, u: Array, lengths: Iterable[float], allowed: float = _ALLOWED
) -> _Suspect | None:
    """Where `said` is not the derivative along `u`; None where it is, or nothing is known."""
    if not u.any():
        return None
    u = u / np.linalg.norm(u)
    found = said @ u
    guesses: list[tuple[float, Array, float]] = []
    suspects: list[tuple[float, _Suspect]] = []
    fits: list[float] = []
    for length in lengths:
        for sizes in (2, 6):
            guess, off, change = (part / length for part in _differences(at, x, length * u, sizes))
            error = float(np.max(off))
            if not np.isfinite(error):
                continue
            scale = max(float(np.abs(guess).max()), float(np.abs(found).max()), np.finfo(float).tiny)
            guesses.append((length, np.ravel(guess), error))
            excess = np.ravel(np.abs(found - guess) - off - allowed * scale)
            row = int(np.argmax(excess))
            if excess[row] <= 0.0:
                # Where both are zero, as at a minimiser, the error is small beside how much there is to see.
                if not suspects and error <= _KNOWN * max(scale, float(np.abs(change).max())):
                    return None
                fits.append(error)
            elif error <= _KNOWN * scale:
                claimed, expected = float(np.ravel(found)[row]), float(np.ravel(guess)[row])
                suspects.append((error / scale, _Suspect(row, claimed, expected, length)))
    # Where a claim fits elsewhere, however roughly, and what was expected does not, nothing is known: steps that are
    # too short for a function's own rounding show no change at all.
    clear = [(doubt, suspect) for doubt, suspect in suspects if all(error > 0.5 * suspect.gap for error in fits)]
    if not clear:
        return None
    row, _, expected, length, _ = suspect = min(clear)[1]
    agree = {other for other, guess, error in guesses if max(error, abs(guess[row] - expected)) <= 0.05 * suspect.gap}
    return suspect._replace(agree=tuple(sorted(agree | {length})))


def _jump(at: Callable[[Array], Array], x: Array, u: Array, suspect: _Suspect) -> float:
    """By how much that entry's derivative along `u` varies in any neighbourhood of `x`: not at all without a kink."""
    short = 1e-3 * suspect.agree[0]
    around = Key(0).to("around").generator().standard_normal((6, len(x)))
    around = np.concatenate([[u, -u], around / np.linalg.norm(around, axis=1)[:, None]])

    def variation(radius: float) -> float:
        step = 0.1 * radius * u
        changes = [at(x + radius * w + step) - at(x + radius * w - step) for w in around]
        return float(np.ptp([np.ravel(change)[suspect.row] for change in changes])) / (0.2 * radius)

    # A bend varies it by as much as the radius, and this leaves what stays when that goes to zero.
    return max(0.0, (8.0 * variation(short / 8.0) - variation(short)) / 7.0)


def _differences(at: Callable[[Array], Array], x: Array, v: Array, sizes: int) -> tuple[Array, Array, Array]:
    """The derivative along `v`, its error, and the mean slope as far as they reach.

    Not numbers where a function is not defined so far out.
    """
    try:
        slope, error = derivative(lambda t: np.stack([at(x + step * v) for step in t]), np.zeros(1), sizes)
        return slope[0], error[0], (at(x + _REACH * v) - at(x + 0.0)) / _REACH
    except Exception:  # whatever its author raises there
        nothing = np.full_like(at(x + 0.0), np.nan)
        return nothing, nothing, nothing
