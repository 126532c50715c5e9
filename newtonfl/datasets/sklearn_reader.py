"""The sets that come with scikit-learn → rows and labels."""

from __future__ import annotations

import numpy as np

from newtonfl.datasets.table import Table

SKLEARN = ("breast_cancer", "digits", "iris", "wine", "diabetes")


def read_sklearn(name: str, source: str) -> Table:
    """One of the sets that come with scikit-learn; `source` is what the user wrote."""
    from sklearn import datasets

    whole = getattr(datasets, f"load_{name}")()
    names = tuple(map(str, whole.feature_names))
    return Table(whole.data, whole.target.astype(np.float64), source, column_names=names)
