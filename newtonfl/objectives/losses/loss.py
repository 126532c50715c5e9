"""Loss: what a pointwise loss φ(t, y) of a margin t = aᵀx and a label y says of itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from newtonfl.core.backend import Array
from newtonfl.registry import Part


class Loss(Part, ABC):
    """A convex loss of a margin.

    Attributes
    ----------
    formula : str
        φ as text, for :attr:`Problem.objective`.
    classifies : bool
        Whether labels are -1 and +1.
    curvature_bound : float
        sup φ″; infinite where there is none.
    curvature_lipschitz : float
        A Lipschitz constant of φ″, sup abs(φ‴); infinite where there is none.
    least_label : float
        No label may be less.
    least_is_allowed : bool
        Whether a label may be as small as that.
    unattained : bool
        φ falls for ever as t grows, or as -t does, and never reaches its infimum: some rows have no minimiser then.
        Say it only of a loss that does.
    family : str
        "binomial", "poisson", "normal", "gamma" or "tweedie" where φ is the negative log-likelihood of that family at
        the margin t, times the dispersion where it has one, and but for what does not depend on t; else empty.
    link : str
        Which function of a label's mean the margin t is, of two classes of the second one's probability: "logit",
        "probit", "cloglog", "log" or "identity"; empty where no mean is modelled.
    """

    kind = "loss"
    formula: str
    classifies: ClassVar[bool] = False
    curvature_bound: float
    curvature_lipschitz: float
    least_label: ClassVar[float] = -math.inf
    least_is_allowed: ClassVar[bool] = True
    unattained: ClassVar[bool] = False
    family: ClassVar[str] = ""
    link: ClassVar[str] = ""

    @abstractmethod
    def value(self, t: Array, y: Array) -> Array:
        """φ(t, y), elementwise.

        Parameters
        ----------
        t : array
            Margins aᵀx, of any shape, on the data's device.
        y : array
            Labels of that shape.

        Returns
        -------
        array
            Of that shape, made with ``newtonfl.core.backend.namespace(t)``.
        """

    @abstractmethod
    def slope(self, t: Array, y: Array) -> Array:
        """φ′(t, y), the derivative by t, elementwise.

        Parameters
        ----------
        t, y : array
            As for :meth:`value`.

        Returns
        -------
        array
            Of their shape.
        """

    @abstractmethod
    def curvature(self, t: Array, y: Array) -> Array:
        """φ″(t, y) ≥ 0, elementwise.

        Parameters
        ----------
        t, y : array
            As for :meth:`value`.

        Returns
        -------
        array
            Of their shape, between 0 and :attr:`curvature_bound`.
        """

    def information(self, t: Array, y: Array) -> Array:
        """The mean of φ″(t, y) over labels that follow the model, elementwise: Fisher's, of one row.

        It is (dμ/dt)²/V(μ) of a mean μ(t) and a variance V, and φ″ itself where t is the family's canonical parameter.

        Parameters
        ----------
        t, y : array
            As for :meth:`value`.

        Returns
        -------
        array
            Of their shape.
        """
        return self.curvature(t, y)

    def label_fault(self, least: float) -> str:
        """What is wrong with labels the least of which is `least`, in words; "" where nothing is."""
        if least > self.least_label or (self.least_is_allowed and least == self.least_label):
            return ""
        bound = f"of at least {self.least_label:g}" if self.least_is_allowed else f"above {self.least_label:g}"
        return f"needs labels {bound}; the least is {least:g}"
