"""Normal rows, and labels drawn from a logistic model of them."""

import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "simulated"
    parameters = {"n_samples, n_features": [(2000, 50)], "random_state": [27]}

    def get_data(self):
        draw = np.random.default_rng(self.random_state)
        X = draw.standard_normal((self.n_samples, self.n_features))
        margins = X @ draw.standard_normal(self.n_features) / np.sqrt(self.n_features)
        return {"X": X, "y": np.where(margins + draw.logistic(size=self.n_samples) > 0, 1.0, -1.0)}
