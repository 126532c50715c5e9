"""The sets that come with scikit-learn → rows and labels."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from newtonfl.datasets.table import Table

SKLEARN = ("breast_cancer", "digits", "iris", "wine", "diabetes")

_MEASURES = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
    "fractal dimension",
)  # fmt: skip


def read_sklearn(name: str, source: str) -> Table:
    """One of the sets that come with scikit-learn; `source` is what the user wrote."""
    if name == "breast_cancer" and (file := _file("breast_cancer.csv")):
        # The first set that one tries: importing scikit-learn takes longer than its load and its solve.
        whole = np.loadtxt(file, delimiter=",", skiprows=1)
        names = tuple(words.format(measure) for words in ("mean {}", "{} error", "worst {}") for measure in _MEASURES)
        return Table(whole[:, :-1], whole[:, -1], source, column_names=names)
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = tuple(map(str, bunch.feature_names))
    return Table(bunch.data, bunch.target.astype(np.float64), source, column_names=names)


def _file(name: str) -> Path | None:
    """A data file of the scikit-learn that is installed, without an import; None where it lies elsewhere."""
    found = find_spec("sklearn")
    path = Path(found.origin).parent / "datasets" / "data" / name if found and found.origin else None
    return path if path and path.is_file() else None
