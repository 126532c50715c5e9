"""Whether a loss's slope and curvature are its derivatives, its bounds hold, and its numbers are sound everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.checks.trials import no_error, promise, reads_back
from newtonfl.core.backend import Array
from newtonfl.objectives.differences import derivative, extended
from newtonfl.objectives.losses import Loss

_EPS = float(np.finfo(np.float64).eps)
_TAILS = (1e300, 1e4, 700.0, 40.0)
_NAMES = ("value", "slope", "curvature")

Function = Callable[[Array, Array], Array]


def check_loss(loss: Loss, *, draws: int = 200, seed: int = 0) -> None:
    """Check a loss φ(t, y), yours or the library's, at random margins and labels and at those that are hard.

    - ``value``, ``slope``, ``curvature`` and ``information`` are elementwise: an array's results are those of its
      elements, in the same bits, of the same shape, in float64, none for an empty array; what is handed in stays as it
      was.
    - The slope is the derivative of the value, and the curvature that of the slope: by differences of sixth order in
      extended precision, or in float64 where the loss, or the machine, knows no other. Where ``curvature_lipschitz`` is
      infinite the curvature may jump, and single points are passed over.
    - No digits are lost: in float64 each is what extended precision makes of it, up to what rounding t and y does; near
      zero, near t = y and in the tails as well (left out where the machine knows no extended precision).
    - φ is convex: the slope does not decrease, the curvature is at least 0, φ lies above its tangents.
    - Where the loss is of a ``family`` the information is the mean of the curvature over labels whose mean slope is 0.
    - The curvature is at most ``curvature_bound``, and differs by at most ``curvature_lipschitz`` times abs(t - u).
    - At margins of ±40, ±700, ±10⁴ and ±10³⁰⁰ nothing is NaN, and nothing infinite but what no float64 holds: the
      curvature is finite where it has a bound, the slope where that bound keeps it so, the value where abs(t) times the
      slope is. On the way there is no overflow and no invalid operation, of which NumPy would warn.

    Labels are -1 and 1 where the loss ``classifies``, else numbers of both signs, but none below ``least_label``.

    Parameters
    ----------
    loss : Loss
        What is checked.
    draws : int
        How many random margins.
    seed : int
        Seeds them.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, what was found, and at which margin and label.

    Examples
    --------
    >>> from newtonfl.checks import check_loss
    >>> from newtonfl.objectives.losses import Huber
    >>> check_loss(Huber(2.0))
    """
    promise(isinstance(loss, Loss), f"given {loss!r}, must be a Loss")
    name = type(loss).__name__
    promise(isinstance(loss.formula, str) and loss.formula, f"{name}.formula: {loss.formula!r}, must be φ as text")
    for key in ("curvature_bound", "curvature_lipschitz"):
        bound = getattr(loss, key, None)
        promise(
            isinstance(bound, int | float) and bound >= 0,
            f"{name}.{key}: {bound!r}, must be a number of at least 0, math.inf where there is none",
        )
    reads_back(loss)
    t, y = _margins(loss, np.random.default_rng(seed), draws)
    # Of what goes wrong on the way the checks themselves take note.
    with np.errstate(all="ignore"), no_error(f"{name}: value, slope and curvature must take arrays of margins"):
        _check_elementwise(loss, t, y, name)
        _check_tails(loss, name)
        _check_digits(loss, t, y, name)
        _check_derivatives(loss, t, y, name)
        _check_convex(loss, t, y, name)
        if loss.family:
            _check_information(loss, name)
        _check_bounds(loss, t, y, name)


def _margins(loss: Loss, draw: np.random.Generator, draws: int) -> tuple[Array, Array]:
    """Margins and labels: random ones, and ever nearer to 0 and to the label, on both sides."""
    near = 10.0 ** -np.arange(1, 13)
    found = []
    for label in _labels(loss):
        center = min(max(label, -30.0), 30.0)  # a count of 1000 lies at no margin of a Poisson loss
        randoms = 3.0 * draw.standard_normal(draws), center + draw.standard_normal(draws)
        alone = [0.0, -0.0, center, -center, 20.0, -20.0, 40.0, -40.0]
        t = np.concatenate([*randoms, near, -near, center + near, center - near, alone])
        found.append((t, np.full(len(t), label)))
    return np.concatenate([t for t, _ in found]), np.concatenate([y for _, y in found])


def _labels(loss: Loss) -> list[float]:
    """Some labels that the loss says it takes."""
    if loss.classifies:
        return [-1.0, 1.0]
    least = float(loss.least_label)
    labels = sorted({max(label, least) for label in (-1.5, 0.0, 1.0, 7.0, least + 1.0) if np.isfinite(label)})
    return [label for label in labels if label > least or loss.least_is_allowed]


def _functions(loss: Loss) -> tuple[Function, Function, Function]:
    return loss.value, loss.slope, loss.curvature


def _at(t: float, y: float) -> str:
    return f"at t = {float(t)!r}, y = {float(y):g}"


def _check_elementwise(loss: Loss, t: Array, y: Array, name: str) -> None:
    for word, function in zip((*_NAMES, "information"), (*_functions(loss), loss.information), strict=True):
        margins, labels = t.copy(), y.copy()
        found = function(margins, labels)
        promise(
            isinstance(found, np.ndarray) and found.shape == t.shape and found.dtype == np.float64,
            f"{name}.{word}: of float64 arrays of shape {t.shape} it must make another, and made "
            f"{type(found).__name__} of shape {np.shape(found)} and type {getattr(found, 'dtype', None)}",
        )
        promise(
            np.array_equal(margins, t) and np.array_equal(labels, y),
            f"{name}.{word} must leave margins and labels as they were, and changed them",
        )
        _nowhere(~np.isfinite(found), t, y, f"{name}.{word}: not finite")
        results = [_evaluated(function, t[i : i + 1], y[i : i + 1], f"{name}.{word}") for i in range(len(t))]
        alone = np.array([result for result, _ in results])
        _nowhere(found != alone, t, y, f"{name}.{word}: an element's result must not depend on the others, and does")
        promise(function(t[:0], y[:0]).shape == (0,), f"{name}.{word}: of empty arrays it must make an empty one")
        square = function(t[:4].reshape(2, 2), y[:4].reshape(2, 2))
        promise(square.shape == (2, 2), f"{name}.{word}: of shape (2, 2) it must make (2, 2), not {square.shape}")


def _nowhere(bad: Array, t: Array, y: Array, words: str) -> None:
    """Fail with `words` and the first margin and label where something is `bad`."""
    for i in np.flatnonzero(bad)[:1]:
        promise(False, f"{words} {_at(t[i], y[i])}")


def _check_derivatives(loss: Loss, t: Array, y: Array, name: str) -> None:
    """φ′ against differences of φ, φ″ against those of φ′."""
    jumps = not np.isfinite(loss.curvature_lipschitz)
    functions = _functions(loss)
    wide = extended(*functions)
    pairs = ((loss.value, loss.slope, "slope", "value"), (loss.slope, loss.curvature, "curvature", "slope"))
    for primitive, function, word, of in pairs:
        off, expected = _off(primitive, function, t, y, wide)
        for i in np.flatnonzero(off > 0):
            # A kink may lie within the step: then all is well a little further on.
            around = t[i] + np.linspace(-0.4, 0.4, 8) if jumps else t[i : i + 1]
            broken = _off(primitive, function, around, np.full(len(around), y[i]), wide)[0] > 0
            promise(
                np.mean(broken) < 0.5,
                f"{name}.{word} must be the derivative of its {of}: {_at(t[i], y[i])} it is "
                f"{float(function(t[i : i + 1], y[i : i + 1])[0]):.12g}, and differences give "
                f"{float(expected[i]):.12g}",
            )


def _off(primitive: Function, function: Function, t: Array, y: Array, wide: type) -> tuple[Array, Array]:
    """By how much `function` is further from the derivative of `primitive` than rounding explains; the derivative."""
    labels = y.astype(wide)
    expected, error = derivative(lambda margins: primitive(margins, labels), t.astype(wide))
    return np.abs(function(t, y) - expected) - (error + 1e-11 * np.abs(expected)), expected


def _check_digits(loss: Loss, t: Array, y: Array, name: str) -> None:
    """Each in float64 against extended precision."""
    functions = _functions(loss)
    wide = extended(*functions)
    if wide is np.float64:
        return
    margins, labels = t.astype(wide), y.astype(wide)
    nudge = wide(1e-7)
    for word, function in zip(_NAMES, functions, strict=True):
        found, exact = function(t, y), function(margins, labels)
        # How much one rounding of t or y moves it, times 10⁷: no algorithm can do better.
        sensitivity = sum(
            np.abs(function(margins * (1 + sign * a), labels * (1 + sign * b)) - exact) / nudge
            for sign in (-1, 1)
            for a, b in ((nudge, 0), (0, nudge))
        )
        lost = np.abs(found - exact) > 64.0 * _EPS * (np.abs(exact) + sensitivity) + 1e-300
        for i in np.flatnonzero(lost)[:1]:
            promise(
                False,
                f"{name}.{word} loses digits {_at(t[i], y[i])}: {found[i]:.17g} in float64, and "
                f"{float(exact[i]):.17g} in extended precision; terms cancel (log1p, expm1 and sinh may help)",
            )


def _check_convex(loss: Loss, t: Array, y: Array, name: str) -> None:
    for label in np.unique(y):
        margins = np.unique(t[y == label])
        labels = np.full(len(margins), label)
        value, slope, curvature = (function(margins, labels) for function in _functions(loss))
        _nowhere(curvature < 0, margins, labels, f"{name}: convex, and its curvature is negative")
        slack = 4.0 * _EPS * (np.abs(slope[1:]) + np.abs(slope[:-1]) + curvature[1:] * np.abs(margins[1:] - label))
        bad = np.diff(slope) < -slack - 4.0 * _EPS * np.abs(margins[1:]) * curvature[1:]
        _nowhere(bad, margins[1:], labels, f"{name}: convex, and its slope falls")
        gaps = margins[None, :] - margins[:, None]
        above = value[None, :] - value[:, None] - slope[:, None] * gaps
        scale = np.abs(value[None, :]) + np.abs(value[:, None]) + np.abs(slope[:, None] * gaps)
        bad = (above < -16.0 * _EPS * scale).any(axis=0)
        _nowhere(bad, margins, labels, f"{name}: convex, and its value lies below a tangent")


def _check_information(loss: Loss, name: str) -> None:
    """Slope and curvature are linear in the label, or there are two: so the labels' share that makes one 0 is known."""
    t = np.linspace(-4.0, 4.0, 33)
    low, high = (np.full(len(t), label) for label in _labels(loss)[:2])
    slopes = np.stack([loss.slope(t, high), -loss.slope(t, low)])
    shares = slopes / np.sum(slopes, axis=0)  # of the low label and of the high one
    terms = shares * np.stack([loss.curvature(t, low), loss.curvature(t, high)])
    mean, found = np.sum(terms, axis=0), loss.information(t, high)
    words = f"{name}.information must be the mean of its curvature under the model, and is not"
    _nowhere(~(np.abs(found - mean) <= 1e-12 * np.sum(np.abs(terms), axis=0)), t, high, words)


def _check_bounds(loss: Loss, t: Array, y: Array, name: str) -> None:
    curvature = loss.curvature(t, y)
    above = curvature > loss.curvature_bound * (1 + 1e-12)
    words = f"and the curvature is up to {curvature.max():.6g}; above that bound"
    _nowhere(above, t, y, f"{name}.curvature_bound = {loss.curvature_bound:.6g}, {words}")
    if not np.isfinite(loss.curvature_lipschitz):
        return
    for apart in (1e-4, 1e-2, 0.3, 2.0):
        change = np.abs(loss.curvature(t + apart, y) - curvature)
        allowed = loss.curvature_lipschitz * apart * (1 + 1e-9) + 8.0 * _EPS * np.abs(curvature)
        bad = change > allowed
        if bad.any():
            i = int(np.argmax(change - allowed))
            promise(
                False,
                f"{name}.curvature_lipschitz = {loss.curvature_lipschitz:.6g}, and {_at(t[i], y[i])} the curvature "
                f"changes by {change[i] / apart:.6g} times a step of {apart:g}",
            )


def _check_tails(loss: Loss, name: str) -> None:
    """Margins far out, on both sides, one at a time."""
    for label in _labels(loss):
        y = np.array([label])
        origin = [float(function(np.zeros(1), y)[0]) for function in _functions(loss)]
        steepest = -np.inf
        for t in [-tail for tail in _TAILS] + list(reversed(_TAILS)):
            at = _at(t, label)
            results = [
                _evaluated(function, np.array([t]), y, f"{name}.{word}")
                for word, function in zip(_NAMES, _functions(loss), strict=True)
            ]
            (value, _), (slope, _), (curvature, _) = results
            with np.errstate(over="ignore"):
                steep = np.float64(abs(origin[1])) + np.float64(loss.curvature_bound) * abs(t)
                high = np.float64(abs(origin[0])) + np.float64(abs(slope)) * abs(t)
            finite = (bool(np.isfinite(high)), bool(np.isfinite(steep)), bool(np.isfinite(loss.curvature_bound)))
            for word, (found, overflowed), must in zip(_NAMES, results, finite, strict=True):
                promise(not (must and np.isinf(found)), f"{name}.{word} {at}: infinite, must be a finite number")
                promise(
                    np.isinf(found) or not overflowed,
                    f"{name}.{word} {at}: an overflow on the way, of which NumPy warns, though the result is finite; "
                    "use exp(-abs(t)), or clip what a branch does not need",
                )
            promise(value > -np.inf and curvature >= 0, f"{name} {at}: value {value}, curvature {curvature}")
            promise(
                curvature <= loss.curvature_bound * (1 + 1e-12),
                f"{name}.curvature_bound = {loss.curvature_bound:.6g}, and {at} the curvature is {curvature:.6g}",
            )
            promise(slope >= steepest, f"{name}: convex, and its slope falls {at}")
            steepest = slope


def _evaluated(function: Function, t: Array, y: Array, where: str) -> tuple[float, bool]:
    """The result of one margin, and whether something overflowed on the way; refused where something was invalid."""
    overflowed: list[str] = []
    with np.errstate(over="call", invalid="call", divide="call"):
        before = np.seterrcall(lambda kind, flag: overflowed.append(kind))
        try:
            found = float(function(t, y)[0])
        finally:
            np.seterrcall(before)
    promise(not np.isnan(found), f"{where} {_at(t[0], y[0])}: not a number")
    for kind in [kind for kind in overflowed if kind != "overflow"][:1]:
        promise(False, f"{where} {_at(t[0], y[0])}: {kind} on the way, of which NumPy warns")
    return found, bool(overflowed)
