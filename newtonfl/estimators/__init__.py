"""Estimators in the style of scikit-learn: fit, predict, score and transform over clients.

Models: FederatedLogisticRegression, FederatedLinearSVC, FederatedRidge, FederatedHuberRegressor,
FederatedPoissonRegressor, FederatedGammaRegressor, FederatedTweedieRegressor, FederatedOrdinalRegression,
FederatedCoxRegression. Transformers: FederatedSimpleImputer, FederatedOneHotEncoder, FederatedStandardScaler.
They pass scikit-learn's own checks; rows may lie in one process or on the ranks of an MPI communicator.
With ``personal=`` some coefficients are each client's own.

May be imported by: no other district.
"""

from newtonfl.estimators.classifiers import FederatedLinearSVC, FederatedLogisticRegression
from newtonfl.estimators.cox import FederatedCoxRegression
from newtonfl.estimators.encoder import FederatedOneHotEncoder
from newtonfl.estimators.imputer import FederatedSimpleImputer
from newtonfl.estimators.log_link import FederatedGammaRegressor, FederatedPoissonRegressor, FederatedTweedieRegressor
from newtonfl.estimators.ordinal import FederatedOrdinalRegression
from newtonfl.estimators.parameters import alpha_from_C
from newtonfl.estimators.regressors import FederatedHuberRegressor, FederatedRidge
from newtonfl.estimators.scaler import FederatedStandardScaler

__all__ = [
    "FederatedCoxRegression",
    "FederatedGammaRegressor",
    "FederatedHuberRegressor",
    "FederatedLinearSVC",
    "FederatedLogisticRegression",
    "FederatedOneHotEncoder",
    "FederatedOrdinalRegression",
    "FederatedPoissonRegressor",
    "FederatedRidge",
    "FederatedSimpleImputer",
    "FederatedStandardScaler",
    "FederatedTweedieRegressor",
    "alpha_from_C",
]
