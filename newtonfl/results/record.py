"""Record: what happened in one round; JSON in and out."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Record:
    """One round. Counts are cumulative means over the clients, and leave the set-up out.

    Attributes
    ----------
    round : int
        0 is the start, x⁰.
    f, gap, gradient_norm : float
        f(x), f(x) - f* where f* is known (else None), ‖∇f(x)‖₂. Computed off the clock and off the ledger. In a problem
        of operators f is None, and the last is ‖F(x)‖₂.
    step : float
        ‖x^k - x^(k-1)‖₂; 0 at the start.
    bytes_up, bytes_down : float
        Measured: the packets' lengths.
    formula_bits_up, formula_bits_down : float
        The papers' formulas for the same messages.
    hessians : float
        Hessians computed, per client.
    seconds : float
        Time spent in rounds.
    exchanges : int or None
        Round trips between the server and clients, cumulative and without the set-up; None in a history of a version
        that did not count them.
    gradients : float or None
        Gradients computed, per client, one of a minibatch as its share of the client's rows; None in a history of a
        version that did not count them.
    levels_up, levels_down : tuple of int, or None
        Where messages are of several levels (AdaCGD): how many of all the clients' messages so far, and of the
        server's, were of level 0 (nothing), 1, …
    setup_bytes_up, setup_bytes_down, setup_formula_bits_up, setup_formula_bits_down : float or None
        Of the set-up; in round 0's record alone.
    missing : tuple of int, or None
        The clients that were away when this round began; None where a solve has no availability.
    disagreement : float or None
        max_i ‖x_i - x‖₂, where each client has an iterate x_i of its own and x is their mean; f, the gap and the
        gradient norm are then the larger of those at x and at the x_i farthest from it.
    time : float or None
        Simulated seconds, where clients have speeds (:class:`newtonfl.Arrivals`); else None.
    waits : int or None
        How often the server has waited for one so far.
    monitors : dict of str to float, or None
        What the solve's monitors measured, by column; None without monitors.
    """

    round: int
    f: float | None
    gap: float | None
    gradient_norm: float
    step: float
    bytes_up: float
    bytes_down: float
    formula_bits_up: float
    formula_bits_down: float
    hessians: float
    seconds: float
    exchanges: int | None = None
    gradients: float | None = None
    levels_up: tuple[int, ...] | None = None
    levels_down: tuple[int, ...] | None = None
    setup_bytes_up: float | None = None
    setup_bytes_down: float | None = None
    setup_formula_bits_up: float | None = None
    setup_formula_bits_down: float | None = None
    missing: tuple[int, ...] | None = None
    waits: int | None = None
    time: float | None = None
    disagreement: float | None = None
    monitors: dict[str, float] | None = field(default=None, hash=False)

    def to_json(self) -> str:
        """One line; what is None is left out, and what is not finite is null."""
        kept = {name: value for name, value in asdict(self).items() if value is not None}
        measured = kept.pop("monitors", None)
        finite = {name: value if name in _TUPLES else _finite(value) for name, value in kept.items()}
        if measured is not None:
            finite["monitors"] = {name: _finite(value) for name, value in measured.items()}
        return json.dumps(finite, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record in a `line` of history.jsonl.

        Raises
        ------
        ValueError
            If it is no record.
        """
        try:
            row = json.loads(line)
        except RecursionError:
            raise ValueError("not a line of a history: brackets within brackets") from None
        names = {entry.name for entry in fields(cls)}
        if (
            not isinstance(row, dict)
            or not set(row) <= names
            or not all(_readable(name, value) for name, value in row.items())
        ):
            raise ValueError(f"not a line of a history: {line[:80]!r}")
        values: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
        values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
        if "monitors" in values:
            found = values["monitors"].items()
            values["monitors"] = {name: math.nan if value is None else float(value) for name, value in found}
        return cls(**{"f": None, "gap": None, **values})


_TUPLES = ("levels_up", "levels_down", "missing")


def _finite(value: float) -> float | None:
    return value if abs(value) < math.inf else None


def _readable(name: str, value: object) -> bool:
    if name == "monitors":
        return isinstance(value, dict) and all(_readable("", number) for number in value.values())
    if name in _TUPLES:
        return isinstance(value, list) and all(type(count) is int for count in value)
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**1023)
