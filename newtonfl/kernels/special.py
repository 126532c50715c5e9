"""Special functions that the Array API does not know."""

from __future__ import annotations

from typing import Any

from newtonfl.core.backend import Array, is_cupy, on_host


def log_ndtr(z: Array) -> Array:
    """log Φ(z) of the normal distribution, elementwise."""
    found: Array = _library(z).log_ndtr(z)
    return found


def erfcx(z: Array) -> Array:
    """exp(z²)·erfc(z), elementwise."""
    found: Array = _library(z).erfcx(z)
    return found


def _library(array: Array) -> Any:
    if on_host(array):
        import scipy.special as special
    elif is_cupy(array):
        import cupyx.scipy.special as special
    else:
        raise TypeError(f"the normal distribution is known for NumPy and CuPy, not for {type(array).__module__}")
    return special
