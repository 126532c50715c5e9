"""Guard: what a site must have before it answers anything of its rows; and a warning where a client's rows are few.

The limits are DataSHIELD's nfilter.subset, nfilter.tab and nfilter.glm (the page Disclosure checks of its wiki,
wiki.datashield.org). They are this process's, whoever calls: ranks need not have the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from newtonfl.core.backend import Array


class PrivacyWarning(RuntimeWarning):
    """A client's rows are so few that what it sends can give them away."""


@dataclass(frozen=True)
class Guard:
    """The least that a client's rows must be, for rows that are shared out under ``with Guard(…):`` in this process.

    Guards within each other all hold. What falls short is refused on every rank, with the client and the limit and
    without the count or the word: rows and counts before any number of them travels, coefficients before a solve.

    Parameters
    ----------
    least_rows : int
        Of each client; and values of a column that has gaps, where its mean or variance is asked for.
    least_count : int
        Rows that must have a word of a ``categorical`` column of a file, or a level of a client, if any has.
    most_coefficients : float
        For each row of a client: d ≤ most_coefficients · N_i. DataSHIELD's default is 0.33.

    Raises
    ------
    ValueError
        If a limit is negative, or the last not positive.

    Examples
    --------
    >>> import newtonfl as nf
    >>> with nf.Guard(least_rows=30, most_coefficients=1.0):
    ...     nf.load("breast_cancer", clients=16).n_clients
    16
    """

    least_rows: int = 0
    least_count: int = 0
    most_coefficients: float = math.inf

    def __post_init__(self) -> None:
        for name, least in (("least_rows", 0), ("least_count", 0), ("most_coefficients", 0.0)):
            value = getattr(self, name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not value >= least or (name == "most_coefficients" and value == 0):
                allowed = "a number above 0" if name == "most_coefficients" else "a number of at least 0"
                raise ValueError(f"{name}: given {value!r}, must be {allowed}")

    def __enter__(self) -> Self:
        _guards.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _guards.remove(self)


_guards: list[Guard] = []
"""Those that hold now."""


def check_rows(clients: Sequence[str], sizes: Array) -> None:
    """Refuse with a ValueError where one of the `clients`, by name, has too few rows; one without any says nothing."""
    least = max((guard.least_rows for guard in _guards), default=0)
    for name, size in zip(clients, sizes, strict=True):
        if 0 < size < least:
            raise ValueError(f"{name} has fewer rows than the {least} that the guard asks for")


def check_own_rows(ids: Array | None, n_rows: int, rank: int) -> None:
    """Refuse where a client of a rank's own rows has too few; without its id, which may tell of somebody."""
    sizes = np.array([n_rows]) if ids is None else np.unique(ids, return_counts=True)[1]
    check_rows([f"a client of rank {rank}"] * len(sizes), sizes)


def check_values(clients: Sequence[str], columns: Sequence[str], counts: Array) -> None:
    """Refuse where one of the `clients` has too few values of a column: `counts` (clients, columns), but for 0."""
    least = max((guard.least_rows for guard in _guards), default=0)
    if len(short := np.argwhere((counts > 0) & (counts < least))):
        i, j = short[0]
        raise ValueError(
            f"{clients[i]}, column {columns[j]}, has fewer values than the {least} that the guard asks for"
        )


def check_counts(client: str, counts: Mapping[str, Array]) -> None:
    """Refuse with a ValueError where a word of a column has too few rows of a `client`; `counts` are by column."""
    least = max((guard.least_count for guard in _guards), default=0)
    for column, found in counts.items():
        if ((found > 0) & (found < least)).any():
            raise ValueError(
                f"{client}, column {column!r}: a word has fewer rows than the {least} that the guard asks for"
            )


def check_coefficients(clients: Array, sizes: Array, dim: int) -> None:
    """Refuse with a ValueError where one of the `clients` has too few rows for `dim` coefficients."""
    most = min((guard.most_coefficients for guard in _guards), default=math.inf)
    short = clients[(sizes > 0) & (dim > most * sizes)]
    if len(short):
        raise ValueError(
            f"client {short[0]} has too few rows for {dim} coefficients: the guard allows {most:g} of them for each row"
        )


def warn_of_few_rows(clients: Array, sizes: Array, dim: int) -> None:
    """Warn where a client has fewer rows than the `dim` numbers of a gradient."""
    few = clients[(sizes > 0) & (sizes < dim)]
    if len(few):
        who = f"client {few[0]} has" if len(few) == 1 else f"{len(few)} clients, {few[0]} the first of them, have"
        warnings.warn(
            f"{who} fewer rows than the {dim} numbers of a gradient: what is sent can give rows away "
            "(docs/privacy.md); Guard(least_rows=…) refuses it",
            PrivacyWarning,
            stacklevel=2,
        )
