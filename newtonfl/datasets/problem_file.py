"""The sections and keys of a problem file; each has one spelling."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from newtonfl.datasets import sources, splits
from newtonfl.datasets.catalogue import catalogue
from newtonfl.objectives.losses import Loss, loss_of


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    _where: str = PrivateAttr("")

    @property
    def where(self) -> str:
        """The file's name, for messages."""
        return self._where


class Data(_Section):
    """[data]: where rows and labels come from."""

    source: str
    scale: Literal["none", "standard", "maxabs", "unit-rows"] = "none"
    classes: Annotated[tuple[float, float] | None, Field(strict=False)] = None
    features: Annotated[int | None, Field(ge=1)] = None
    label: str | int | None = None

    @field_validator("source")
    @classmethod
    def _known_kind(cls, source: str) -> str:
        sources.parse_source(source)
        return source


class Objective(_Section):
    """[objective]: the loss, and what is added to it."""

    loss: str
    l2: Annotated[float, Field(ge=0)] = 0.0
    nonconvex: Annotated[float, Field(ge=0)] = 0.0
    intercept: bool = False
    penalise_intercept: bool = False
    huber_delta: Annotated[float, Field(gt=0)] = 1.35

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, loss: str) -> str:
        loss_of(loss)
        return loss

    @property
    def part(self) -> Loss:
        """The loss that is named."""
        return loss_of(self.loss, self.huber_delta)


class Clients(_Section):
    """[clients]: who holds which rows."""

    count: Annotated[int | None, Field(ge=1)] = None
    split: str = "contiguous"
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("split")
    @classmethod
    def _known_split(cls, split: str) -> str:
        splits.parse(split)
        return split


class Reference(_Section):
    """[reference]: the least value, and how it was found."""

    f_star: float | None = None
    how: str = ""


class Run(_Section):
    """[run]: how to solve it, unless an argument says otherwise."""

    rounds: Annotated[int | None, Field(ge=0)] = None
    tol: Annotated[float | None, Field(ge=0)] = None
    rtol: Annotated[float | None, Field(ge=0)] = None
    x0: str | None = None
    seed: Annotated[int | None, Field(ge=0)] = None
    device: Literal["cpu", "cuda", "auto"] | None = None


class ProblemFile(_Section):
    """A problem file that has been checked; :mod:`newtonfl.datasets.problem_reader` makes one."""

    title: str = ""
    data: Data
    objective: Objective
    clients: Clients = Clients()
    reference: Reference = Reference()
    method: dict[str, Any] | None = None
    run: Run = Run()

    def replaced(self, clients: int | None, l2: float | None, nonconvex: float | None = None) -> ProblemFile:
        """This file with another number of clients, λ or ρ; a reference value that no longer holds is dropped.

        Raises
        ------
        ValueError
            If a number is not allowed.
        """
        check_numbers(clients, l2, nonconvex)
        new = self.model_copy()
        if clients is not None and clients != self.clients.count:
            # Equal blocks of the first rows use other rows with another count.
            same_rows = self.clients.split != "contiguous"
            reference = self.reference if same_rows else Reference()
            changed = self.clients.model_copy(update={"count": clients})
            new = new.model_copy(update={"clients": changed, "reference": reference})
        for key, value in (("l2", l2), ("nonconvex", nonconvex)):
            if value is not None and value != getattr(self.objective, key):
                objective = new.objective.model_copy(update={key: value})
                new = new.model_copy(update={"objective": objective, "reference": Reference()})
        return new

    def resolved(self, folder: Path) -> dict[str, Any]:
        """The sections that state the problem, such that a file elsewhere states the same: paths are made absolute."""
        document = self.model_dump(exclude={"method", "run"}, exclude_none=True)
        document["data"]["source"] = sources.absolute(self.data.source, folder)
        if self.objective.loss != "huber":
            del document["objective"]["huber_delta"]
        if not self.objective.nonconvex:
            del document["objective"]["nonconvex"]
        if self.reference.f_star is None:
            del document["reference"]
        return document


def check_numbers(clients: Any, l2: Any, nonconvex: Any = None) -> None:
    """Refuse what is no number of clients, no λ or no ρ, with a ValueError; None is not given."""
    if clients is not None and (isinstance(clients, bool) or not isinstance(clients, int) or clients < 1):
        raise ValueError(f"clients: given {clients}, must be a whole number of at least 1")
    for name, value in (("l2", l2), ("nonconvex", nonconvex)):
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf
        ):
            raise ValueError(f"{name}: given {value}, must be a finite number of at least 0")


class PythonRun(_Section):
    """A run.toml whose problem is Python: which one, with which arguments of problem()."""

    problem: str
    arguments: dict[str, Any] = {}
    method: dict[str, Any] | None = None
    run: Run = Run()

    def resolved(self, folder: Path) -> dict[str, Any]:
        """The sections that state the problem: a name of the catalogue, or the path of a file."""
        path = Path(self.problem)
        known = catalogue().get(path.stem)
        name = path.stem if known is not None and known.resolve() == path.resolve() else str(path.absolute())
        return {"problem": name, "arguments": self.arguments}


SECTIONS: dict[str, type[BaseModel]] = {
    "data": Data,
    "objective": Objective,
    "clients": Clients,
    "reference": Reference,
    "run": Run,
}
"""By the name that a problem file gives them."""
