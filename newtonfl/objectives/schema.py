"""What a problem's coordinates and labels are called where its rows came from, and how the rows became them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from newtonfl.core.backend import Array, to_host
from newtonfl.objectives.scaling import UNSCALED, Scaling


@dataclass(frozen=True)
class Schema:
    """The names of columns and labels, and what was done to the columns.

    Attributes
    ----------
    features : tuple of str, or None
        Of the coordinates of x, in order (of multinomial problems, of each contrast's): columns, COLUMN=WORD for a
        column of words, and last "intercept" where there is one. None where the rows have no names.
    columns : tuple of str, or None
        The columns that the features were made of.
    label : str
        The labels' column; empty where they have none.
    classes : tuple of numbers or strings
        Of two classes the label that is -1 and the one that is +1, else every class in order; empty without classes.
    left_out : int
        How many rows were left out, for want of a value or for another label than the classes.
    intercept : bool
        Whether the last coordinate (of multinomial problems, of each contrast's) is of a column of ones.
    levels : dict of str to tuple of str
        The words of each column of words, in order.
    means : dict of str to tuple of float
        What stands for a missing value: of each column its mean, of a column of words each word's share. Empty where
        no value may be missing.
    baselines : dict of str to str
        The word that has no feature, of each column of words that has such a one.
    scaling : Scaling
        What was done to the features.
    offset, exposure : str
        The columns of what is added to the margins, and of what means are multiplied by; empty where there are none.
    """

    features: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    label: str = ""
    classes: tuple[Any, ...] = ()
    left_out: int = 0
    intercept: bool = False
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    means: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    baselines: Mapping[str, str] = field(default_factory=dict)
    scaling: Scaling = UNSCALED
    offset: str = ""
    exposure: str = ""

    def in_own_units(self, x: Array) -> tuple[Array, float]:
        """A solution as a model of the features before they were scaled: margins of rows a are aᵀw + b.

        Parameters
        ----------
        x : array, shape (d,)
            As ``nf.solve(…).x``; of a problem of one margin a row, not of a multinomial one.

        Returns
        -------
        coefficients : numpy.ndarray
            w, one a feature, the intercept aside; 0 of a column that was constant and lost its mean.
        intercept : float
            b. Not 0, as a rule, where x has no intercept but columns lost their means.

        Raises
        ------
        ValueError
            If `x` has another shape, there are more than two classes and so several margins, or each row was scaled by
            its own norm, which no model of columns undoes.
        """
        x = to_host(x)
        if len(self.classes) > 2:
            raise ValueError(
                f"x: of {len(self.classes)} classes, and several margins a row: given to no one model of them"
            )
        if x.ndim != 1 or (self.features is not None and len(x) != len(self.features)):
            needed = "(d,)" if self.features is None else f"({len(self.features)},)"
            raise ValueError(f"x: given shape {x.shape}, must be {needed}")
        return self.scaling.undone(x[:-1], float(x[-1])) if self.intercept else self.scaling.undone(x, 0.0)

    def lines(self) -> list[tuple[str, str]]:
        """A name and a few words for each, as a summary shows them."""
        found = []
        if self.label or self.classes:
            known = [repr(label) if isinstance(label, str) else f"{label:g}" for label in self.classes]
            meaning = f"{known[0]} is -1 and {known[1]} is +1" if len(known) == 2 else ", ".join(known)
            found.append(("label", ": ".join(filter(None, (self.label, meaning)))))
        if self.features is not None:
            count = len(self.features)
            some = self.features if count <= 6 else (*self.features[:4], "…", self.features[-1])
            found.append(("features", f"{count}: {', '.join(some)}"))
        if self.offset or self.exposure:
            parts = ([self.offset] if self.offset else []) + ([f"log {self.exposure}"] if self.exposure else [])
            found.append(("offset", " + ".join(parts)))
        if self.left_out:
            found.append(("note", f"{self.left_out} rows are left out, for want of a value or for another label"))
        return found
