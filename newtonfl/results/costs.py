"""What runs took until they were accurate: one table, to read and as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from newtonfl.results.history import History
from newtonfl.results.network import Network
from newtonfl.results.page import table
from newtonfl.results.record import Record

ACCURACIES = (1e-3, 1e-6, 1e-9, 1e-12)

Measure = Literal["gap", "gradient_norm"]
"""What is to become small: f(x) - f*, or ‖∇f(x)‖₂ where f* is not known."""

SYMBOLS: dict[str, str] = {"gap": "f(x) − f*", "gradient_norm": "‖∇f(x)‖₂"}


@dataclass(frozen=True)
class Cost:
    """What a run took to an accuracy; a mean client's, with the set-up.

    Attributes
    ----------
    rounds : float
        A whole number, but of a median.
    bytes_up, bytes_down, formula_bits_up, formula_bits_down : float
        Measured, and by the papers' formulas.
    seconds : float
        In rounds, measured on the machine that ran it.
    hessians : float
        Computed by a client.
    gradients : float or None
        Computed by a client; None where the history does not count them.
    network_seconds : float or None
        With what the stated network would add: an estimate on paper.
    """

    rounds: float
    bytes_up: float
    bytes_down: float
    formula_bits_up: float
    formula_bits_down: float
    seconds: float
    hessians: float
    gradients: float | None = None
    network_seconds: float | None = None

    @classmethod
    def to(
        cls, accuracy: float, history: History, measure: Measure = "gap", network: Network | None = None
    ) -> Cost | None:
        """The cost up to the first record whose `measure` is at most `accuracy`; None where there is none."""
        at = first(history, accuracy, measure)
        return None if at is None else cls.at(at, history, network)

    @classmethod
    def at(cls, at: int, history: History, network: Network | None = None) -> Cost:
        """The cost up to the record at a place."""
        record = history[at]
        sent = [float(history.sent(kind, [way])[at]) for kind in ("bytes", "formula_bits") for way in ("up", "down")]
        waited = None if network is None else float(network.seconds(history)[at])
        return cls(
            record.round, sent[0], sent[1], sent[2], sent[3], record.seconds, record.hessians, record.gradients, waited
        )

    @property
    def bytes(self) -> float:
        """Both ways."""
        return self.bytes_up + self.bytes_down

    @property
    def formula_bits(self) -> float:
        """Both ways."""
        return self.formula_bits_up + self.formula_bits_down


def first(history: History, accuracy: float, measure: Measure = "gap") -> int | None:
    """Which record is the first whose `measure` is at most `accuracy`; None where there is none."""
    return next((i for i, record in enumerate(history) if reached(record, accuracy, measure)), None)


def reached(record: Record, accuracy: float, measure: Measure = "gap") -> bool:
    """Whether the record's `measure` is at most `accuracy`; a gap that is not known is not."""
    value = getattr(record, measure)
    return value is not None and value <= accuracy


def rows(
    histories: Mapping[str, Sequence[History]],
    measure: Measure,
    accuracies: Sequence[float],
    network: Network | None = None,
    seeds: Sequence[int] = (0,),
) -> list[dict[str, Any]]:
    """A row a run and accuracy: label, accuracy and the fields of :class:`Cost`, all None where it was not reached.

    Behind them stands what a run's monitors measured there, as ``monitor_COLUMN``. Where there are several `seeds`,
    those of each label's histories, each row says its own.
    """
    names = [field.name for field in fields(Cost) if network or field.name != "network_seconds"]
    table = []
    for label, repeated in histories.items():
        for seed, history in zip(seeds, repeated, strict=False):
            for accuracy in accuracies:
                at = first(history, accuracy, measure)
                taken = dict.fromkeys(names) if at is None else asdict(Cost.at(at, history, network))
                which = {"method": label, "seed": seed} if len(seeds) > 1 else {"method": label}
                found = None if at is None else history[at].monitors
                measured = {f"monitor_{column}": (found or {}).get(column) for column in history[0].monitors or ()}
                table.append({**which, "accuracy": accuracy, **{name: taken[name] for name in names}, **measured})
    return table


def median(costs: Sequence[Cost | None]) -> Cost | None:
    """Each number's median over repetitions; None where so many did not get there that there is none."""
    if len(costs) == 1:
        return costs[0]
    counted = [
        field.name for field in fields(Cost) if any(getattr(cost, field.name, None) is not None for cost in costs)
    ]
    table = [[math.inf if cost is None else getattr(cost, name) for name in counted] for cost in costs]
    found = dict(zip(counted, np.median(table, axis=0).tolist(), strict=True))
    return Cost(**found) if counted and math.isfinite(found["rounds"]) else None


def write(table: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Rows as CSV with a header; what is None stays empty."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(table)


_HEADS = ("rounds", "KiB up", "KiB", "formula kbit", "gradients", "Hessians", "seconds")


def report(
    histories: Mapping[str, Sequence[History]],
    measure: Measure,
    accuracies: Sequence[float],
    ends: Mapping[str, str],
    network: Network | None = None,
) -> str:
    """The table to read: a block an accuracy, a line a run; – where an accuracy was not reached.

    Of several histories a label the medians stand there. The last block states how near each run, of several the first,
    came and, from `ends`, why it ended.
    """
    several = max(map(len, histories.values()))
    width = max(map(len, histories))
    heads = [*_HEADS, *(["on network"] if network else [])]
    lines = []
    for accuracy in accuracies:
        title = f"{SYMBOLS[measure]} ≤ {accuracy:g}"
        lines.append(f"{title:{max(width, 20)}}" + "".join(f"{head:>14}" for head in heads))
        for label, repeated in histories.items():
            cells = _cells(median([Cost.to(accuracy, history, measure, network) for history in repeated]), len(heads))
            lines.append(f"{label:{max(width, 20)}}" + "".join(f"{cell:>14}" for cell in cells))
        lines.append("")
    lines.append(f"{'ended':{max(width, 20)}}{'rounds':>14}{SYMBOLS[measure]:>14}")
    for label, (history, *_) in histories.items():
        value = getattr(history[-1], measure)
        lines.append(f"{label:{max(width, 20)}}{history[-1].round:14,}{value:14.1e}  {ends[label]}".rstrip())
    lines += ["", "a mean client's, set-up included; KiB both ways on the wire; – not reached"]
    if several > 1:
        lines.append(
            f"medians of {several} seeds; – where half or more did not get there; the last block's is the first"
        )
    if network:
        lines.append(f"on network: seconds, an estimate on paper: measured, and what {network} would add")
    return "\n".join(lines)


def notebook_table(
    histories: Mapping[str, Sequence[History]], measure: Measure, accuracies: Sequence[float], ends: Mapping[str, str]
) -> str:
    """The table of :func:`report` as HTML: a line an accuracy and run, and beside the last accuracy why it ended."""
    lines = [
        (f"{accuracy:g}", label, *cells, ends[label] if accuracy == accuracies[-1] else "")
        for accuracy in accuracies
        for label, repeated in histories.items()
        for cells in [_cells(median([Cost.to(accuracy, history, measure) for history in repeated]), len(_HEADS))]
    ]
    return table([f"{SYMBOLS[measure]} ≤", "method", *_HEADS, "ended"], lines).code


def _cells(cost: Cost | None, count: int) -> list[str]:
    if cost is None:
        return ["–"] * count
    cells = [
        f"{cost.rounds:,.{1 if cost.rounds % 1 else 0}f}", f"{cost.bytes_up / 1024:,.1f}", f"{cost.bytes / 1024:,.1f}",
        f"{cost.formula_bits / 1000:,.1f}", "–" if cost.gradients is None else f"{cost.gradients:,.1f}",
        f"{cost.hessians:,.1f}", f"{cost.seconds:.3f}",
    ]  # fmt: skip
    return cells if cost.network_seconds is None else [*cells, f"{cost.network_seconds:,.2f}"]
