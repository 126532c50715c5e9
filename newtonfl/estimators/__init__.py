"""Estimators in the style of scikit-learn: fit, predict, score over clients.

FederatedLogisticRegression, FederatedLinearSVC, FederatedRidge, FederatedHuberRegressor, FederatedPoissonRegressor.
They pass scikit-learn's own checks; rows may lie in one process or on the ranks of an MPI communicator.

May be imported by: no other district.
"""

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
