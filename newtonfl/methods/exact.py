"""What methods with exchanges of their own share: vectors told, heard and averaged exactly, and steps on trial."""

from __future__ import annotations

import math

import numpy as np

from newtonfl.backend import Array, namespace, to_device, to_host
from newtonfl.messages import Dense, Message
from newtonfl.methods.method import Replies
from newtonfl.problem import Problem


def mean(replies: Replies, part: str) -> Array:
    """(1/n) Σ of what the clients told about `part`, added in client order, on the host."""
    told = np.stack([message.coordinates()[1] for message in replies.told(part)])
    average: Array = np.sum(told, axis=0) / len(told)
    return average


def told(rows: Array) -> list[Message]:
    """A message for every client's row of `rows` (n, …)."""
    return [Dense(row) for row in to_host(rows)]


def heard(message: Message, problem: Problem) -> Array:
    """The vector that a dense `message` tells of, where the problem's data is."""
    return to_device(message.coordinates()[1], problem.like)


def for_each(x: Array, problem: Problem) -> Array:
    """`x` (d,) as a row for every client held here, shape (n, d)."""
    return namespace(x).broadcast_to(x, (len(problem.clients), problem.dim))


def finite(trial: Array) -> Array:
    """`trial` with the largest float64 in place of what is not finite.

    A trial step may leave the region where numbers are finite; what is told of it then has to arrive, so that the
    server refuses that step and no other.
    """
    xp = namespace(trial)
    return xp.where(xp.isfinite(trial), trial, xp.full_like(trial, float(np.finfo(np.float64).max)))


def slack(f: float) -> float:
    """How far a value of f may be off for rounding alone: eight units of it."""
    return 8.0 * float(np.finfo(np.float64).eps) * abs(f)


def falls(f: float, trial: float, change: float) -> bool:
    """Whether `trial` ≤ f + `change` (a fall: at most 0), as far as rounding lets one tell."""
    return bool(trial <= f + change + slack(f))


def within(key: str, given: object, low: float, high: float) -> float:
    """A setting as a float strictly between `low` and `high`; ValueError where it is none."""
    try:
        number = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not low < number < high:
        raise ValueError(f"{key}: given {given!r}, must be a number above {low:g} and below {high:g}")
    return number


def whole(key: str, given: object) -> int:
    """A setting as a whole number of at least 1; ValueError where it is none."""
    number = within(key, given, 0, 2**31)
    if number != int(number):
        raise ValueError(f"{key}: given {given!r}, must be a whole number of at least 1")
    return int(number)
