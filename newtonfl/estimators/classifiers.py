"""Federated classifiers: logistic regression and the linear support vector machine."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.frames import column_of
from newtonfl.estimators.of_classes import OfClasses
from newtonfl.estimators.parameters import ATTRIBUTES, OF_CLIENTS, PARAMETERS
from newtonfl.estimators.personal import PersonalColumns
from newtonfl.methods import Method
from newtonfl.objectives.losses import Logistic, Loss, SquaredHinge
from newtonfl.objectives.multinomial import contrasts

CLASSIFIER = f"""class_weight : dict, "balanced" or None
        Factors of the weights of each class's rows; "balanced" is Σw/(K Σw of the class). At 0 a class's rows count
        for nothing, and the class stays one of ``classes_``.
    {PARAMETERS}

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (K,)
        In sorted order.
    coef_ : numpy.ndarray, shape (1, n_features) for two classes, else (K, n_features)
    intercept_ : numpy.ndarray, shape (1,) or (K,)
    {OF_CLIENTS}
    {ATTRIBUTES}"""


@dataclass(eq=False, repr=False)
class _Classifier(OfClasses, PersonalColumns):
    """Two classes in one solve; more in one, or one against the rest."""

    _: KW_ONLY
    class_weight: Mapping[Any, float] | str | None = None

    @abstractmethod
    def _loss(self) -> Loss:
        """What is minimised of one margin a row."""

    def _joint(self) -> bool:
        """Whether more than two classes are fitted in one solve."""
        return False

    def _fit(self, federation: Federation, method: Method | None, seed: int) -> Self:
        codes = self._class_numbers(federation)
        count, width = len(self.classes_), self._width(federation)
        with federation.transport.agreed("looking at the classes"):
            joint = self._joint()
            if self.inference is not None and joint and count > 2:
                raise ValueError(
                    'inference: given with several classes in one model; multi_class="ovr" has one a class'
                )
        weights = self._weighed(federation, codes)
        rows = 1 if count == 2 else count
        initial = self._initial(rows, width)
        if count > 2 and joint:
            q = contrasts(count)
            x0 = None if initial is None else (q.T @ initial).ravel()
            solves = [self._solve(federation, codes, weights, count, x0, method, seed)]
            shape, own = (count - 1, width), solves[0].of_clients
            solution = q @ solves[0].result.x.reshape(shape)
            of_clients = None if own is None else q @ own.reshape(-1, *shape)
        else:
            positive = [1] if count == 2 else range(count)
            points: list[Array | None] = [None] * rows if initial is None else list(initial)
            solves = []
            for k, x0 in zip(positive, points, strict=True):
                labels = np.where(codes == k, 1.0, -1.0)
                part = f"class {k}" if count > 2 else ""
                solves.append(self._solve(federation, labels, weights, self._loss(), x0, method, seed, part))
                federation = replace(federation, preparation=None)  # which the first solve has counted
            solution = np.array([solved.result.x for solved in solves])
            apart = [solved.of_clients for solved in solves if solved.of_clients is not None]
            of_clients = np.stack(apart, axis=1) if apart else None
        self.coef_, self.intercept_ = self._coefficients(solution)
        self._keep_clients(of_clients, federation.clients)
        self._finish(solves, federation.transport)
        return self

    def _weighed(self, federation: Federation, codes: Array) -> Array | None:
        """The rows' weights times their classes'. Collective."""
        weights = federation.weights
        if self.class_weight is None:
            return weights
        count = len(self.classes_)
        totals = federation.class_totals(codes, count)
        with federation.transport.agreed("weighing the classes"):
            if self.class_weight == "balanced":
                factors = math.fsum(totals) / (count * totals)
            else:
                factors = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)
                if not (np.isfinite(factors).all() and (factors >= 0).all() and factors.any()):
                    raise ValueError(
                        f"class_weight: given {self.class_weight}, must be finite, at least 0, and not 0 for all"
                    )
            factors = factors[codes.astype(int)]
            return np.asarray(factors if weights is None else weights * factors, np.float64)

    def decision_function(self, X: Array, clients: Any = None) -> Array:
        """a_jᵀw + b: of the second of two classes, shape (N,), or of every class, shape (N, K).

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        clients : array, shape (N,), or one id, or None
            Every row's client, whose model it is predicted by: needed where columns are personal.

        Returns
        -------
        numpy.ndarray
        """
        scores = self._linear(X, clients)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Array, clients: Any = None) -> Array:
        """The class with the highest score for each row.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        clients : array, shape (N,), or one id, or None
            Every row's client, whose model it is predicted by: needed where columns are personal.

        Returns
        -------
        numpy.ndarray, shape (N,)
        """
        scores = self.decision_function(X, clients)
        chosen = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[chosen]

    def score(self, X: Array, y: Array, sample_weight: Array | None = None, clients: Any = None) -> float:
        """The share of rows, by weight, whose class is predicted.

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
        """
        weights = column_of("sample_weight", sample_weight)
        return float(accuracy_score(column_of("y", y), self.predict(X, clients), sample_weight=weights))


@dataclass(eq=False, repr=False)
class FederatedLogisticRegression(_Classifier):
    __doc__ = f"""Logistic regression over clients: (1/Σw) Σ w_j loss_j + (alpha/2)‖w‖².

    For two classes loss = log(1 + exp(-y (aᵀw + b))). For K > 2 classes it is multinomial,
    loss = log Σ_k exp(t_k) - t_y with t_k = aᵀw_k + b_k, solved in the K - 1 contrasts that matter
    (:class:`newtonfl.objectives.multinomial.Multinomial`; intercepts sum to zero), or with ``multi_class="ovr"`` one
    solve a class against the rest. At ``alpha_from_C(C, Σw)`` the solution is that of
    ``sklearn.linear_model.LogisticRegression``.

    Parameters
    ----------
    multi_class : {{"multinomial", "ovr"}}
        What more than two classes mean.
    {CLASSIFIER}

    Examples
    --------
    >>> import newtonfl as nf
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = nf.FederatedLogisticRegression(alpha=1e-2, clients=5).fit(X, y)
    >>> model.coef_.shape, model.score(X, y) > 0.9
    ((3, 4), True)
    """

    _: KW_ONLY
    multi_class: str = "multinomial"

    def _loss(self) -> Loss:
        return Logistic()

    def _joint(self) -> bool:
        if self.multi_class not in ("multinomial", "ovr"):
            raise ValueError(f'multi_class: given {self.multi_class!r}, allowed are "multinomial", "ovr"')
        return self.multi_class == "multinomial"

    def predict_proba(self, X: Array, clients: Any = None) -> Array:
        """The probability of every class for each row.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        clients : array, shape (N,), or one id, or None
            Every row's client, whose model it is predicted by: needed where columns are personal.

        Returns
        -------
        numpy.ndarray, shape (N, K)
        """
        scores = self.decision_function(X, clients)
        if scores.ndim == 1:
            likely = expit(scores)
            return np.column_stack([1.0 - likely, likely])
        if self._joint():
            return softmax(scores, axis=1)
        likely = expit(scores)
        total = likely.sum(axis=1, keepdims=True)
        # Where no class has a likelihood that float64 can hold, their ratios still can be.
        return np.divide(likely, total, out=softmax(log_expit(scores), axis=1), where=total > 0)

    def predict_log_proba(self, X: Array, clients: Any = None) -> Array:
        """The logarithm of :meth:`predict_proba`, finite also where a probability is too small for float64.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        clients : array, shape (N,), or one id, or None
            Every row's client, whose model it is predicted by: needed where columns are personal.

        Returns
        -------
        numpy.ndarray, shape (N, K)
        """
        scores = self.decision_function(X, clients)
        if scores.ndim == 1:
            return log_expit(np.column_stack([-scores, scores]))
        return log_softmax(scores if self._joint() else log_expit(scores), axis=1)


@dataclass(eq=False, repr=False)
class FederatedLinearSVC(_Classifier):
    __doc__ = f"""Linear support vector machine with squared hinge over clients: (1/Σw) Σ w_j loss_j + (alpha/2)‖w‖².

    loss = max(0, 1 - y (aᵀw + b))²; more than two classes are fitted one against the rest. The intercept is not
    penalised; liblinear penalises its own, so at ``alpha_from_C(C, Σw)`` the solution is that of
    ``sklearn.svm.LinearSVC`` where there is no intercept.

    Parameters
    ----------
    {CLASSIFIER}
    """

    def _loss(self) -> Loss:
        return SquaredHinge()
