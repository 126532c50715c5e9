"""Federated regressors of numbers: ridge, Huber; and what all regressors share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.frames import column_of
from newtonfl.estimators.parameters import ATTRIBUTES, OF_CLIENTS, PARAMETERS
from newtonfl.estimators.personal import PersonalColumns
from newtonfl.methods import Method
from newtonfl.objectives.losses import Huber, Loss, Squared


@dataclass(eq=False, repr=False)
class Regressor(RegressorMixin, PersonalColumns):
    """One solve, one row of coefficients."""

    def _check_targets(self, y: Array) -> None:
        if y.dtype.kind not in "biuf":
            raise ValueError(f"y: given {y.dtype}, must be numbers")

    @abstractmethod
    def _loss(self) -> Loss:
        """What is minimised of one margin a row."""

    def _fit(self, federation: Federation, method: Method | None, seed: int) -> Self:
        with federation.transport.agreed("checking the loss"):
            loss = self._loss()
        initial = self._initial(1, self._width(federation))
        labels = np.asarray(federation.labels, np.float64)
        x0 = None if initial is None else initial[0]
        solved = self._solve(federation, labels, federation.weights, loss, x0, method, seed)
        self.coef_, intercept = self._coefficients(solved.result.x)
        self.intercept_ = float(intercept)
        self._keep_clients(solved.of_clients, federation.clients)
        self._finish([solved], federation.transport)
        return self

    def predict(self, X: Array, clients: Any = None) -> Array:
        """The mean that the model gives for each row.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        clients : array, shape (N,), or one id, or None
            Every row's client, whose model it is predicted by: needed where columns are personal.

        Returns
        -------
        numpy.ndarray, shape (N,)
        """
        return self._linear(X, clients)

    def score(self, X: Array, y: Array, sample_weight: Array | None = None, clients: Any = None) -> float:
        """R², the share of the variance that the model explains.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        y : array, shape (N,)
        sample_weight : array, shape (N,), or None
        clients : array, shape (N,), or one id, or None
            As in :meth:`predict`.

        Returns
        -------
        float
            At most 1.
        """
        weights = column_of("sample_weight", sample_weight)
        return float(r2_score(column_of("y", y), self.predict(X, clients=clients), sample_weight=weights))


@dataclass(eq=False, repr=False)
class FederatedRidge(Regressor):
    __doc__ = f"""Ridge regression over clients: (1/Σw) Σ w_j (a_jᵀw + b - y_j)²/2 + (alpha/2)‖w‖².

    At alpha = a/Σw the solution is that of ``sklearn.linear_model.Ridge(alpha=a)``.

    Parameters
    ----------
    {PARAMETERS}

    Attributes
    ----------
    coef_ : numpy.ndarray, shape (n_features,)
    intercept_ : float
    {OF_CLIENTS}
    {ATTRIBUTES}

    Examples
    --------
    >>> import newtonfl as nf
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> nf.FederatedRidge(alpha=1e-4, clients=4).fit(X, y).converged_reason_
    'the gradient norm reached the tolerance'
    """

    def _loss(self) -> Loss:
        return Squared()


@dataclass(eq=False, repr=False)
class FederatedHuberRegressor(Regressor):
    __doc__ = f"""Huber regression over clients: (1/Σw) Σ w_j φ(a_jᵀw + b - y_j) + (alpha/2)‖w‖².

    φ(r) = r²/2 where abs(r) ≤ δ, and δ abs(r) - δ²/2 beyond. δ is in units of y. scikit-learn's HuberRegressor fits a
    scale σ as well: at δ = epsilon·scale_ and this alpha = alpha·scale_/Σw its solution is the one here.

    Parameters
    ----------
    delta : float
        δ, positive, in units of y.
    {PARAMETERS}

    Attributes
    ----------
    coef_ : numpy.ndarray, shape (n_features,)
    intercept_ : float
    {OF_CLIENTS}
    {ATTRIBUTES}
    """

    _: KW_ONLY
    delta: float = 1.35

    def _loss(self) -> Loss:
        return Huber(self.delta)
