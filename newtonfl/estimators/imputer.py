"""FederatedSimpleImputer: missing numbers become their column's mean over all clients, or a constant."""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from newtonfl.core.backend import Array
from newtonfl.datasets.levels import Levels
from newtonfl.datasets.moments import column_moments
from newtonfl.datasets.summaries import SummaryExchange
from newtonfl.estimators.transformer import ATTRIBUTES, PARAMETERS, FederatedTransformer

STRATEGIES = ("mean", "constant")


@dataclass(eq=False, repr=False)
class FederatedSimpleImputer(FederatedTransformer):
    __doc__ = f"""A number in the place of every missing one: its column's mean over all clients, or a constant.

    What ``sklearn.impute.SimpleImputer`` finds on the pooled rows. Clients send how many values each column has and
    their sum. Medians and most frequent values would take the values themselves, and are not offered.

    Parameters
    ----------
    {PARAMETERS}
    strategy : {{"mean", "constant"}}
        "constant" sends nothing.
    fill_value : float or None
        The constant; None is 0.
    keep_empty_features : bool
        Whether a column of which no rank has a value becomes 0, else it is left out with a warning. With a constant,
        of which nothing is asked, every column stays.

    Attributes
    ----------
    statistics_ : numpy.ndarray, shape (n_features,)
        What missing values become; NaN for a column that is left out.
    {ATTRIBUTES}

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.FederatedSimpleImputer(clients=2).fit_transform([[1.0], [float("nan")], [4.0]]).ravel().tolist()
    [1.0, 2.5, 4.0]
    """

    _: KW_ONLY
    strategy: str = "mean"
    fill_value: float | None = None
    keep_empty_features: bool = False

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Array, y: Array | None = None, groups: Array | None = None) -> Self:
        """Find what missing values become.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
            Numbers; NaN, or a table's gap, where a value is missing. What a sparse matrix leaves out is 0.
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
            If an argument is not allowed, ranks that must pass the same do not, or a sum is beyond the largest double.
        Fault
            If another rank failed; the message names the rank.
        """
        return self._fit(X, y, groups)

    def _rows_to_fit(self, X: Array) -> tuple[Array, Levels]:
        self._check_strategy()
        return super()._rows_to_fit(X)

    def _learn(self, exchange: SummaryExchange, levels: Levels) -> None:
        if self.strategy == "mean":
            means = column_moments(exchange, variances=False).means
            self.statistics_ = np.where(np.isnan(means), 0.0, means) if self.keep_empty_features else means
        else:
            constant = 0.0 if self.fill_value is None else float(self.fill_value)
            self.statistics_ = np.full(self.n_features_in_, constant)

    def transform(self, X: Array) -> Array:
        """Rows without a gap.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)

        Returns
        -------
        numpy.ndarray, or SciPy CSR matrix where X is sparse, shape (N, n_features less those that are left out)
        """
        check_is_fitted(self)
        rows = self._numbers(X, reset=False)
        if scipy.sparse.issparse(rows):
            filled = rows.astype(np.float64)
            filled.data = np.where(np.isnan(filled.data), self.statistics_[filled.indices], filled.data)
        else:
            filled = np.where(np.isnan(rows), self.statistics_, rows)
        kept = ~np.isnan(self.statistics_)
        if kept.all():
            return filled
        names = getattr(self, "feature_names_in_", np.arange(len(kept)))[~kept]
        warnings.warn(
            f"{type(self).__name__}: no rank had a value for the columns {', '.join(map(str, names))}, which are left "
            "out: keep_empty_features=True makes them 0",
            stacklevel=2,
        )
        return filled[:, np.flatnonzero(kept)]

    def get_feature_names_out(self, input_features: Array | None = None) -> Array:
        """The names of the columns that `transform` keeps; `input_features` are their names where fit saw none."""
        check_is_fitted(self)
        return _check_feature_names_in(self, input_features)[~np.isnan(self.statistics_)]

    def _check_strategy(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy: given {self.strategy!r}, allowed are {', '.join(map(repr, STRATEGIES))}: medians and most "
                "frequent values would take the clients' values, and not their sums"
            )
        value = self.fill_value
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value)
        if value is not None and (self.strategy != "constant" or not number):
            raise ValueError(
                f"fill_value: given {value!r} with strategy={self.strategy!r}, must be a finite number with "
                "strategy='constant', else None"
            )
