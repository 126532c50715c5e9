"""Federated ordinal regression: classes in an order, with proportional odds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.frames import refuse_order
from newtonfl.estimators.of_classes import OfClasses
from newtonfl.estimators.parameters import ALPHA, ATTRIBUTES, SOLVE
from newtonfl.methods import Method


@dataclass(eq=False, repr=False)
class FederatedOrdinalRegression(OfClasses):
    __doc__ = f"""Ordinal regression with proportional odds: -(1/Σw) Σ w_j log P(y_j) + (alpha/2)‖w‖².

    P(class ≤ k) = 1/(1 + exp(a_jᵀw - θ_k)), with thresholds θ that are not penalised:
    :class:`newtonfl.objectives.ordinal.Ordinal`. Classes are in the order of numbers, or of the alphabet. Without a
    penalty it is statsmodels' ``OrderedModel(…, distr="logit")``.

    Parameters
    ----------
    {ALPHA}
    {SOLVE}
    inference : "model" or None
        Standard errors from the Hessian (:func:`newtonfl.inference`), for ``inference_`` and :meth:`summary`, with one
        more exchange; None is not at all.

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (K,)
        In sorted order.
    coef_ : numpy.ndarray, shape (n_features,)
        A larger a_jᵀw makes later classes more likely.
    thresholds_ : numpy.ndarray, shape (K - 1,)
        θ, increasing.
    intercept_ : float
        0.
    {ATTRIBUTES}

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> draw = np.random.default_rng(0)
    >>> X = draw.standard_normal((200, 2))
    >>> y = np.digitize(X @ [1.0, -0.5] + draw.logistic(size=200), [-1.0, 1.0])
    >>> model = nf.FederatedOrdinalRegression(alpha=0.0, clients=4).fit(X, y)
    >>> model.thresholds_.shape, model.predict_proba(X).shape
    ((2,), (200, 3))
    """

    fit_intercept: ClassVar[bool] = False  # type: ignore[misc]
    _covariances: ClassVar[tuple[str, ...]] = ("model",)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # of classes without an order, as those of scikit-learn's checks
        return tags

    def _checked(self, X: Array, y: Array, *per_row: Any) -> Any:
        refuse_order("y", y)
        return super()._checked(X, y, *per_row)

    def _fit(self, federation: Federation, method: Method | None, seed: int) -> Self:
        codes = self._class_numbers(federation)
        federation = replace(federation, classes=federation.agreement.labels)
        ordered, width = federation.ordered(codes), self._width(federation)
        initial, x0 = self._initial(1, width), np.append(np.zeros(width), ordered.thresholds)
        if initial is not None and len(known := self.__dict__["thresholds_"]) == len(ordered.thresholds):
            x0 = np.append(initial[0], known)
        solved = self._solve(federation, codes, federation.weights, ordered, x0, method, seed)
        self.coef_, _ = self._coefficients(solved.result.x[:width])
        self.thresholds_, self.intercept_ = solved.result.x[width:], 0.0
        self._finish([solved], federation.transport)
        return self

    def predict_proba(self, X: Array) -> Array:
        """The probability of every class for each row.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)

        Returns
        -------
        numpy.ndarray, shape (N, K)
        """
        check_is_fitted(self)
        margins = self._linear(X)[:, None]
        # σ(b) - σ(c) = σ(b) σ(-c) (1 - exp(c - b)), whose terms do not cancel; σ(∞) = 1.
        upper = np.append(self.thresholds_, np.inf) - margins
        lower = np.append(-np.inf, self.thresholds_) - margins
        gaps = np.diff(self.thresholds_, prepend=-np.inf, append=np.inf)
        return expit(upper) * expit(-lower) * -np.expm1(-gaps)

    def predict(self, X: Array) -> Array:
        """The class of the largest probability for each row.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)

        Returns
        -------
        numpy.ndarray, shape (N,)
        """
        chosen = self.predict_proba(X).argmax(axis=1)
        return self.classes_[chosen]
