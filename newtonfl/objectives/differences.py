"""Derivatives by differences, at the highest precision that a function takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.core.backend import Array

_WEIGHTS = ((1, 3.0 / 4.0), (2, -3.0 / 20.0), (3, 1.0 / 60.0))
"""Six points: Σ_k w_k (f(t + kh) - f(t - kh))/h is off by O(h⁶)."""

_SHRINK = 0.125 ** np.arange(6)
"""Steps to try, against the first: the larger ones are more exact where a function is smooth, and cross its kinks."""


def extended(*functions: Callable[[Array, Array], Array]) -> type:
    """np.longdouble where all `functions` of two arrays compute with it, and it has more digits; else np.float64."""
    at = np.array([0.25], dtype=np.longdouble), np.array([1.0], dtype=np.longdouble)
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        return np.float64
    try:
        with np.errstate(all="ignore"):
            wide = all(np.asarray(function(*at)).dtype == np.longdouble for function in functions)
    except TypeError:  # some functions, such as many of SciPy's, are made for float64 alone
        wide = False
    return np.longdouble if wide else np.float64


def derivative(function: Callable[[Array], Array], t: Array, sizes: int = len(_SHRINK)) -> tuple[Array, Array]:
    """f′ of an elementwise f by central differences, and how far it may be off.

    Parameters
    ----------
    function : callable
        f: an array → an array of that shape and type, or with further axes behind.
    t : array, shape (m,)
        Where, in the type to compute in.
    sizes : int
        How many sizes of the step to compare, at least 2, the largest first.

    Returns
    -------
    slope, error : array
        Of the shape of f(t). The error is estimated by comparing steps of different size, and includes rounding's.
    """
    eps = np.finfo(t.dtype).eps
    slopes, noises = [], []
    for shrink in _SHRINK[:sizes]:
        step = eps ** (1.0 / 7.0) * shrink * np.maximum(np.abs(t), 1.0) ** 0.5
        middle = function(t)
        total = scale = bend = np.zeros_like(middle)
        for k, weight in _WEIGHTS:
            above, below = t + k * step, t - k * step
            high, low = function(above), function(below)
            width = (above - below) / (2 * k)  # what was really stepped
            width = width.reshape(width.shape + (1,) * (high.ndim - 1))
            total = total + weight * (high - low) / width
            scale = np.maximum(scale, (np.abs(high) + np.abs(low)) / width)
            bend = np.maximum(bend, np.abs(high - 2.0 * middle + low) / width**2)
        slopes.append(total)
        # Rounding f, and rounding t ± kh, which moves the middle between them.
        noises.append(8.0 * eps * (scale + np.abs(t).reshape(t.shape + (1,) * (bend.ndim - 1)) * bend))
    differences = np.abs(np.diff(np.stack(slopes), axis=0)) + np.stack(noises)[1:]
    best = np.argmin(differences, axis=0)[None]
    slope = np.take_along_axis(np.stack(slopes)[1:], best, axis=0)[0]
    return slope, 8.0 * np.take_along_axis(differences, best, axis=0)[0]
