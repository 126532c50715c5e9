"""Inference: a table of coefficients, with how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from newtonfl.comm.ledger import Ledger
from newtonfl.core.backend import Array
from newtonfl.core.optional import pandas


@dataclass(frozen=True, eq=False)
class Inference:
    """How sure a fitted model's coefficients are.

    Attributes
    ----------
    names : tuple of str
        Of the coefficients.
    x, standard_errors, statistics, p_values : numpy.ndarray, shape (d,)
        Estimates; their standard errors; the first over the second, z or t; and how likely one so far from 0 would be
        were the coefficient 0, both sides.
    intervals : numpy.ndarray, shape (d, 2)
        Confidence intervals of the `level`.
    covariance_matrix : numpy.ndarray, shape (d, d)
    covariance : {"model", "HC0", "HC1", "cluster"}
        How it was estimated.
    level : float
    family : str
        Of the likelihood, "cox" of a partial one; empty where the loss is none, which has robust errors alone.
    rows : float
        Σ w, rows counted by their weight.
    degrees_of_freedom : float
        Of t, Σ w - d, where a σ² was estimated; infinite for z.
    dispersion : float
        σ² of the normal, gamma and Tweedie families, Pearson's Σ w (y - μ)²/V(μ) over Σ w - d; else 1.
    log_likelihood, null_log_likelihood, pseudo_r2 : float
        At x; of the model that has an intercept alone; McFadden's 1 - ℓ/ℓ₀, or where there is a σ² the share of the
        deviance that is explained, R² of the normal family. NaN where there is no likelihood or none in closed form,
        the last two also without an intercept or with an offset.
    notes : list of str
        What a penalty, or a point that is no optimum, does to all this.
    ledger : Ledger
        What was sent for it.
    """

    names: tuple[str, ...]
    x: Array
    standard_errors: Array
    statistics: Array
    p_values: Array
    intervals: Array
    covariance_matrix: Array = field(repr=False)
    covariance: str = "model"
    level: float = 0.95
    family: str = ""
    rows: float = math.nan
    degrees_of_freedom: float = math.inf
    dispersion: float = 1.0
    log_likelihood: float = math.nan
    null_log_likelihood: float = math.nan
    pseudo_r2: float = math.nan
    notes: list[str] = field(default_factory=list)
    ledger: Ledger = field(default_factory=lambda: Ledger(1), repr=False)

    def __str__(self) -> str:
        """A table, a line a coefficient, and the notes."""
        kind = "z" if math.isinf(self.degrees_of_freedom) else "t"
        width = max(11, *(len(name) for name in self.names))
        low, high = 50.0 * (1.0 - self.level), 50.0 * (1.0 + self.level)
        head = f"{'':{width}}{'estimate':>13}{'std. error':>12}{kind:>10}{f'P>|{kind}|':>9}"
        lines = [f"{head}{f'{low:g} %':>13}{f'{high:g} %':>13}"]
        for j, name in enumerate(self.names):
            numbers = f"{self.x[j]:13.6g}{self.standard_errors[j]:12.4g}{self.statistics[j]:10.3f}"
            interval = f"{self.intervals[j, 0]:13.6g}{self.intervals[j, 1]:13.6g}"
            lines.append(f"{name:{width}}{numbers}{self.p_values[j]:9.3f}{interval}")
        aside = [f"errors {self.covariance}", f"{self.rows:g} rows"]
        if self.family:
            aside += [f"{self.family} family", f"log-likelihood {self.log_likelihood:.6g}"]
        if not math.isnan(self.pseudo_r2):
            aside.append(f"{'R²' if self.family == 'normal' else 'pseudo R²'} {self.pseudo_r2:.4f}")
        return "\n".join([*lines, "", ", ".join(aside), *(f"note: {note}" for note in self.notes)])

    def to_json(self) -> dict[str, Any]:
        """Everything but the covariance matrix and the ledger, as JSON has it; what is not finite is None."""
        table = {
            name: {"estimate": self.x[j], "standard_error": self.standard_errors[j], "statistic": self.statistics[j],
                   "p_value": self.p_values[j], "low": self.intervals[j, 0], "high": self.intervals[j, 1]}
            for j, name in enumerate(self.names)
        }  # fmt: skip
        aside = {
            key: getattr(self, key)
            for key in ("level", "rows", "degrees_of_freedom", "dispersion", "log_likelihood", "null_log_likelihood",
                        "pseudo_r2")
        }  # fmt: skip
        return {
            "covariance": self.covariance, "family": self.family or None, **_finite(aside), "notes": self.notes,
            "coefficients": {name: _finite(row) for name, row in table.items()},
        }  # fmt: skip

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame, a row a coefficient.

        Raises
        ------
        RuntimeError
            If pandas is not installed.
        """
        columns = {
            "estimate": self.x, "standard error": self.standard_errors, "statistic": self.statistics,
            "p value": self.p_values, "low": self.intervals[:, 0], "high": self.intervals[:, 1],
        }  # fmt: skip
        return pandas().DataFrame(columns, index=list(self.names))


def _finite(numbers: dict[str, Any]) -> dict[str, float | None]:
    return {name: float(number) if math.isfinite(number) else None for name, number in numbers.items()}
