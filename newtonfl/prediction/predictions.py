"""Predictions: from a fitted model's margins to classes with probabilities, or means; as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TextIO

import numpy as np
import scipy.special

from newtonfl.core.backend import Array
from newtonfl.prediction.fitted_model import FittedModel


def _cloglog(t: Array) -> Array:
    return -np.expm1(-np.exp(t))


_MEANS = {
    "logit": scipy.special.expit, "probit": scipy.special.ndtr, "cloglog": _cloglog, "log": np.exp,
    "identity": np.asarray,
}  # fmt: skip
"""The mean of a label at a margin, by link."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of rows.

    Attributes
    ----------
    columns : dict of str to numpy.ndarray, shape (N,)
        "prediction", the class or the mean of each row; of classes also "probability_CLASS" of each, or where a loss
        has no probabilities "margin", whose sign is the class. Of a regression without a mean the margin itself is
        predicted.
    """

    columns: Mapping[str, Array]

    @classmethod
    def of(cls, model: FittedModel, rows: Array, offset: Array | None = None) -> Self:
        """Of `rows` of features (N, d), dense or CSR, as they were before they were scaled, and their `offset` (N,)."""
        margins = model.margins(rows, offset)
        names = [str(name) for name in map(_shown, model.classes)]
        with np.errstate(over="ignore"):  # a mean may be infinite, and says so
            if model.link == "softmax":
                likely = scipy.special.softmax(margins, axis=1)
                chosen = margins.argmax(axis=1)
            elif not names:
                mean = _MEANS.get(model.link, np.asarray)
                return cls({"prediction": mean(margins[:, 0])})
            else:
                t = margins[:, 0]
                chosen = (t > 0).astype(np.int64)
                if model.link not in _MEANS:
                    return cls({"prediction": np.array(names, object)[chosen], "margin": t})
                second = _MEANS[model.link](t)
                likely = np.column_stack([_complement(model.link, t, second), second])
                chosen = (likely[:, 1] > likely[:, 0]).astype(np.int64)
        probabilities = {f"probability_{name}": column for name, column in zip(names, likely.T, strict=True)}
        return cls({"prediction": np.array(names, object)[chosen], **probabilities})

    def __len__(self) -> int:
        return len(self.columns["prediction"])

    def write(self, file: TextIO) -> None:
        """Write a header and a line a row as CSV; numbers in as many digits as give them back."""
        out = csv.writer(file, lineterminator="\n")
        out.writerow(self.columns)
        out.writerows(zip(*(column.tolist() for column in self.columns.values()), strict=True))


def _complement(link: str, t: Array, second: Array) -> Array:
    """One less the second class's probability, from the margins: precise also where it is small."""
    if link == "cloglog":
        return np.exp(-np.exp(t))
    return _MEANS[link](-t) if link in ("logit", "probit") else 1.0 - second


def _shown(label: Any) -> Any:
    """A class as one writes it: 3 rather than 3.0."""
    return int(label) if isinstance(label, float) and label.is_integer() else label
