"""What settings and arguments must be: whole numbers, factors, lengths; refused in words where they are not."""

from __future__ import annotations

import math
import numbers
from typing import TypeGuard

from newtonfl.core.quoting import quoted


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number that a float can be, NumPy's among them; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def a_factor(key: str, value: object) -> float:
    """A finite number of at least 0; ValueError where it is none."""
    if not is_number(value) or not 0.0 <= (number := float(value)) < math.inf:
        raise ValueError(f"{key}: given {quoted(value)}, must be a finite number of at least 0")
    return number


def a_length(key: str, value: float) -> None:
    """Refuse what is no finite number above 0, with a ValueError."""
    if not is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"{key}: given {quoted(value)}, must be a finite number above 0")


def a_count(key: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least `least`, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{key}: given {quoted(value)}, must be a whole number of at least {least}")


def within(key: str, value: object, low: float, high: float) -> float:
    """A number strictly between `low` and `high`; ValueError where it is none."""
    if not is_number(value) or not low < (number := float(value)) < high:
        raise ValueError(f"{key}: given {quoted(value)}, must be a number above {low:g} and below {high:g}")
    return number


def whole(key: str, value: object, most: int = 2**31 - 1, least: int = 1) -> int:
    """A whole number from `least` to `most`, which a float may be as well; ValueError where it is none."""
    if not is_number(value) or not least <= (number := float(value)) <= most or number != int(number):
        raise ValueError(f"{key}: given {quoted(value)}, must be a whole number from {least} to {most}")
    return int(number)
