"""FederatedStandardScaler: columns at mean 0 and variance 1 over all clients."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from newtonfl.core.backend import Array
from newtonfl.datasets.levels import Levels
from newtonfl.datasets.moments import column_moments
from newtonfl.datasets.summaries import SummaryExchange
from newtonfl.estimators.transformer import ATTRIBUTES, PARAMETERS, FederatedTransformer
from newtonfl.objectives.scaling import is_constant


@dataclass(eq=False, repr=False)
class FederatedStandardScaler(OneToOneFeatureMixin, FederatedTransformer):
    __doc__ = f"""(a_j - mean)/scale in each column j, with the mean and the standard deviation over all clients' rows.

    What ``sklearn.preprocessing.StandardScaler`` finds on the pooled rows: variances are Σ w_i (a_ij - mean)²/Σ w_i,
    missing values (NaN) count for nothing and stay, and a column that is constant but for rounding is not divided.
    Clients send counts and sums, get the means, and send the sums of squares about them.

    Parameters
    ----------
    {PARAMETERS}
    with_mean : bool
        Whether to subtract the mean. Sparse rows need False, which keeps their zeros.
    with_std : bool
        Whether to divide by the standard deviation.

    Attributes
    ----------
    mean_, var_ : numpy.ndarray, shape (n_features,), or None
        None with neither `with_mean` nor `with_std`; var_ without `with_std`, too.
    scale_ : numpy.ndarray, shape (n_features,), or None
        The square root of var_, 1 for a constant column; None without `with_std`.
    n_samples_seen_ : int or float, or numpy.ndarray, shape (n_features,)
        How many rows have a value, or their weight; an array where it is another in some column.
    {ATTRIBUTES}

    Examples
    --------
    >>> import newtonfl as nf
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> scaler = nf.FederatedStandardScaler(clients=4).fit(X)
    >>> abs(scaler.transform(X).mean(axis=0)).max() < 1e-12
    np.True_
    """

    _: KW_ONLY
    with_mean: bool = True
    with_std: bool = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.with_mean
        return tags

    def fit(
        self, X: Array, y: Array | None = None, sample_weight: Array | None = None, groups: Array | None = None
    ) -> Self:
        """Find means and standard deviations.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
            Numbers; NaN, or a table's gap, where a value is missing.
        y : array, shape (N,), or None
            Looked at only where `clients` splits by label.
        sample_weight : array, shape (N,), or None
            w_i ≥ 0.
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
        return self._fit(X, y, groups, sample_weight)

    def _learn(self, exchange: SummaryExchange, levels: Levels) -> None:
        moments = column_moments(exchange, variances=bool(self.with_std))
        weighted = exchange.federation.weights is not None
        counts = moments.counts if weighted else moments.counts.astype(np.int64)
        self.n_samples_seen_ = counts[0].item() if (counts == counts[0]).all() else counts
        self.mean_: Array | None = moments.means if self.with_mean or self.with_std else None
        self.var_ = moments.variances
        if self.var_ is None:
            self.scale_ = None
        else:
            constant = is_constant(counts, moments.means, self.var_)
            self.scale_ = np.where(constant, 1.0, np.sqrt(self.var_))

    def transform(self, X: Array) -> Array:
        """Scaled rows.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)

        Returns
        -------
        numpy.ndarray, or SciPy CSR matrix where X is sparse, shape (N, n_features)
        """
        check_is_fitted(self)
        rows = self._numbers(X, reset=False)
        if scipy.sparse.issparse(rows):
            return rows if self.scale_ is None else _divided(rows, self.scale_)
        rows = rows - self.mean_ if self.with_mean else rows.astype(np.float64)
        return rows if self.scale_ is None else rows / self.scale_

    def inverse_transform(self, X: Array) -> Array:
        """Rows in the columns' own units, from scaled ones.

        Parameters
        ----------
        X : array or sparse matrix, shape (N, n_features)

        Returns
        -------
        numpy.ndarray, or SciPy CSR matrix where X is sparse, shape (N, n_features)
        """
        check_is_fitted(self)
        rows = self._numbers(X, reset=False)
        if scipy.sparse.issparse(rows):
            return rows if self.scale_ is None else _divided(rows, 1.0 / self.scale_)
        rows = rows.astype(np.float64) if self.scale_ is None else rows * self.scale_
        return rows + self.mean_ if self.with_mean else rows

    def _numbers(self, X: Array, reset: bool) -> Array:
        rows = super()._numbers(X, reset)
        if self.with_mean and scipy.sparse.issparse(rows):
            raise ValueError(
                "X: sparse rows minus the means would fill in every zero: with_mean=False divides alone, and keeps them"
            )
        return rows


def _divided(rows: Any, scales: Array) -> Any:
    """CSR rows with each column divided by its scale."""
    divided = rows.astype(np.float64)
    divided.data = divided.data / scales[divided.indices]
    return divided
