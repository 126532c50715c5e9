"""What windows of gradients refuse, in words."""

from __future__ import annotations

import math

import numpy as np

from newtonfl.core.backend import Array, Unavailable, namespace
from newtonfl.core.memory import available


def sizes(dim: int, window: int) -> tuple[int, int]:
    """(d, m), if they can be."""
    if not (int(dim) >= 1 and int(window) >= 1):
        raise ValueError(f"a window of {window} gradients of dimension {dim}: each must be at least 1")
    return int(dim), int(window)


def check_memory(dim: int, window: int) -> None:
    """Refuse a window that does not fit beside its products; Unavailable."""
    free, needed = available(), 8 * window * (dim + 2 * window)
    if free is not None and needed > free:
        raise Unavailable(
            f"window: given {window}, whose gradients of dimension {dim} and products take {needed / 2**30:,.0f} GiB, "
            f"and {free / 2**30:,.1f} are free"
        )


def positive(dampening: float) -> float:
    """λ, if it can be."""
    if not (math.isfinite(float(dampening)) and float(dampening) > 0):
        raise ValueError(f"dampening: given {dampening}, must be a finite number above 0")
    return float(dampening)


def real(array: Array, shape: tuple[int | None, ...], name: str) -> Array:
    """`array` in float64, if it has that `shape`; None allows any length."""
    xp = namespace(array)
    if array.ndim != len(shape) or any(want not in (None, has) for want, has in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name}: given shape {tuple(array.shape)}, must be ({wanted})")
    if not xp.isdtype(array.dtype, ("integral", "real floating")):
        raise TypeError(f"{name}: given {array.dtype}, must be real numbers")
    return xp.astype(array, xp.float64, copy=False)


def finite(gradients: Array) -> Array:
    """The `gradients`, if all numbers in them are finite."""
    if not bool(namespace(gradients).all(namespace(gradients).isfinite(gradients))):
        raise ValueError("gradients: given a number that is not finite")
    return gradients


def representable(dampening: float, window: int, largest: float) -> float:
    """The longest gradient's norm, if λm counts in float64 beside its square `largest`."""
    # Where it does not, mI is lost from λ⁻¹S + mI, and gradients that depend on each other leave rounding errors alone.
    if not largest * np.finfo(float).eps <= dampening * window:
        raise too_small(dampening, math.sqrt(largest))
    return math.sqrt(largest)


def too_small(dampening: float, longest: float) -> ValueError:
    """The error for a λ that rounding hides."""
    return ValueError(
        f"dampening: given {dampening:g}, too small for float64 beside gradients of norm {longest:g}: "
        "the Fisher matrix is not positive definite after rounding"
    )
