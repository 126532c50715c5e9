"""Labels and client ids: numbers or strings, which have an order and can be sent to another rank; words of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from newtonfl.core.backend import Array


def client_ids(name: str, ids: Any, n_rows: int) -> Array:
    """Every row's client id, shape (`n_rows`,): names, which are never rounded.

    Whole numbers stay as they are however large, and 3.0 is the client 3; strings stay letter by letter.

    Returns
    -------
    numpy.ndarray
        Strings, int64, uint64, or Python's integers where they need more than 64 bits.

    Raises
    ------
    ValueError
        If there are more or fewer, one is missing or empty, they are neither whole numbers nor strings, or some are
        numbers and some strings; the message has `name` and the row.
    """
    array = ids if isinstance(ids, np.ndarray) else np.asarray(ids, dtype=object)  # else NumPy makes a list floats
    if array.shape != (n_rows,):
        raise ValueError(f"{name}: given ids of shape {array.shape}, must be one for each of {n_rows} rows")
    where = f"{name}: client ids"
    if array.dtype.kind == "O":
        refuse_missing(where, array)
        array = unboxed(array)
    match array.dtype.kind:
        case "i" | "u":
            return array
        case "b":
            return array.astype(np.int64)
        case "U":
            if len(empty := np.flatnonzero(array == "")):
                raise ValueError(f"{where}: row {empty[0]}, counted from 0, is empty")
            return array
        case "f":
            return _whole(where, array)
    kinds = _kinds(array) if array.dtype.kind == "O" else set()
    if kinds and kinds <= {int, float}:
        _whole(where, np.array([value if isinstance(value, float) else 0.0 for value in array]))
        return unboxed(np.array([int(value) for value in array], object))
    raise ValueError(_of_another_kind(where, array, kinds))


def _whole(where: str, floats: Array) -> Array:
    """Whole `floats` that are exact as int64."""
    _refuse_infinite(where, floats)
    limit = 2.0 / float(np.finfo(floats.dtype).eps)  # from here on not every whole number is a float
    if len(bad := np.flatnonzero((floats != np.floor(floats)) | (abs(floats) >= limit))):
        raise ValueError(
            f"{where} must be strings or whole numbers, and floats less than {limit:.0f}: given {floats[bad[0]]} in "
            f"row {bad[0]}, counted from 0"
        )
    return floats.astype(np.int64)


def ordered(name: str, values: Array) -> Array:
    """`values` as an array of numbers, booleans or strings.

    Raises
    ------
    ValueError
        If they are of another kind, of several kinds, not finite, or whole numbers that need more than 64 bits; the
        message has `name`.
    """
    if values.dtype.kind == "O":
        refuse_missing(name, values)
        values = unboxed(values)
    if values.dtype.kind not in "biufU":
        kinds = _kinds(values) if values.dtype.kind == "O" else set()
        if kinds and kinds <= {int, float}:
            large = max(values.tolist(), key=abs)
            raise ValueError(f"{name} must be numbers that 64 bits hold all of exactly, or strings: given {large}")
        raise ValueError(_of_another_kind(name, values, kinds))
    if values.dtype.kind == "f":
        _refuse_infinite(name, values)
    return values


def unboxed(objects: Array) -> Array:
    """An array of Python objects as strings, booleans, int64, uint64 or float64; as it is where none of these is exact.

    Whole numbers among floats become floats below 2^53.
    """
    values = [value.item() if isinstance(value, np.generic) else value for value in objects.tolist()]
    kinds = _kinds(objects)
    if kinds <= {str}:
        return objects.astype(str)
    if kinds == {bool}:
        return np.array(values, bool)
    if kinds == {int}:
        for exact in (np.int64, np.uint64):
            if np.iinfo(exact).min <= min(values) and max(values) <= np.iinfo(exact).max:
                return np.array(values, exact)
    elif kinds <= {int, float} and all(abs(value) < 2**53 for value in values if isinstance(value, int)):
        return np.array(values, np.float64)
    plain = np.empty(len(values), object)
    plain[:] = values
    return plain


def missing(value: object) -> bool:
    """Whether `value` stands for none: None, NaN, pandas' NA and NaT."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _kinds(objects: Array) -> set[type]:
    values = (value.item() if isinstance(value, np.generic) else value for value in objects.tolist())
    return {str if isinstance(value, str) else type(value) for value in values}


def refuse_missing(name: str, objects: Array) -> None:
    """Refuse a gap among Python objects with a ValueError that has `name` and the row."""
    for row, value in enumerate(objects.tolist()):
        if missing(value):
            raise ValueError(f"{name}: row {row}, counted from 0, has no value: given {value}")


def _refuse_infinite(name: str, floats: Array) -> None:
    if len(bad := np.flatnonzero(~np.isfinite(floats))):
        raise ValueError(f"{name} must be finite, given {floats[bad[0]]} in row {bad[0]}, counted from 0")


def _of_another_kind(name: str, values: Array, kinds: set[type]) -> str:
    if not kinds:
        return f"{name} must be numbers or strings, given {values.dtype}"
    return f"{name} must all be numbers or all be strings, given {', '.join(sorted(kind.__name__ for kind in kinds))}"


def sort(values: Iterable[Any]) -> list[Any]:
    """Numbers, then strings, each in increasing order."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def sort_names(names: Array) -> tuple[list[str], Array]:
    """The distinct `names` in order, by number if all are whole numbers as one writes them, and each name's position.

    So 10 comes after 2, and 007, 7 and 7.0 stay three names.
    """
    distinct, inverse = np.unique(names, return_inverse=True)
    words: list[str] = distinct.tolist()
    plain = [word.removeprefix("-") for word in words]
    whole = all(len(word) < 100 and word.isascii() and word.isdecimal() for word in plain)
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
