"""FittedModel: what a solve found, as a function of a table's columns; model.json out and in. It holds no rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from newtonfl.core.backend import Array
from newtonfl.core.quoting import excerpt
from newtonfl.datasets.columns import SharedColumns
from newtonfl.datasets.per_row import EXPOSED
from newtonfl.objectives.base import Problem
from newtonfl.objectives.cox import Cox
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.multinomial import Multinomial
from newtonfl.objectives.ordinal import Ordinal
from newtonfl.objectives.scaling import How, Scaling

Link = Literal["logit", "probit", "cloglog", "log", "identity", "softmax", ""]

_Numbers = Annotated[tuple[float, ...], Field(strict=False)]
_Words = Annotated[tuple[str, ...], Field(strict=False)]
_Classes = Annotated[tuple[bool | int | float | str, ...], Field(strict=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Scale(_Section):
    """What was done to the features, as :class:`newtonfl.objectives.scaling.Scaling` has it."""

    how: How = "none"
    shift: _Numbers | None = None
    divisor: Annotated[tuple[float | None, ...], Field(strict=False)] | None = None
    """None of a column that was constant, which counts for nothing."""

    @classmethod
    def of(cls, scaling: Scaling) -> Self:
        """The same in JSON's numbers."""
        shift, divisor = (None if one is None else one.tolist() for one in (scaling.shift, scaling.divisor))
        finite = None if divisor is None else [one if math.isfinite(one) else None for one in divisor]
        return cls.model_validate({"how": scaling.how, "shift": shift, "divisor": finite})

    @property
    def scaling(self) -> Scaling:
        """As arrays; an infinite divisor takes the place of none."""
        shift = None if self.shift is None else np.array(self.shift)
        finite = None if self.divisor is None else [math.inf if one is None else one for one in self.divisor]
        return Scaling(self.how, shift, None if finite is None else np.array(finite))


class FittedModel(_Section):
    """A linear model: the margins of a row are W a + b + o, of its features a and its offset o.

    Attributes
    ----------
    title, objective, loss : str
        What was minimised.
    link : str
        Which function of the mean a margin is, as :attr:`newtonfl.objectives.losses.Loss.link`; "softmax" with several
        classes.
    label : str
        The labels' column; empty where they have none.
    classes : tuple of numbers or strings
        Of two classes the label that is -1 and the one that is +1, else every class in order; empty without classes.
    separator : str
        Between the cells of the CSV file that the rows came from.
    zero_based : bool
        Whether the rows came from LIBSVM text whose indices begin with 0.
    header : bool
        Whether `columns` are names; else they are the numbers of a CSV file's columns.
    columns : tuple of str, or None
        Of a table, in order; None where the rows have no names. Of a CSV file without a header they are numbers.
    levels : dict of str to tuple of str
        The words of each column of words.
    means : dict of str to tuple of float
        What stands for a missing value, as in :attr:`newtonfl.objectives.schema.Schema.means`.
    baselines : dict of str to str
        The word that has no feature, of each column of words that has such a one.
    scale : Scale
    features : tuple of str, or None
        What the columns become, in order, as a column for each word.
    offset, exposure : str
        The columns of what is added to the margin, and of what the mean is multiplied by; empty where there are none.
    coefficients : tuple of tuple of float
        W: a row of a number a feature; several rows where there are more than two classes.
    intercepts : tuple of float
        b, a number a row of W.
    reason : str
        Why the solve ended.
    converged : bool
    rounds : int
    gradient_norm : float
        ‖∇f(x)‖₂ at the end.
    versions : dict of str to str
        Of newtonfl, and of what it computed with.
    """

    format: Literal["newtonfl model 1"] = "newtonfl model 1"
    title: str
    objective: str
    loss: str
    link: Link
    label: str
    classes: _Classes
    separator: str
    zero_based: bool
    columns: _Words | None
    header: bool = True
    levels: dict[str, _Words]
    means: dict[str, _Numbers]
    baselines: dict[str, str] = {}
    scale: Scale
    features: _Words | None
    offset: str = ""
    exposure: str = ""
    coefficients: Annotated[tuple[_Numbers, ...], Field(strict=False)]
    intercepts: _Numbers
    reason: str
    converged: bool
    rounds: int
    gradient_norm: float
    versions: dict[str, str]

    @classmethod
    def of(
        cls,
        problem: Problem,
        x: Array,
        *,
        separator: str = ",",
        zero_based: bool = False,
        header: bool = True,
        **ending: Any,
    ) -> Self | None:
        """The model at the point `x` (d,) of a problem of rows; None of another problem, or of no finite numbers.

        None as well of ordinal regression, and where margins have an offset that the problem's schema has no name for.

        Parameters
        ----------
        problem : Problem
        x : numpy.ndarray, shape (d,)
        separator : str
        zero_based, header : bool
        ending : reason, converged, rounds, gradient_norm and versions
        """
        if isinstance(problem, Ordinal) or not isinstance(problem, GLM | Multinomial | Cox):
            return None
        if not np.isfinite([*x, ending["gradient_norm"]]).all():
            return None
        schema = problem.schema
        if isinstance(problem, GLM) and problem.offset is not None and not (schema.offset or schema.exposure):
            return None
        if isinstance(problem, Multinomial):
            loss, link, rows = "multinomial", "softmax", problem.contrasts @ x.reshape(problem.classes - 1, -1)
        elif isinstance(problem, Cox):
            loss, link, rows = f"cox:{problem.ties}", "", x[None]
        else:
            loss, link, rows = str(problem.loss), problem.loss.link, x[None]
        weights, intercepts = (rows[:, :-1], rows[:, -1]) if schema.intercept else (rows, np.zeros(len(rows)))
        content = {
            "title": problem.title, "objective": problem.objective, "label": schema.label, "separator": separator,
            "zero_based": zero_based, "header": header, "loss": loss, "link": link,
            "classes": [one.item() if isinstance(one, np.generic) else one for one in schema.classes],
            "columns": schema.columns, "levels": schema.levels, "means": schema.means,
            "baselines": schema.baselines,
            "scale": Scale.of(schema.scaling),
            "features": None if schema.features is None else schema.features[: weights.shape[1]],
            "offset": schema.offset, "exposure": schema.exposure,
            "coefficients": weights.tolist(), "intercepts": intercepts.tolist(), **ending,
        }  # fmt: skip
        return cls.model_validate(content)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a model.json.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        ValueError
            If it is no model, with what is wrong.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such model; `newtonfl solve … --out DIR` writes one of rows")
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "file"
            raise ValueError(f"{path}: not a model of this library: {where}: {excerpt(first['msg'], 200)}") from None

    def to_json(self) -> str:
        """The text of a model.json, a line a key."""
        return self.model_dump_json(indent=1) + "\n"

    @property
    def shared(self) -> SharedColumns:
        """How columns become features."""
        return SharedColumns(self.columns, self.levels, self.means, self.baselines)

    @property
    def width(self) -> int:
        """How many features there are."""
        return len(self.coefficients[0])

    def margins(self, rows: Array, offset: Array | None = None) -> Array:
        """W a + b + o of `rows` of features and their `offset` (N,); shape (N, rows of W).

        Rows are dense or CSR, as they were before they were scaled.
        """
        scaled = self.scale.scaling.apply(rows)
        margins: Array = scaled @ np.array(self.coefficients).T + np.array(self.intercepts)
        return margins if offset is None else margins + offset[:, None]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse what does not belong together."""
        widths = {len(row) for row in self.coefficients}
        several = self.link == "softmax"
        count = len(self.classes) if several else 1
        if len(widths) != 1 or len(self.coefficients) != count or len(self.intercepts) != count or count < 1:
            raise ValueError(f"coefficients and intercepts must be {count} rows of one length, and as many numbers")
        if (several and self.offset) or (self.exposure and self.link != EXPOSED):
            raise ValueError(f"offset and exposure: allowed only with one margin, exposure with the link {EXPOSED}")
        if not several and len(self.classes) not in (0, 2):
            raise ValueError(f"classes: given {len(self.classes)}, must be two, or none")
        width = widths.pop()
        names = self.shared.feature_names
        if (self.columns is not None and len(set(self.columns)) < len(self.columns)) or (
            names is not None and len(names) != width
        ):
            raise ValueError(f"columns and levels must be different names of {width} features")
        if self.features is not None and len(self.features) != width:
            raise ValueError(f"features: given {len(self.features)} names, must be {width}")
        if set(self.levels) - set(self.columns or ()) or (self.means and set(self.means) != set(self.columns or ())):
            raise ValueError("levels and means must be of the columns")
        if any(word not in self.levels.get(name, ()) for name, word in self.baselines.items()):
            raise ValueError("baselines must be words of the columns")
        if any(len(mean) != len(self.levels.get(name, ("",))) for name, mean in self.means.items()):
            raise ValueError("means must be one number a column, or one a word")
        needed = {"standard": (width, width), "maxabs": (None, width)}.get(self.scale.how, (None, None))
        lengths = tuple(None if one is None else len(one) for one in (self.scale.shift, self.scale.divisor))
        if lengths != needed or any(one is not None and one <= 0 for one in self.scale.divisor or ()):
            raise ValueError(f"scale: {self.scale.how} must have a number above 0 a feature, and no others")
        return self
