"""What belongs to each row beside its label: a weight, an offset of its margin, whether its time is an event's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from newtonfl.core.backend import Array

EXPOSED = "log"
"""The link of losses whose mean is exp(margin), which an exposure multiplies."""


def row_weights(values: Any, n_rows: int) -> Array:
    """`values`, an array or a column, as `n_rows` float64 weights; a single number is every row's.

    Raises
    ------
    ValueError
        If they are not finite numbers of at least 0, one a row.
    """
    return _numbers("sample_weight", values, n_rows, least=0.0)


def row_offset(offset: Any, exposure: Any, n_rows: int, link: str) -> Array | None:
    """o_j + log e_j of every row, from arrays or columns; a single number is every row's.

    With a log link the mean is then e_j exp(o_j + a_jᵀx): rates, times what they are counted over.

    Parameters
    ----------
    offset, exposure : array or column, shape (n_rows,), number, or None
    n_rows : int
    link : str
        The loss's.

    Returns
    -------
    numpy.ndarray of float64, shape (n_rows,), or None
        None where both are.

    Raises
    ------
    ValueError
        If they are not finite numbers, one a row, an exposure is not positive, or the link has none.
    """
    known = [_numbers("offset", offset, n_rows)] if offset is not None else []
    if exposure is not None:
        if link != EXPOSED:
            raise ValueError(
                f"exposure: given with a loss whose link is {link or 'none'}, allowed only with the link {EXPOSED}, "
                "where it multiplies the mean; offset is what is added to a margin"
            )
        exposures = _numbers("exposure", exposure, n_rows)
        if len(bad := np.flatnonzero(~(exposures > 0))):
            raise ValueError(
                f"exposure: row {bad[0]}, counted from 0: given {exposures[bad[0]]:g}, must be greater than 0"
            )
        known.append(np.log(exposures))
    return sum(known[1:], known[0]) if known else None


def row_events(values: Any, n_rows: int) -> Array:
    """Whether each row's time is an event's, from booleans or the numbers 0 and 1; a single one is every row's.

    Raises
    ------
    ValueError
        If they are others, or not one a row.
    """
    events = _numbers("event", values, n_rows)
    if len(bad := np.flatnonzero((events != 0.0) & (events != 1.0))):
        raise ValueError(
            f"event: row {bad[0]}, counted from 0: given {events[bad[0]]:g}, must be 1 (or true) where the time is an "
            "event's, and 0 where observation ended there"
        )
    return events == 1.0


def rows_that_count(weights: Array, own: bool) -> Array:
    """The numbers of the rows whose weight is not zero.

    Raises
    ------
    ValueError
        If there are none, but where other ranks may have some: where each passes rows of its `own`.
    """
    kept = np.flatnonzero(weights)
    if not (own or len(kept)):
        raise ValueError("sample_weight: all weights are zero, and no row is left")
    return kept


def _numbers(name: str, values: Any, n_rows: int, least: float = -math.inf) -> Array:
    """One float64 number a row."""
    from newtonfl.datasets.frames import column_of  # a tenth of a second, which files need not take

    numbers = np.asarray(column_of(name, values))
    numbers = np.full(n_rows, numbers) if numbers.ndim == 0 else numbers
    sound = numbers.shape == (n_rows,) and numbers.dtype.kind in "biuf"
    if not sound or not (np.isfinite(numbers).all() and (numbers >= least).all()):
        bound = "" if least == -math.inf else f" of at least {least:g}"
        raise ValueError(
            f"{name}: given shape {numbers.shape} of {numbers.dtype}, must be {n_rows} finite numbers{bound}, one a row"
        )
    return numbers.astype(np.float64)
