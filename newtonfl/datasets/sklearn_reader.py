"""The sets that come with scikit-learn → rows and labels."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array

SKLEARN = ("breast_cancer", "digits", "iris", "wine", "diabetes")


def read_sklearn(name: str) -> tuple[Array, Array]:
    """Rows and labels of one of the sets that come with scikit-learn."""
    from sklearn import datasets

    rows, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return rows, labels.astype(np.float64)
