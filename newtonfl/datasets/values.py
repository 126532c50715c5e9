"""Labels and client ids: numbers or strings, which have an order and can be sent to another rank; words of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from newtonfl.core.backend import Array


def client_ids(name: str, ids: Any, n_rows: int) -> Array:
    """Every row's client id as an array of numbers or strings, shape (`n_rows`,).

    Raises
    ------
    ValueError
        If there are more or fewer, or one of them is neither a finite number nor a string; the message has `name`.
    """
    array = np.asarray(ids)
    if array.shape != (n_rows,):
        raise ValueError(f"{name}: given ids of shape {array.shape}, must be one for each of {n_rows} rows")
    return ordered(f"{name}: client ids", array)


def ordered(name: str, values: Array) -> Array:
    """`values` as an array of numbers, booleans or strings.

    Raises
    ------
    ValueError
        If they are of another kind, of several kinds, or not finite; the message has `name`.
    """
    if values.dtype.kind == "O":
        kinds = {str if isinstance(value, str) else type(value) for value in values.tolist()}
        if kinds <= {str}:
            return values.astype(str)
        if kinds <= {bool} or kinds <= {int, float}:
            return ordered(name, np.array(values.tolist()))
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"{name} must all be numbers or all be strings, given {names}")
    if values.dtype.kind not in "biufU":
        raise ValueError(f"{name} must be numbers or strings, given {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, given {values[~np.isfinite(values)][0]}")
    return values


def sort(values: Iterable[Any]) -> list[Any]:
    """Numbers, then strings, each in increasing order."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def sort_names(names: Array) -> tuple[list[str], Array]:
    """The distinct `names` in order, by number if all are whole numbers as one writes them, and each name's position.

    So 10 comes after 2, and 007, 7 and 7.0 stay three names.
    """
    distinct, inverse = np.unique(names, return_inverse=True)
    words: list[str] = distinct.tolist()
    whole = all(word.removeprefix("-").isascii() and word.removeprefix("-").isdecimal() for word in words)
    whole = whole and all(str(int(word)) == word for word in words)
    order = sorted(range(len(words)), key=lambda i: int(words[i])) if whole else range(len(words))
    position = np.empty(len(words), np.int64)
    position[list(order)] = np.arange(len(words))
    return [words[i] for i in order], position[inverse]


def numbered(labels: Array, classes: Sequence[Any]) -> Array:
    """Each label's number among the sorted `classes`, as float64."""
    distinct, inverse = np.unique(labels, return_inverse=True)
    return np.array([classes.index(value) for value in distinct.tolist()], np.float64)[inverse]


def is_number(word: str) -> bool:
    """Whether `word` is a finite number (Python, but no file format, takes 1_0 and ١٠ for ten)."""
    try:
        return word.isascii() and "_" not in word and bool(np.isfinite(float(word)))
    except ValueError:
        return False
