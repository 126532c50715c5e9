"""Limits: what ends a solve beside its tolerance and its rounds, as a user sets it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from newtonfl.results.record import Record
from newtonfl.solver.result import Reason

_UNITS = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}


@dataclass(frozen=True)
class Limits:
    """Ends a solve at the first record that meets one of them; None is none.

    Parameters
    ----------
    accuracy : float or None
        f(x) - f* is at most this: it has converged.
    max_bytes : float, str or None
        The mean client has sent and received so many bytes, its set-up included; "500kB" or "2MiB" will do.
    max_seconds : float or None
        So many seconds were spent in rounds.

    Raises
    ------
    ValueError
        If one is no positive number.
    """

    accuracy: float | None = None
    max_bytes: float | str | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_bytes", bytes_of(self.max_bytes))
        for name in ("accuracy", "max_seconds"):
            value = getattr(self, name)
            sound = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if value is not None and not (sound and 0 < value < math.inf):
                raise ValueError(f"{name}: given {value!r}, must be a finite number above 0, or None")

    def reason(self, record: Record, setup_bytes: float) -> Reason | None:
        """Which limit a `record` meets, a client's mean set-up having taken `setup_bytes`."""
        if self.accuracy is not None and record.gap is not None and record.gap <= self.accuracy:
            return Reason.ACCURATE
        if self.max_bytes is not None and setup_bytes + record.bytes_up + record.bytes_down >= float(self.max_bytes):
            return Reason.BYTE_LIMIT
        return Reason.TIME_LIMIT if self.max_seconds is not None and record.seconds >= self.max_seconds else None


def bytes_of(words: float | str | None) -> float | None:
    """A number of bytes from a number, or from words such as "500kB".

    Raises
    ------
    ValueError
        If it is neither, or not above 0.
    """
    if words is None:
        return None
    found = re.fullmatch(r"\s*([0-9.eE+]+)\s*([A-Za-z]*)\s*", str(words))
    try:
        number = float(found[1]) * _UNITS[found[2]] if found and not isinstance(words, bool) else math.nan
    except (ValueError, KeyError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(
            f"max_bytes: given {words!r}, must be a number of bytes above 0, such as 500000, 500kB or 2MiB, or None"
        )
    return number


NO_LIMITS = Limits()
