"""Tables and columns of pandas, polars, pyarrow and whatever else narwhals knows, as NumPy arrays of the same values.

A table's columns become float64 in C order, so that a fit has the bits of the fit from the equal array. What holds no
numbers, or has a gap, is refused by the column's name and the row.
"""

from __future__ import annotations

from collections import Counter
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.datasets.values import missing, refuse_missing, unboxed

_VALUES = (nw.String, nw.Categorical, nw.Enum, nw.Object)
"""Data types whose values are Python objects: what they are is looked at one by one."""


def native(values: Any) -> Any:
    """`values`, but what narwhals does not know of pandas and pyarrow as a table or column that it does know."""
    pandas, pyarrow = nw.dependencies.get_pandas(), nw.dependencies.get_pyarrow()
    if pandas is not None and isinstance(values, (pandas.Index, pandas.api.extensions.ExtensionArray)):
        return pandas.Series(values)
    if pyarrow is not None and isinstance(values, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([values])
    if pyarrow is not None and isinstance(values, pyarrow.Array):
        return pyarrow.chunked_array([values])
    return values


def rows_of(X: Any, gaps: bool = False) -> tuple[Any, list[str] | None]:
    """A table's rows and its columns' names.

    Parameters
    ----------
    X : table, or anything else
    gaps : bool
        Whether values may be missing, and become NaN.

    Returns
    -------
    rows : numpy.ndarray of float64, shape (N, c), or SciPy CSR array
        Sparse where all columns are pandas' Sparse; what is no table is returned as it is.
    names : list of str, or None
        None where they are no strings, as pandas' numbers are not, and where `X` is no table.

    Raises
    ------
    ValueError
        If a column holds no numbers or booleans, a value is missing (without `gaps`) or not finite, two columns have
        one name, or the table is a lazy one.
    TypeError
        If some names are strings and some are not.
    """
    table = _opened("X", X)
    if not isinstance(table, nw.DataFrame):
        return X, None
    strings = [isinstance(name, str) for name in table.columns]
    if any(strings) and not all(strings):
        raise TypeError(f"X: column names must all be strings, or none of them: given {table.columns}")
    names = list(table.columns) if any(strings) else None
    if (sparse := _sparse(nw.to_native(table), gaps)) is not None:
        return sparse, names
    rows = np.empty(table.shape)
    for j, column in enumerate(table.iter_columns()):
        rows[:, j] = _numbers(f"X: column {column.name!r}", column, gaps)
    return rows, names


def column_of(name: str, values: Any) -> Any:
    """The values of a column, or of a table of one column: a category's values, not its codes.

    Parameters
    ----------
    name : str
        Of the argument, for errors.
    values : column, table of one column, or anything else

    Returns
    -------
    numpy.ndarray, shape (N,)
        Numbers, booleans or strings; what is neither column nor table is returned as it is.

    Raises
    ------
    ValueError
        If the table has other than one column, a value is missing, or values are none of these.
    """
    column = _opened(name, values)
    if isinstance(column, nw.DataFrame):
        if column.shape[1] != 1:
            raise ValueError(f"{name}: given a table of {column.shape[1]} columns, must be one column")
        column = column.get_column(column.columns[0])
    if not isinstance(column, nw.Series):
        return values
    if column.dtype in _VALUES:
        return unboxed(_objects(name, column))
    column = _filled(column)
    if not _is_numeric(column):
        _refuse(name, column, "numbers, booleans or strings: make them strings")
    numbers = _array(name, column)
    return numbers.astype(np.float64) if numbers.dtype.kind == "O" else numbers  # decimals


def refuse_order(name: str, values: Any) -> None:
    """Refuse ordered categories with a ValueError, unless sorting, which classes are taken by, gives that order."""
    kind: Any = getattr(values, "dtype", None)
    known = list(kind.categories) if getattr(kind, "ordered", False) is True else []
    if known != sorted(known):
        raise ValueError(
            f"{name}: given categories in the order {', '.join(map(repr, known[:8]))}, and classes are taken in "
            "that of numbers or of the alphabet: give their numbers, as in y.cat.codes"
        )


def is_table(X: Any) -> bool:
    """Whether `X` is a table; a lazy one is refused with a ValueError."""
    return isinstance(_opened("X", X), nw.DataFrame)


def values_of(X: Any) -> list[list[Any]]:
    """The values of each column of a table or an array of two dimensions, as Python's objects.

    Parameters
    ----------
    X : table, or array, shape (N, c)

    Raises
    ------
    ValueError
        If the table is a lazy one, or two columns have one name.
    """
    table = _opened("X", X)
    if isinstance(table, nw.DataFrame):
        return [_filled(column).to_list() for column in table.iter_columns()]
    columns: list[list[Any]] = np.asarray(X).T.tolist()
    return columns


def _opened(name: str, values: Any) -> Any:
    """narwhals' table or column of `values`; what is neither, as it is."""
    values = native(values)
    try:
        opened = nw.from_native(values, pass_through=True, allow_series=True)
    except nw.exceptions.DuplicateError:
        names = Counter(values.column_names if hasattr(values, "column_names") else values.columns)
        twice = next(column for column, count in names.items() if count > 1)
        raise ValueError(f"{name}: two columns are named {twice!r}: names must differ") from None
    if isinstance(opened, nw.LazyFrame):
        raise ValueError(
            f"{name}: given a lazy table ({type(values).__module__.partition('.')[0]}), must be one with its values at "
            "hand: call its collect() or compute() first"
        )
    return opened


def _sparse(table: Any, gaps: bool) -> Any:
    """A pandas table whose columns are all Sparse, as a CSR array; else None."""
    kinds = list(table.dtypes) if hasattr(table, "dtypes") else []
    if not kinds or not all(map(_leaves_out, kinds)):
        return None
    for name, kind in zip(table.columns, kinds, strict=True):
        if kind.subtype.kind not in "biuf" or kind.fill_value != 0:
            raise ValueError(f"X: column {name!r}: given {kind}, must be numbers and leave out zeros")
    rows = scipy.sparse.csr_array(table.sparse.to_coo(), dtype=np.float64)
    if len(bad := _infinite(rows.data, gaps)):
        row = int(np.searchsorted(rows.indptr, bad[0], side="right")) - 1
        _refuse_infinite(f"X: column {table.columns[rows.indices[bad[0]]]!r}", row, rows.data[bad[0]])
    return rows


def _infinite(numbers: Array, gaps: bool) -> Array:
    """The positions of numbers that are not finite; NaN is none where there may be `gaps`."""
    return np.flatnonzero(np.isinf(numbers) if gaps else ~np.isfinite(numbers))


def _leaves_out(kind: Any) -> bool:
    """Whether a data type is pandas' Sparse."""
    pandas = nw.dependencies.get_pandas()
    return pandas is not None and isinstance(kind, pandas.SparseDtype)


def _filled(column: Any) -> Any:
    """`column`, with what pandas' Sparse leaves out written out."""
    kept = nw.to_native(column)
    leaves_out = _leaves_out(getattr(kept, "dtype", None))
    return nw.from_native(kept.sparse.to_dense(), series_only=True) if leaves_out else column


def _numbers(where: str, column: Any, gaps: bool) -> Array:
    """A column of numbers or booleans as float64, with NaN for a gap where there may be `gaps`."""
    column = _filled(column)
    encode = "numbers or booleans: encode them first, say by FederatedOneHotEncoder"
    if column.dtype == nw.Object:
        objects = _objects(where, column, gaps)
        if not all(isinstance(value, Real | np.bool_) for value in objects):
            _refuse(where, column, encode)
        numbers = objects.astype(np.float64)
    else:
        if not _is_numeric(column):
            _refuse(where, column, encode)
        numbers = np.asarray(column.cast(nw.Float64).to_numpy()) if gaps else _array(where, column).astype(np.float64)
    if len(bad := _infinite(numbers, gaps)):
        _refuse_infinite(where, int(bad[0]), numbers[bad[0]])
    return numbers


def _objects(where: str, column: Any, gaps: bool = False) -> Array:
    """A column of Python's values, with NaN for each that is missing where there may be `gaps`, else none missing."""
    objects = np.empty(len(column), object)
    objects[:] = [np.nan if gaps and missing(value) else value for value in column.to_list()]
    if not gaps:
        refuse_missing(where, objects)
    return objects


def _array(where: str, column: Any) -> Array:
    """A column of numbers or booleans, none missing, as NumPy keeps them."""
    if column.dtype in (nw.Int128, nw.UInt128):  # NumPy has none so wide
        return unboxed(_objects(where, column))
    if len(rows := np.flatnonzero(column.is_null().to_numpy())):
        raise ValueError(f"{where}: row {rows[0]}, counted from 0, has no value")
    return np.asarray(column.to_numpy())


def _is_numeric(column: Any) -> bool:
    return bool(column.dtype.is_numeric()) or column.dtype == nw.Boolean


def _refuse_infinite(where: str, row: int, value: float) -> None:
    raise ValueError(f"{where}: row {row}, counted from 0: given {value}, must be finite")


def _refuse(where: str, column: Any, allowed: str) -> None:
    kept = nw.to_native(column)
    kind = getattr(kept, "dtype", None) or getattr(kept, "type", column.dtype)  # pyarrow says type
    raise ValueError(f"{where}: given {kind}, must be {allowed}")
