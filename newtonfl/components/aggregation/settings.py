"""What rules refuse as their settings."""

from __future__ import annotations

import numbers

import numpy as np

from newtonfl.mechanisms.constants import is_number


def a_count(key: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least `least`, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{key}: given {value!r}, must be a whole number of at least {least}")


def a_length(key: str, value: float) -> None:
    """Refuse what is no finite number above 0, with a ValueError."""
    if not is_number(value) or not 0 < value < np.inf:
        raise ValueError(f"{key}: given {value!r}, must be a finite number above 0")
