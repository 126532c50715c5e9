"""What a picture draws of a history: numbers from left to right, and the measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.results.costs import SYMBOLS
from newtonfl.results.history import History
from newtonfl.results.network import Network

OVER = ("rounds", "bytes_up", "bytes", "formula_bits", "seconds", "gradients")
"""What a picture's axis from left to right may count."""

UNITS = {"bytes_up": 1024.0, "bytes": 1024.0, "formula_bits": 1000.0}
"""How many of what is counted are one of an axis's: KiB, and thousands of bits."""

_FLOOR = 1e-15
"""f - f* below this is rounding: such points are drawn at the floor."""

_HEIGHTS = {
    **SYMBOLS,
    "f": "f(x)",
    "step": "‖x − x before‖₂",
    "distance": "‖x − x*‖₂",
    "hessian_error": "‖H − ∇²f(x*)‖ (Frobenius)",
}


def points(history: History, over: str, measure: str, network: Network | None = None, setup: bool = True) -> Array:
    """What is drawn of a history: the axis from left to right, and the measure, shape (2, records).

    A record whose measure is not finite is left out, and where it is not above zero too, but of another column that
    falls below; of a gap, what is below the floor stands on it. Bytes and bits contain the `setup` or not.

    Raises
    ------
    ValueError
        If `over` is no such word, or the history has no column `measure`.
    """
    if over not in OVER:
        raise ValueError(f"over: given {over!r}, allowed are {', '.join(OVER)}")
    if over == "rounds":
        across = np.array([record.round for record in history], dtype=float)
    elif over == "bytes_up":
        across = history.sent("bytes", ["up"], setup) / UNITS[over]
    elif over == "bytes":
        across = history.sent("bytes", setup=setup) / UNITS[over]
    elif over == "formula_bits":
        across = history.sent("formula_bits", setup=setup) / UNITS[over]
    elif over == "gradients":
        across = history.column(over)
    elif network is None:
        across = np.array([record.seconds for record in history], dtype=float)
    else:
        across = network.seconds(history)
    heights = history.column(measure)
    if measure == "gap":
        heights = np.where(np.isnan(heights), np.nan, np.maximum(heights, _FLOOR))
    falls_below = measure not in SYMBOLS and bool((heights < 0).any())
    drawn = np.isfinite(across) & np.isfinite(heights) & (falls_below | (heights > 0))
    return np.stack([across[drawn], heights[drawn]])


def band(lines: Sequence[Array]) -> tuple[Array, Array, Array]:
    """The median of several runs' :func:`points`, and the quartiles below and above it.

    Between two of its points a run stays what it was: the measure falls when a round is paid for. So at every place
    where one of them moves all are looked at; before its first point and behind its last one a run is what it is there.

    Returns
    -------
    median, low, high : numpy.ndarray, shape (2, places)
        The axis from left to right, and the quantile ½, ¼ or ¾.
    """
    lines = [line for line in lines if line.size]
    if len(lines) < 2:
        return (lines[0] if lines else np.zeros((2, 0)),) * 3
    places = np.unique(np.concatenate([line[0] for line in lines]))
    at = [np.maximum(np.searchsorted(line[0], places, side="right") - 1, 0) for line in lines]
    heights = np.array([line[1][which] for line, which in zip(lines, at, strict=True)])
    if (heights > 0).all():
        low, middle, high = np.exp(np.quantile(np.log(heights), [0.25, 0.5, 0.75], axis=0))
    else:
        low, middle, high = np.quantile(heights, [0.25, 0.5, 0.75], axis=0)
    return np.stack([places, middle]), np.stack([places, low]), np.stack([places, high])


def across_title(over: str, network: Network | None = None, setup: bool = True) -> str:
    """The title of the axis from left to right."""
    if over == "seconds" and network is not None:
        return f"seconds, a paper estimate: measured, and {network}"
    counted = f"a mean client's, {'with' if setup else 'without'} the set-up"
    return {
        "rounds": "rounds",
        "bytes_up": f"KiB up, {counted}",
        "bytes": f"KiB up and down, {counted}",
        "formula_bits": f"kbit up and down by the papers' formulas, {counted}",
        "seconds": "seconds in rounds, measured",
        "gradients": "gradients that a client computed",
        "hessians": "Hessians that a client computed",
    }[over]


def height_title(measure: str) -> str:
    """The title of the other axis: a symbol, or the name of a column that has none."""
    return _HEIGHTS.get(measure, measure)
