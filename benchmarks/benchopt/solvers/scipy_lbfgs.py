"""SciPy's L-BFGS-B."""

import numpy as np
from benchopt import BaseSolver
from scipy.optimize import minimize
from scipy.special import expit


class Solver(BaseSolver):
    name = "scipy"
    parameters = {"method": ["L-BFGS-B"]}
    requirements = ["scipy"]
    sampling_strategy = "iteration"

    def set_objective(self, X, y, l2):
        self.X, self.y, self.l2 = X, y, l2

    def run(self, n_iter):
        start, most = np.zeros(self.X.shape[1]), {"maxiter": n_iter, "ftol": 0.0, "gtol": 0.0}
        self.x = minimize(self._value_and_gradient, start, jac=True, method=self.method, options=most).x

    def _value_and_gradient(self, x):
        margins = self.y * np.asarray(self.X @ x)
        value = np.mean(np.logaddexp(0.0, -margins)) + 0.5 * self.l2 * float(x @ x)
        return value, np.asarray(self.X.T @ (-self.y * expit(-margins))) / len(self.y) + self.l2 * x

    def get_result(self):
        return {"x": self.x}
