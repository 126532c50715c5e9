"""problems/*.toml: rows and a loss as a file, every mistake named with its file, section and key.

One spelling for everybody; sections and keys are the models below. All mistakes of a file are told at once.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from newtonfl.datasets import sources, splits
from newtonfl.datasets.catalogue import catalogue
from newtonfl.objectives.losses import Loss, loss_of
from newtonfl.registry import known


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
    """[run]: how to solve it, unless told otherwise."""

    rounds: Annotated[int | None, Field(ge=0)] = None
    tol: Annotated[float | None, Field(ge=0)] = None
    x0: str | None = None
    seed: Annotated[int | None, Field(ge=0)] = None
    device: Literal["cpu", "cuda", "auto"] | None = None


class ProblemFile(_Section):
    """A problem file that has been checked; :func:`parse` and :func:`read` make one."""

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
        for key, given in (("l2", l2), ("nonconvex", nonconvex)):
            if given is not None and given != getattr(self.objective, key):
                objective = new.objective.model_copy(update={key: given})
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
    for name, given in (("l2", l2), ("nonconvex", nonconvex)):
        if given is not None and (
            isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf
        ):
            raise ValueError(f"{name}: given {given}, must be a finite number of at least 0")


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


_MODELS: dict[str, type[BaseModel]] = {
    "data": Data,
    "objective": Objective,
    "clients": Clients,
    "reference": Reference,
    "run": Run,
}
_MUST = {  # by pydantic's name for the mistake
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "model_type": "must be a section",
    "dict_type": "must be a section",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be greater than {gt:g}",
    "literal_error": "allowed are {expected}",
}


def parse(text: str, where: str) -> ProblemFile | PythonRun:
    """Check a problem file's text.

    Parameters
    ----------
    text : str
        TOML.
    where : str
        The file's name, for messages.

    Raises
    ------
    ValueError
        With one line a mistake: file, section and key, what was given, what is allowed.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # says the line, but for the last one
        last = f"end of document, line {text.count(chr(10)) + 1}"
        raise ValueError(f"{where}: not TOML: {str(error).replace('end of document', last)}") from None
    if "problem" in document:
        try:
            return PythonRun.model_validate(document)
        except ValidationError as error:
            raise ValueError(f"{where}: [{error.errors()[0]['loc'][0]}] {error.errors()[0]['msg']}") from None
    mistakes = []
    try:
        file = ProblemFile.model_validate(document)
    except ValidationError as error:
        found: dict[tuple[Any, ...], list[Any]] = {}
        for detail in error.errors():  # a key that may be of two types has a detail for each
            found.setdefault(detail["loc"][:2], []).append(detail)
        mistakes = [_sentence(document, at, details) for at, details in found.items()]
    mistakes += _between_keys(document)
    if mistakes:
        raise ValueError("\n".join(f"{where}: {mistake}" for mistake in mistakes))
    file._where = where
    return file


def read(path: Path) -> ProblemFile | PythonRun:
    """Read and check a problem file; errors as in :func:`parse`, and FileNotFoundError if it is not there."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such problem file")
    try:
        return parse(path.read_text(encoding="utf-8-sig").replace("\r\n", "\n"), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from None


def _sentence(document: dict[str, Any], at: tuple[Any, ...], details: list[Any]) -> str:
    """One mistake that pydantic found, in our words."""
    name = f"[{at[0]}] {at[1]}" if len(at) == 2 else f"[{at[0]}]" if at[0] in (*_MODELS, "method") else str(at[0])
    kind = details[0]["type"]
    if kind == "extra_forbidden":
        return _unknown(name, at, document)
    if kind == "missing" and at != ("data", "classes"):
        return f"{name}: missing" + (f", its keys are {', '.join(_MODELS[at[0]].model_fields)}" if len(at) == 1 else "")
    if kind == "value_error":
        return f"[{at[0]}] {details[0]['ctx']['error']}"
    given = document[at[0]] if len(at) == 1 else document[at[0]][at[1]]
    if at == ("data", "classes"):
        return f"{name}: given {given!r}, must be two labels, as in [3, 8]"
    allowed = [_MUST.get(d["type"], d["msg"]).format(**d.get("ctx", {})) for d in details]
    rule = " or ".join(dict.fromkeys(allowed)).replace(" or must be", " or")
    near = difflib.get_close_matches(str(given), rule.split("'")[1::2], 1)  # among the quoted words, if any
    return f"{name}: given {given!r}, {rule}" + (f"; did you mean {near[0]!r}?" if near else "")


def _unknown(name: str, at: tuple[Any, ...], document: dict[str, Any]) -> str:
    key = at[-1]
    model = ProblemFile if len(at) == 1 else _MODELS[at[0]]
    if len(at) == 1 and isinstance(document[key], dict):
        name = f"[{key}]"
    near = difflib.get_close_matches(key, model.model_fields, 1)
    homes = [f"[{section}]" for section, other in _MODELS.items() if key in other.model_fields]
    if near:
        hint = f"did you mean {near[0]}? "
    elif homes:
        hint = f"{key} belongs under {' or '.join(homes)}; "
    else:
        hint = ""
    return f"{name}: unknown, {hint}allowed are {', '.join(model.model_fields)}"


def _between_keys(document: dict[str, Any]) -> Iterator[str]:
    """Mistakes that take two keys to see; the document may hold any others."""

    def get(section: str, key: str, default: Any = None) -> Any:
        table = document.get(section)
        return table.get(key, default) if isinstance(table, dict) else default

    loss, classes, scale = get("objective", "loss"), get("data", "classes"), get("data", "scale")
    source, split = str(get("data", "source")), str(get("clients", "split", "contiguous"))
    if isinstance(classes, list) and len(classes) == 2 and classes[0] == classes[1]:
        yield f"[data] classes: given {classes}, must be two different labels"
    if classes is not None and not _two_classes(loss, True):
        allowed = " or ".join(repr(name) for name in known("loss") if _two_classes(name, False))
        yield f"[data] classes: given {classes}, allowed only with loss = {allowed}, not {loss!r}"
    if get("data", "label") is not None and not source.startswith("csv:"):
        yield f"[data] label: given {get('data', 'label')!r}, allowed only with a csv source, not {source!r}"
    if get("objective", "huber_delta") is not None and loss != "huber":
        yield f"[objective] huber_delta: given {get('objective', 'huber_delta')!r}, allowed only with loss = 'huber'"
    if get("objective", "penalise_intercept") is True and get("objective", "intercept") is not True:
        yield "[objective] penalise_intercept: given true, allowed only with intercept = true"
    if sources.is_glob(source) and split != "files":
        yield f"[clients] split: given {split!r}, must be 'files' with the pattern {source!r}: one file a client"
    if split == "files" and scale in ("standard", "maxabs"):
        yield (
            f"[data] scale: given {scale!r}, which needs all clients' rows in one place; with split = 'files' "
            "allowed are 'none', 'unit-rows'"
        )
    if split.startswith("column:") and not source.startswith(("csv:", "npz:")):
        yield f"[clients] split: given {split!r}, allowed only with a csv or npz source, not {source!r}"
    if get("clients", "count") is None and split != "files" and not split.startswith("column:"):
        yield f"[clients] count: missing, must be at least 1 with split = {split!r}"
    method = document.get("method")
    if isinstance(method, dict):
        if "name" not in method:
            yield "[method] name: missing"
        for key, value in method.items():
            if key == "name" and not isinstance(value, str):
                yield f"[method] name: given {value!r}, must be a string"
            elif not isinstance(value, str | int | float):
                yield f"[method] {key}: given {value!r}, must be a string, a number, true or false"


def _two_classes(loss: Any, otherwise: bool) -> bool:
    """Whether a loss is of labels −1 and +1; `otherwise` where there is none of that name, which is told elsewhere."""
    try:
        return loss_of(loss).classifies if isinstance(loss, str) else otherwise
    except (ValueError, TypeError):
        return otherwise
