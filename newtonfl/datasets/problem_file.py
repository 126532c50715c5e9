"""The sections and keys of a problem file; each has one spelling."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from newtonfl.datasets import sources, splits
from newtonfl.datasets.catalogue import catalogue
from newtonfl.datasets.csv_columns import OFFSETS, CsvLayout, Missing
from newtonfl.datasets.guard import Guard
from newtonfl.objectives.losses import Loss, loss_of
from newtonfl.objectives.schema import Schema


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    _where: str = PrivateAttr("")

    @property
    def where(self) -> str:
        """The file's name, for messages."""
        return self._where


_Columns = Annotated[tuple[str | int, ...], Field(strict=False)]
_WIDER = ("group", *OFFSETS, "word_labels", "labelled")
CSV_ONLY = tuple(key for key in CsvLayout.__dataclass_fields__ if key not in _WIDER)
"""Keys of [data] that go with a csv source."""


class Data(_Section):
    """[data]: where rows and labels come from. A column is named by its name, or by its number from 0."""

    source: str = Field(
        description='"libsvm:NAME_OR_PATH", "csv:PATH", "npz:PATH" or "sklearn:NAME"; a pattern such as '
        '"csv:silos/*.csv" is several files, one a client. Files may be packed with gzip, bzip2 or xz'
    )
    scale: Literal["none", "standard", "maxabs", "unit-rows"] = Field(
        default="none",
        description="each column to mean 0 and variance 1, each column over its largest absolute value, or each row "
        "over its norm. Columns are scaled over all files alike; what that sends is counted as set-up",
    )
    classes: tuple[str | float, ...] | None = Field(
        default=None,
        description="two labels, numbers or words, for losses of two classes: rows with others are left out, the first "
        "becomes -1 and the second +1. Without it there must be two in all: the smaller, or the first in the alphabet, "
        "becomes -1",
    )
    left_out: Annotated[int | None, Field(ge=0)] = Field(
        default=None,
        description="how many rows there are that `classes` and `missing` leave out; any other number is refused",
    )
    features: Annotated[int, Field(ge=1, le=2**31 - 1)] | Annotated[tuple[str, ...], Field(strict=False)] | None = (
        Field(
            default=None,
            description="how many columns there are, where LIBSVM text may leave out the last ones; or a list of what "
            "the features must be called, in order, as a run.toml has it",
        )
    )
    zero_based: bool = Field(default=False, description="whether the indices of LIBSVM text begin with 0 rather than 1")
    label: str | int | None = Field(
        default=None,
        description="csv: the column of labels. A file with a header must say it, unless one column only can be it; "
        "else it is the last",
    )
    offset: str | int | None = Field(
        default=None,
        description="csv: the column, npz: the array, of what is known of each row's margin: a_jᵀx + o_j. It is no "
        "feature, and is not scaled",
    )
    exposure: str | int | None = Field(
        default=None,
        description="csv: the column, npz: the array, of the times, areas or numbers e_j > 0 that a row's events were "
        "counted over: log e_j is added to the offset. For losses whose link is log: poisson, gamma, tweedie",
    )
    header: bool | None = Field(
        default=None,
        description="csv: whether the first line has names. Without it, a first line of words has them, one of numbers "
        "has not, and one that could be either is refused",
    )
    columns: _Columns | None = Field(
        default=None,
        description="csv: the columns to take as features, in this order; without it every column that is nothing else",
    )
    drop: _Columns = Field(default=(), description="csv: columns to leave out")
    categorical: _Columns = Field(
        default=(),
        description="csv: features that are words: each becomes a column a word, 1 where a row has it. The words of "
        "all files are joined, and what that sends is counted as set-up",
    )
    baseline: Literal["first"] | dict[str, str] | None = Field(
        default=None,
        description="csv: words of `categorical` features that get no column: of each its first in the alphabet, or "
        'one of a column by its name, as in {ward = "surgery"}. With an intercept and no l2 each must have one',
    )
    missing: Missing = Field(
        default="refuse",
        description="csv: what becomes of cells without a value: they are refused, or become their column's mean over "
        "all files (what that sends is counted as set-up), or their row is left out",
    )
    separator: str = Field(default=",", description="csv: the character between two cells")

    @field_validator("source")
    @classmethod
    def _known_kind(cls, source: str) -> str:
        sources.parse_source(source)
        return source

    @field_validator("classes", mode="before")
    @classmethod
    def _two_labels(cls, classes: Any) -> Any:
        if classes is None:
            return None
        pair = isinstance(classes, (list, tuple)) and len(classes) == 2
        kinds = (
            {str if isinstance(c, str) else float if type(c) in (int, float) else None for c in classes}
            if pair
            else {None}
        )
        if len(kinds) != 1 or None in kinds:
            raise ValueError(f'classes: given {classes!r}, must be two labels, as in [3, 8] or ["no", "yes"]')
        return tuple(classes)

    @field_validator("separator")
    @classmethod
    def _one_character(cls, separator: str) -> str:
        if len(separator) != 1 or separator in '"\r\n' or separator.isalnum():
            raise ValueError(f'separator: given {separator!r}, must be one sign such as ";" or "\\t"')
        return separator

    @property
    def layout(self) -> dict[str, Any]:
        """What is said of a CSV file's columns, as :func:`newtonfl.datasets.sources.read` takes it."""
        return {key: getattr(self, key) for key in CSV_ONLY}


class Objective(_Section):
    """[objective]: the loss, and what is added to it."""

    loss: str = Field(description="`newtonfl methods logistic` and the like show one; or your own, by --load")
    l2: Annotated[float, Field(ge=0)] = Field(default=0.0, description="λ of (λ/2)‖x‖²")
    nonconvex: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="ρ: adds ρ Σ x_j²/(1 + x_j²) to every client's function, for first-order methods"
    )
    intercept: bool = Field(default=False, description="whether a column of ones comes last")
    penalise_intercept: bool = Field(default=False, description="whether λ and ρ hold for it")
    personal: _Columns | None = Field(
        default=None,
        description='columns with coefficients of each client\'s own, as in ["age", "intercept"]: they stay with it, '
        "and x is of the others",
    )
    personal_l2: Annotated[float | None, Field(ge=0)] = Field(
        default=None, description="λ of those; without it `l2`, which an intercept has only where it is penalised"
    )
    huber_delta: Annotated[float, Field(gt=0)] = Field(
        default=1.35, description="δ of the loss huber, in units of the labels"
    )

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

    count: Annotated[int | None, Field(ge=1)] = Field(
        default=None, description='how many there are; not needed with "column:NAME" and "files"'
    )
    split: str = Field(
        default="contiguous",
        description='"contiguous" (equal blocks of the first rows), "blocks", "shuffled", "by-label", '
        '"dirichlet:BETA", "column:NAME" (a client a value; csv and npz), "files" (one a client)',
    )
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of the splits that are drawn")
    least_rows: Annotated[int, Field(ge=0)] = Field(
        default=0, description="a guard: the solve is refused if a client has fewer"
    )
    least_count: Annotated[int, Field(ge=0)] = Field(
        default=0, description="a guard: as well if a word of a `categorical` column has fewer rows of a file"
    )
    most_coefficients: Annotated[float | None, Field(gt=0)] = Field(
        default=None, description="a guard: as well if there are more coefficients for each row of a client"
    )

    @field_validator("split")
    @classmethod
    def _known_split(cls, split: str) -> str:
        splits.parse(split)
        return split

    @property
    def guard(self) -> Guard:
        """What every client must have."""
        most = math.inf if self.most_coefficients is None else self.most_coefficients
        return Guard(self.least_rows, self.least_count, most)


class Reference(_Section):
    """[reference]: the least value, and how it was found."""

    f_star: float | None = Field(default=None, description="f(x*), which gaps are measured from")
    how: str = Field(default="", description="in words")


class Run(_Section):
    """[run]: how to solve it, unless an argument says otherwise."""

    rounds: Annotated[int | None, Field(ge=0)] = Field(default=None, description="the most rounds; 1000")
    tol: Annotated[float | None, Field(ge=0)] = Field(default=None, description="stop at ‖∇f(x)‖₂ ≤ tol; 1e-10")
    rtol: Annotated[float | None, Field(ge=0)] = Field(
        default=None, description="stop at ‖∇f(x)‖₂ ≤ rtol·‖∇f(0)‖₂ too; 0, which is not at all"
    )
    accuracy: Annotated[float | None, Field(gt=0)] = Field(default=None, description="stop at f(x) - f* ≤ accuracy too")
    max_bytes: str | float | None = Field(
        default=None, description='stop when the mean client has sent and received so many, such as "500kB"'
    )
    max_seconds: Annotated[float | None, Field(gt=0)] = Field(
        default=None, description="stop when so many seconds were spent in rounds"
    )
    x0: str | None = Field(default=None, description='"zeros", "optimum+C" or "FILE.npy"; zeros')
    seed: Annotated[int | None, Field(ge=0)] = Field(default=None, description="of every random draw; 0")
    availability: str | None = Field(
        default=None, description='who is there: "trace:FILE", "independent:P" or "lost:COUNT:AFTER"; all'
    )
    on_missing: Literal["raise", "wait", "skip"] | None = Field(
        default=None, description="what is done about a client that is away; raise"
    )
    monitors: Annotated[tuple[str, ...], Field(strict=False)] | None = Field(
        default=None, description='measured after every round: "distance", "hessian_error", "client_bytes"; none'
    )
    device: Literal["cpu", "cuda", "auto"] | None = Field(default=None, description="where rows and Hessians live; cpu")


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

    def resolved(self, folder: Path, schema: Schema, other: Path) -> dict[str, Any]:
        """The sections that state the problem, such that a file in the folder `other` states the same.

        Paths are seen from there, and columns and classes are named, so that other data are refused and not mistaken.
        """
        document = self.model_dump(exclude={"method", "run"}, exclude_none=True)
        fields = Data.model_fields
        data = {key: value for key, value in document["data"].items() if key == "scale" or value != fields[key].default}
        document["data"] = data
        data["source"] = sources.seen_from(self.data.source, folder, other)
        if data["source"].startswith("csv:"):
            data |= {"label": schema.label, "columns": schema.columns}
        if schema.features is not None and (self.data.categorical or not schema.label):  # else columns says it all
            data["features"] = schema.features[: len(schema.features) - self.objective.intercept]
        if schema.classes:
            data["classes"] = schema.classes
        data["left_out"] = schema.left_out
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

    def resolved(self, folder: Path, schema: Schema, other: Path) -> dict[str, Any]:
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
