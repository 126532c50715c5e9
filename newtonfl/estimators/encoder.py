"""FederatedOneHotEncoder: a column for each level that some client has."""

from __future__ import annotations

import math
import warnings
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from newtonfl.core.backend import Array
from newtonfl.datasets.frames import is_table, native, values_of
from newtonfl.datasets.levels import Levels, joined_levels, levels_of, positions
from newtonfl.datasets.summaries import SummaryExchange
from newtonfl.estimators.transformer import ATTRIBUTES, PARAMETERS, FederatedTransformer


@dataclass(eq=False, repr=False)
class FederatedOneHotEncoder(FederatedTransformer):
    __doc__ = f"""A column for each level of each column, 1 where a row has it and 0 elsewhere.

    What ``sklearn.preprocessing.OneHotEncoder`` finds on the pooled rows. Each client sends the names of the levels
    that it has, and gets those of all, in order. A missing value (NaN, None, NA) is a level of its own, the last.

    Parameters
    ----------
    {PARAMETERS}
    drop : None, "first" or "if_binary"
        Which columns have no column for their first level: none, all, those of two levels.
    sparse_output : bool
        Whether `transform` returns a sparse array.
    handle_unknown : {{"error", "ignore"}}
        What `transform` does about a level that no client had: refuse it, or leave all of the column's ones out.

    Attributes
    ----------
    categories_ : list of numpy.ndarray
        The levels of each column, in order.
    drop_idx_ : numpy.ndarray of int or None, or None
        The position of each column's level that has no column; None without `drop`.
    {ATTRIBUTES}

    Examples
    --------
    >>> import newtonfl as nf
    >>> encoder = nf.FederatedOneHotEncoder(clients=2).fit([["north"], ["south"], ["north"]])
    >>> encoder.get_feature_names_out(["ward"]).tolist()
    ['ward_north', 'ward_south']
    """

    _: KW_ONLY
    drop: str | None = None
    sparse_output: bool = True
    handle_unknown: str = "error"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: Array, y: Array | None = None, groups: Array | None = None) -> Self:
        """Find the levels of all clients.

        Parameters
        ----------
        X : array or table, shape (N, n_features)
            Strings, booleans or finite numbers, of one kind a column; or missing.
        y : array, shape (N,), or None
            Looked at only where `clients` splits by label.
        groups : array, shape (N,), or None
            Every row's client, as whole numbers or strings.

        Returns
        -------
        self
            Fitted.

        Raises
        ------
        ValueError
            If an argument is not allowed, ranks that must pass the same do not, or a column has strings at one client
            and numbers at another.
        Fault
            If another rank failed; the message names the rank.
        """
        return self._fit(X, y, groups)

    def _rows_to_fit(self, X: Array) -> tuple[Array, Levels]:
        self._check_choices()
        levels, codes = levels_of(self._table(X, reset=True), self._names())
        return codes, levels

    def _learn(self, exchange: SummaryExchange, levels: Levels) -> None:
        joined = joined_levels(exchange, levels, self._names())
        self.categories_ = [_category_array(column) for column in joined]
        self.drop_idx_ = self._dropped()

    def transform(self, X: Array) -> Array:
        """Ones and zeros.

        Parameters
        ----------
        X : array or table, shape (N, n_features)

        Returns
        -------
        SciPy CSR array, or numpy.ndarray without `sparse_output`, shape (N, number of columns)

        Raises
        ------
        ValueError
            If a level is unknown, and `handle_unknown` is "error"; the message names column and row.
        """
        check_is_fitted(self)
        X = self._table(X, reset=False)
        columns = zip(self._names(), values_of(X), self.categories_, strict=True)
        codes = np.column_stack([self._positions(name, values, known) for name, values, known in columns])
        # Where each level's column is, -1 where it has none; a last place stands for what is unknown.
        places = [np.append(kept, False) for kept in self._kept()]
        place = np.where(np.concatenate(places), np.cumsum(np.concatenate(places)) - 1, -1)
        sizes = np.array([len(kept) for kept in places])
        first = np.cumsum(sizes) - sizes
        ones = place[first + np.where(codes < 0, sizes - 1, codes)]
        count = int(np.sum(np.concatenate(places)))
        ends = np.concatenate([[0], np.cumsum(np.sum(ones >= 0, axis=1))])
        encoded = scipy.sparse.csr_array((np.ones(ends[-1]), ones[ones >= 0], ends), shape=(len(codes), count))
        return encoded if self.sparse_output else encoded.toarray()

    def get_feature_names_out(self, input_features: Array | None = None) -> Array:
        """COLUMN_LEVEL for each column; `input_features` are the columns' names where fit saw none."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        every = zip(names, self.categories_, self._kept(), strict=True)
        return np.array([f"{name}_{level}" for name, known, kept in every for level in known[kept]], dtype=object)

    def _check_choices(self) -> None:
        for key, allowed in (("drop", (None, "first", "if_binary")), ("handle_unknown", ("error", "ignore"))):
            value = getattr(self, key)
            if not (value is None or isinstance(value, str)) or value not in allowed:
                raise ValueError(f"{key}: given {value!r}, allowed are {', '.join(map(repr, allowed))}")

    def _table(self, X: Any, reset: bool) -> Any:
        """A table as it is, else an array; a list keeps strings and numbers apart."""
        least = self._least()
        if not is_table(X):
            dtype = None if hasattr(X, "dtype") else object
            return validate_data(
                self, X, reset=reset, dtype=dtype, ensure_all_finite="allow-nan", ensure_min_samples=least
            )
        table = native(X)
        validate_data(self, table, reset=reset, skip_check_array=True)
        if table.shape[0] < least:
            raise ValueError("X: given a table of no rows, must have at least one")
        return table

    def _positions(self, name: Any, values: list[Any], categories: Array) -> Array:
        """Each value's position among a column's categories, -1 where it is unknown."""
        known = [None if isinstance(level, float) and math.isnan(level) else level for level in categories.tolist()]
        codes = positions(values, known)
        if len(unknown := np.flatnonzero(codes < 0)):
            value = values[unknown[0]]
            if self.handle_unknown == "error":
                allowed = ", ".join(repr(level) for level in known[:8]) + (", …" if len(known) > 8 else "")
                raise ValueError(
                    f"X: column {name!r}: row {unknown[0]}, counted from 0: given {value!r}, which no client had in "
                    f"fit, allowed are {allowed}; handle_unknown='ignore' makes it all zeros"
                )
            if self.drop is not None:
                warnings.warn(
                    f"X: column {name!r}: {value!r} and what else is unknown becomes all zeros, as the level that drop "
                    f"= {self.drop!r} leaves out",
                    stacklevel=3,
                )
        return codes

    def _dropped(self) -> Array | None:
        if self.drop is None:
            return None
        binary = self.drop == "if_binary"
        return np.array([None if binary and len(known) != 2 else 0 for known in self.categories_], dtype=object)

    def _kept(self) -> list[Array]:
        """Which levels of each column have a column."""
        dropped = [None] * len(self.categories_) if self.drop_idx_ is None else self.drop_idx_
        pairs = zip(self.categories_, dropped, strict=True)
        return [np.arange(len(known)) != (-1 if leave_out is None else leave_out) for known, leave_out in pairs]


def _category_array(levels: list[Any]) -> Array:
    """Levels as scikit-learn keeps them: numbers, or strings as objects, with NaN for what is missing."""
    plain = [np.nan if level is None else level for level in levels]
    if not any(isinstance(level, str | bool) for level in levels):
        return np.array(plain)
    kept = np.empty(len(plain), object)
    kept[:] = plain
    return kept.astype(bool) if all(isinstance(level, bool) for level in levels) else kept
