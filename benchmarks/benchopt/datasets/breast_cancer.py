"""scikit-learn's breast cancer set, columns to mean 0 and variance 1."""

from benchopt import BaseDataset
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler


class Dataset(BaseDataset):
    name = "breast_cancer"
    requirements = ["scikit-learn"]

    def get_data(self):
        X, y = load_breast_cancer(return_X_y=True)
        return {"X": StandardScaler().fit_transform(X), "y": 2.0 * y - 1.0}
