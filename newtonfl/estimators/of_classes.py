"""What estimators of classes share: labels that are classes, and their numbers over all ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.values import numbered
from newtonfl.estimators.base import Federated


@dataclass(eq=False, repr=False)
class OfClasses(ClassifierMixin, Federated):
    """An estimator whose y are classes, numbers or strings."""

    _numeric: ClassVar[bool] = False

    def _check_targets(self, y: Array) -> None:
        if len(y):
            check_classification_targets(y)

    def _class_numbers(self, federation: Federation) -> Array:
        """Each row's class by its number, 0 to K - 1; sets ``classes_``, those of all ranks. Collective."""
        classes, label_dtype = list(federation.agreement.labels), federation.agreement.label_dtype
        with federation.transport.agreed("looking at the classes"):
            if len(classes) < 2:
                raise ValueError(
                    f"{type(self).__name__}: y must hold at least two classes with weight, and it holds {len(classes)} "
                    f"class: {', '.join(map(str, classes))}"
                )
            self.classes_ = np.array(classes, dtype=label_dtype if np.dtype(label_dtype).kind == "u" else None)
            return numbered(federation.labels, classes)
