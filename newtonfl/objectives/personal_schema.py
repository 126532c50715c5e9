"""Which columns of rows are personal, by number and name; what those that are shared are called."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.objectives.column_problem import ColumnProblem
from newtonfl.objectives.scaling import Scaling
from newtonfl.objectives.schema import Schema


def column_numbers(problem: ColumnProblem, columns: Sequence[int | str] | str) -> Array:
    """The numbers of `columns`, increasing, as :meth:`newtonfl.objectives.base.Problem.personal` takes them.

    Raises
    ------
    ValueError
        If one is neither a column's number nor a name of one, and TypeError if it could be neither.
    """
    listed = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
    found = [number for column in listed for number in _numbers(problem, column)]
    return np.unique(np.array(found, np.int64))


def _numbers(problem: ColumnProblem, column: object) -> list[int]:
    """Of one of them: several where a column of words became several features."""
    schema, width = problem.schema, problem.rows.dim
    numbers = f"a number from 0 to {width - 1}"
    if isinstance(column, int | np.integer) and not isinstance(column, bool):
        if not 0 <= column < width:
            raise ValueError(f"personal: given the column {column}, must be {numbers}")
        return [int(column)]
    if not isinstance(column, str):
        raise TypeError(f"personal: given {column!r}, must be a column's name, or {numbers}")
    features = schema.features or ()
    found = [j for j, name in enumerate(features) if name == column]
    if column in schema.levels and not found:
        found = [j for j, name in enumerate(features) if name.startswith(f"{column}=")]
    if column == "intercept" and schema.intercept and not found:
        found = [width - 1]
    if not found:
        known = [*dict.fromkeys([*features, *schema.levels, *["intercept"] * schema.intercept])]
        near = difflib.get_close_matches(column, known, 1)
        listed = f"columns are {', '.join(known[:8])}" + ", …" * (len(known) > 8) if known else "they have no names"
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"personal: given {column!r}, must be a column's name, or {numbers}; {listed}{hint}")
    return found


def names_of(problem: ColumnProblem, columns: Array) -> str:
    """What `columns` are called, a few of them, in words; by their numbers where they have no names."""
    features, last = problem.schema.features, problem.rows.dim - 1
    names = [
        features[j] if features is not None else "intercept" if problem.schema.intercept and j == last else f"x{j}"
        for j in columns[:6].tolist()
    ]
    return ", ".join(names) + ", …" * (len(columns) > 6)


def shared_schema(problem: ColumnProblem, columns: Array) -> Schema:
    """The schema of the other columns."""
    schema, last = problem.schema, problem.rows.dim - 1
    kept = np.setdiff1d(np.arange(problem.rows.dim), columns)
    scaled = kept[kept < last] if schema.intercept else kept
    of_kept = [
        None if numbers is None else numbers[scaled] for numbers in (schema.scaling.shift, schema.scaling.divisor)
    ]
    return replace(
        schema,
        features=None if schema.features is None else tuple(schema.features[j] for j in kept.tolist()),
        intercept=schema.intercept and last not in columns,
        scaling=Scaling(schema.scaling.how, *of_kept),
    )
