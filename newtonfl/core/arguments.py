"""What settings and arguments must be: whole numbers, factors, lengths; refused in words where they are not."""

from __future__ import annotations

import math
import numbers

from newtonfl.core.quoting import quoted


def is_number(value: object) -> bool:
    """Whether it is a real number that a float can be, NumPy's among them; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def a_factor(key: str, value: float) -> None:
    """Refuse what is no finite number of at least 0, with a ValueError."""
    if not is_number(value) or not 0 <= value < math.inf:
        raise ValueError(f"{key}: given {quoted(value)}, must be a finite number of at least 0")


def a_length(key: str, value: float) -> None:
    """Refuse what is no finite number above 0, with a ValueError."""
    if not is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"{key}: given {quoted(value)}, must be a finite number above 0")


def a_count(key: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least `least`, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{key}: given {quoted(value)}, must be a whole number of at least {least}")
