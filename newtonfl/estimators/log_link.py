"""Federated regressors with log link, of counts and amounts: Poisson, gamma, Tweedie; with offsets and exposures."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.metrics import d2_tweedie_score
from sklearn.utils.validation import check_is_fitted

from newtonfl.core.backend import Array
from newtonfl.datasets.frames import column_of
from newtonfl.datasets.per_row import row_offset
from newtonfl.estimators.parameters import ATTRIBUTES, OF_CLIENTS, PARAMETERS
from newtonfl.estimators.regressors import Regressor
from newtonfl.objectives.losses import Gamma, Loss, Poisson, Tweedie


@dataclass(eq=False, repr=False)
class _LogLinkRegressor(Regressor):
    """The mean is e_j exp(a_jᵀw + b + o_j), and the variance its power."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags

    @property
    @abstractmethod
    def _power(self) -> float:
        """Of the mean, which the variance is."""

    def _check_targets(self, y: Array) -> None:
        super()._check_targets(y)
        fault = self._loss().label_fault(float(y.min())) if len(y) else ""
        if fault:
            raise ValueError(f"y: {type(self).__name__} {fault}")

    def fit(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        groups: Array | None = None,
        offset: Array | None = None,
        exposure: Array | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        y : array, shape (N,)
        sample_weight, groups : array, shape (N,), or None
            As in :meth:`newtonfl.estimators.base.Federated.fit`.
        offset : array, shape (N,), or None
            o_j, what is known of the margins: the mean is exp(a_jᵀw + b + o_j).
        exposure : array, shape (N,), or None
            e_j > 0, the time, area or number that a row's events were counted over: log e_j is added to the offset.

        Returns
        -------
        self
            Fitted.

        Raises
        ------
        ValueError, Fault
            As :meth:`newtonfl.estimators.base.Federated.fit`; also where an offset is not finite, or an exposure not
            positive.
        """
        self._fit_rows(X, y, sample_weight, groups, offset=offset, exposure=exposure)
        self._has_offset = not (offset is None and exposure is None)
        return self

    def _beside(self, n_rows: int, **beside: Any) -> dict[str, Array]:
        added = row_offset(beside["offset"], beside["exposure"], n_rows, self._loss().link)
        return {} if added is None else {"offset": added}

    def predict(  # type: ignore[override]
        self, X: Array, offset: Array | None = None, exposure: Array | None = None, clients: Any = None
    ) -> Array:
        """e_j exp(a_jᵀw + b + o_j) for each row.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        offset, exposure : array, shape (N,), or None
            As in :meth:`fit`. Without them o_j = 0 and e_j = 1, whatever the fit had: the mean of an exposure of 1.
        clients : array, shape (N,), or one id, or None
            Every row's client, whose model it is predicted by: needed where columns are personal.

        Returns
        -------
        numpy.ndarray, shape (N,)
        """
        margins = self._linear(X, clients)
        added = row_offset(offset, exposure, len(margins), self._loss().link)
        return np.exp(margins if added is None else margins + added)

    def score(  # type: ignore[override]
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        offset: Array | None = None,
        exposure: Array | None = None,
        clients: Any = None,
    ) -> float:
        """D², the share of the deviance that the model explains, of the deviance at the mean of y.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        y : array, shape (N,)
        sample_weight : array, shape (N,), or None
        offset, exposure, clients : array, shape (N,), or None
            As in :meth:`predict`.

        Returns
        -------
        float
            At most 1.

        Raises
        ------
        ValueError
            If the model was fitted with an offset or an exposure, and none is given: counts would be compared with
            rates.
        """
        check_is_fitted(self)
        if self._has_offset and offset is None and exposure is None:
            raise ValueError(
                f"score: this {type(self).__name__} was fitted with an offset or an exposure, and none is given; "
                "exposure=1 says that there is none"
            )
        predicted = self.predict(X, offset, exposure, clients)
        y, weights = column_of("y", y), column_of("sample_weight", sample_weight)
        return float(d2_tweedie_score(y, predicted, sample_weight=weights, power=self._power))


@dataclass(eq=False, repr=False)
class FederatedPoissonRegressor(_LogLinkRegressor):
    __doc__ = f"""Poisson regression with log link over clients: (1/Σw) Σ w_j (exp(t_j) - y_j t_j) + (alpha/2)‖w‖².

    t_j = a_jᵀw + b + o_j + log e_j with the offset and exposure of :meth:`fit`. That is half the mean deviance but for
    a constant: the solution is that of ``sklearn.linear_model.PoissonRegressor`` at the same alpha.

    Parameters
    ----------
    {PARAMETERS}

    Attributes
    ----------
    coef_ : numpy.ndarray, shape (n_features,)
    intercept_ : float
    {OF_CLIENTS}
    {ATTRIBUTES}
    """

    _power = 1.0

    def _loss(self) -> Loss:
        return Poisson()


@dataclass(eq=False, repr=False)
class FederatedGammaRegressor(_LogLinkRegressor):
    __doc__ = f"""Gamma regression with log link over clients: (1/Σw) Σ w_j (y_j exp(-t_j) + t_j) + (alpha/2)‖w‖².

    t_j = a_jᵀw + b + o_j + log e_j, and y_j > 0. That is half the mean deviance but for a constant: the solution is
    that of ``sklearn.linear_model.GammaRegressor`` at the same alpha.

    Parameters
    ----------
    {PARAMETERS}

    Attributes
    ----------
    coef_ : numpy.ndarray, shape (n_features,)
    intercept_ : float
    {OF_CLIENTS}
    {ATTRIBUTES}
    """

    _power = 2.0

    def _loss(self) -> Loss:
        return Gamma()


@dataclass(eq=False, repr=False)
class FederatedTweedieRegressor(_LogLinkRegressor):
    __doc__ = f"""Tweedie regression with log link over clients: (1/Σw) Σ w_j φ(t_j, y_j) + (alpha/2)‖w‖².

    φ(t, y) = y exp(-(p - 1)t)/(p - 1) + exp((2 - p)t)/(2 - p), t_j = a_jᵀw + b + o_j + log e_j and y_j ≥ 0. That is
    half the mean deviance but for a constant: the solution is that of ``sklearn.linear_model.TweedieRegressor`` with
    log link and the same power and alpha.

    Parameters
    ----------
    power : float
        p, between 1 (Poisson) and 2 (gamma), which have regressors of their own.
    {PARAMETERS}

    Attributes
    ----------
    coef_ : numpy.ndarray, shape (n_features,)
    intercept_ : float
    {OF_CLIENTS}
    {ATTRIBUTES}
    """

    _: KW_ONLY
    power: float = 1.5

    @property
    def _power(self) -> float:
        return self.power

    def _loss(self) -> Loss:
        return Tweedie(self.power)
