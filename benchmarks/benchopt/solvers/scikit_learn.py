"""scikit-learn's LogisticRegression at the same objective: C = 1/(λN), no intercept."""

import warnings

from benchopt import BaseSolver
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


class Solver(BaseSolver):
    name = "scikit-learn"
    parameters = {"solver": ["newton-cholesky", "lbfgs"]}
    requirements = ["scikit-learn"]
    sampling_strategy = "iteration"

    def set_objective(self, X, y, l2):
        self.X, self.y = X, y
        self.model = LogisticRegression(C=1.0 / (l2 * len(y)), fit_intercept=False, solver=self.solver, tol=1e-15)

    def run(self, n_iter):
        self.model.set_params(max_iter=n_iter + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X, self.y)

    def get_result(self):
        return {"x": self.model.coef_.ravel()}
