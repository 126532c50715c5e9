"""A step size in use, and what theory says to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepSize:
    """A step size in use.

    Attributes
    ----------
    stepsize : float
        γ.
    largest : float
        The largest that theory allows; nan where that is not known.
    formula : str
        Where that comes from.
    constants : dict of str to float
        What it was made of.
    caveat : str
        What theory takes for granted.
    """

    stepsize: float
    largest: float = math.nan
    formula: str = ""
    constants: dict[str, float] = field(default_factory=dict)
    caveat: str = ""

    def notes(self) -> list[str]:
        """What a user should know of it."""
        if not self.formula:
            return []
        made = ", ".join(f"{name} = {value:.6g}" for name, value in self.constants.items())
        times = self.stepsize / self.largest
        notes = [f"stepsize {self.stepsize:.6g} = {times:.6g} × {self.formula} with {made}"]
        if times > 1.0 + 1e-12:
            notes.append("that step size lies beyond what theory allows: nothing is promised of it")
        return notes + [self.caveat] * bool(self.caveat)
