"""Estimators in the style of scikit-learn."""

from newtonfl.estimators.classifiers import FederatedLinearSVC, FederatedLogisticRegression
from newtonfl.estimators.parameters import alpha_from_C
from newtonfl.estimators.regressors import FederatedHuberRegressor, FederatedPoissonRegressor, FederatedRidge

__all__ = [
    "FederatedHuberRegressor",
    "FederatedLinearSVC",
    "FederatedLogisticRegression",
    "FederatedPoissonRegressor",
    "FederatedRidge",
    "alpha_from_C",
]
