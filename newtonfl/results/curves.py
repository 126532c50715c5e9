"""What a picture draws of a history: numbers from left to right, and the measure."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.results.costs import Measure
from newtonfl.results.history import History
from newtonfl.results.network import Network

OVER = ("rounds", "bytes_up", "bytes", "formula_bits", "seconds")
"""What a picture's axis from left to right may count."""

_FLOOR = 1e-15
"""f - f* below this is rounding: such points are drawn at the floor."""


def points(history: History, over: str, measure: Measure, network: Network | None = None) -> Array:
    """What is drawn of a history: the axis from left to right, and the measure, shape (2, records).

    A record whose measure is not finite is left out; of a gap, what is below the floor stands on it.
    """
    if over not in OVER:
        raise ValueError(f"over: given {over!r}, allowed are {', '.join(OVER)}")
    if over == "rounds":
        across = np.array([record.round for record in history], dtype=float)
    elif over == "bytes_up":
        across = history.sent("bytes", ["up"]) / 1024
    elif over == "bytes":
        across = history.sent("bytes") / 1024
    elif over == "formula_bits":
        across = history.sent("formula_bits") / 1000
    elif network is None:
        across = np.array([record.seconds for record in history], dtype=float)
    else:
        across = network.seconds(history)
    values = [getattr(record, measure) for record in history]
    heights = np.array([np.nan if value is None else value for value in values], dtype=float)
    if measure == "gap":
        heights = np.where(np.isnan(heights), np.nan, np.maximum(heights, _FLOOR))
    drawn = np.isfinite(heights) & (heights > 0)
    return np.stack([across[drawn], heights[drawn]])


def across_title(over: str, network: Network | None = None) -> str:
    """The title of the axis from left to right."""
    if over == "seconds" and network is not None:
        return f"seconds, a paper estimate: measured, and {network}"
    return {
        "rounds": "rounds",
        "bytes_up": "KiB up, a mean client's, with the set-up",
        "bytes": "KiB up and down, a mean client's, with the set-up",
        "formula_bits": "kbit up and down by the papers' formulas, a mean client's, with the set-up",
        "seconds": "seconds in rounds, measured",
    }[over]
