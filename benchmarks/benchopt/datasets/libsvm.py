"""LIBSVM text of two classes, such as a1a or phishing, from the folder that NEWTONFL_DATA names; sparse rows."""

import os
from pathlib import Path

import numpy as np
from benchopt import BaseDataset
from sklearn.datasets import load_svmlight_file


class Dataset(BaseDataset):
    name = "libsvm"
    parameters = {"file": ["a1a", "phishing"]}
    requirements = ["scikit-learn"]

    def prepare(self):
        path = self._path()
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; NEWTONFL_DATA names the folder of LIBSVM's files")

    def get_data(self):
        X, y = load_svmlight_file(str(self._path()))
        return {"X": X, "y": np.where(y == y.max(), 1.0, -1.0)}

    def _path(self):
        return Path(os.environ.get("NEWTONFL_DATA", "")) / self.file
