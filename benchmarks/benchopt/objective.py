"""f(x) = (1/N) Σ_j log(1 + exp(-y_j a_jᵀx)) + (λ/2)‖x‖²: what every solver of this benchmark minimises."""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "l2-regularised logistic regression"
    min_benchopt_version = "1.6"
    parameters = {"l2": [1e-3]}

    def set_data(self, X, y):
        self.X, self.y = X, y

    def get_objective(self):
        return {"X": self.X, "y": self.y, "l2": self.l2}

    def evaluate_result(self, x, kilobytes=np.nan):
        """Values in float64; `kilobytes` are what a client sent and received, of solvers that count it."""
        margins = self.y * np.asarray(self.X @ x)
        value = np.mean(np.logaddexp(0.0, -margins)) + 0.5 * self.l2 * float(x @ x)
        slopes = -self.y / (1.0 + np.exp(margins))
        gradient = np.asarray(self.X.T @ slopes) / len(self.y) + self.l2 * x
        return {"value": value, "gradient_norm": float(np.linalg.norm(gradient)), "kilobytes_a_client": kilobytes}

    def get_one_result(self):
        return {"x": np.zeros(self.X.shape[1])}
