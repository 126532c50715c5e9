"""problems/*.toml: rows and a loss as a file, every mistake named with its file, section and key.

One spelling for everybody; sections and keys are the models below. All mistakes of a file are told at once.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator
from scipy import sparse

from newtonfl import data, splits
from newtonfl.backend import Array
from newtonfl.data import Table

TWO_CLASSES = ("logistic", "squared-hinge")
"""Losses of labels −1 and +1."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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
        data.parse_source(source)
        return source


class Objective(_Section):
    """[objective]: the loss, and what is added to it."""

    loss: Literal["logistic", "squared", "huber", "squared-hinge", "poisson"]
    l2: Annotated[float, Field(ge=0)] = 0.0
    intercept: bool = False
    penalise_intercept: bool = False
    huber_delta: Annotated[float, Field(gt=0)] = 1.35


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

    rounds: Annotated[int | None, Field(ge=1)] = None
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
    _where: str = PrivateAttr("")

    @property
    def where(self) -> str:
        """The file's name, for messages."""
        return self._where


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


def parse(text: str, where: str) -> ProblemFile:
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


def read(path: Path) -> ProblemFile:
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
    if classes is not None and loss in ("squared", "huber", "poisson"):
        allowed = " or ".join(map(repr, TWO_CLASSES))
        yield f"[data] classes: given {classes}, allowed only with loss = {allowed}, not {loss!r}"
    if get("data", "label") is not None and not source.startswith("csv:"):
        yield f"[data] label: given {get('data', 'label')!r}, allowed only with a csv source, not {source!r}"
    if get("objective", "huber_delta") is not None and loss != "huber":
        yield f"[objective] huber_delta: given {get('objective', 'huber_delta')!r}, allowed only with loss = 'huber'"
    if get("objective", "penalise_intercept") is True and get("objective", "intercept") is not True:
        yield "[objective] penalise_intercept: given true, allowed only with intercept = true"
    if data.is_glob(source) and split != "files":
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


# ---------------------------------------------------------------------------------------------------------------------
# The catalogue


def catalogue() -> dict[str, Path]:
    """The problems that come with the library: name to its .toml or .py file."""
    package = Path(__file__).parent
    shipped = package / "problems"  # in the wheel; in a checkout they lie beside the package
    folder = shipped if shipped.is_dir() else package.parent / "problems"
    found = [path for path in folder.glob("*") if path.suffix in (".toml", ".py") and path.stem.isidentifier()]
    return {path.stem: path for path in sorted(found) if not path.stem.startswith("_")}


def find(name_or_path: str | Path) -> Path:
    """The file of a problem: a path to one that exists, else a name of the catalogue (with or without its ending).

    Raises
    ------
    FileNotFoundError
        If there is neither; the message names the nearest of the catalogue.
    ValueError
        If it is a file that does not end in .toml or .py.
    """
    path = Path(name_or_path)
    if path.is_file() and path.suffix in (".toml", ".py"):
        return path
    known = catalogue()
    stem = path.stem if path.suffix in (".toml", ".py") else path.name
    bare = path.parent in (Path("."), Path("problems"))
    if bare and stem in known and path.suffix in ("", known[stem].suffix):
        return known[stem]
    if path.is_file():
        raise ValueError(f"{path}: given a file that ends in {path.suffix or 'nothing'!r}, must be .toml or .py")
    near = difflib.get_close_matches(stem, known, 1)
    raise FileNotFoundError(
        f"{path}: no such file and no such problem"
        + (f"; did you mean {near[0]}?" if near else "")
        + " (`newtonfl problems` lists them)"
    )


# ---------------------------------------------------------------------------------------------------------------------
# From a file to rows. With one file a client, each is read where its client is (silo) and told of (summary); all settle
# what takes all of them to know (agree); each is then made ready (finish). One source for all goes the same way.


@dataclass(frozen=True)
class Summary:
    """What the others need to know of one source: numbers of rows, columns and non-zeros, if dense, the classes."""

    source: str
    rows: int
    columns: int
    nonzeros: int
    dense: bool
    labels: tuple[float, ...]  # distinct and ascending; empty for losses without classes


@dataclass(frozen=True)
class Agreement:
    """What holds for all sources: the labels that become −1 and +1, and whether rows are dense."""

    columns: int
    classes: tuple[float, float] | None
    dense: bool


def sources(file: ProblemFile, folder: Path) -> list[str]:
    """The single-file sources; with split = "files", client i's is the i-th.

    Raises
    ------
    FileNotFoundError, ValueError
        If a pattern matches nothing, or the number of files is not [clients] count.
    """
    found = data.expand(file.data.source, folder)
    count = file.clients.count
    if file.clients.split == "files" and count is not None and count != len(found):
        raise ValueError(
            f"{file.where}: [clients] count: given {count}, but {file.data.source} are {len(found)} files, one a client"
        )
    return found


def silo(file: ProblemFile, folder: Path, source: str) -> Table:
    """The rows of one of the :func:`sources`, as read."""
    split, name = splits.parse(file.clients.split)
    return data.read(
        source,
        folder=folder,
        features=file.data.features,
        label=file.data.label,
        group=name if split == "column" else None,
    )


def summary(file: ProblemFile, table: Table) -> Summary:
    """What :func:`agree` needs to know of a table as read."""
    dense = not sparse.issparse(table.rows)
    nonzeros = int(np.count_nonzero(table.rows)) if dense else int(table.rows.nnz)
    labels = np.unique(table.labels).tolist() if file.objective.loss in TWO_CLASSES else ()
    many, columns = table.rows.shape
    return Summary(table.source, many, columns, nonzeros, dense, tuple(labels))


def agree(file: ProblemFile, summaries: Sequence[Summary]) -> Agreement:
    """Check that the sources fit together, and settle what takes all of them to know.

    Raises
    ------
    ValueError
        If numbers of columns differ, or the labels of all sources are not two classes.
    """
    columns = data.same_columns({one.source: one.columns for one in summaries})
    classes = file.data.classes
    if file.objective.loss in TWO_CLASSES:
        found = sorted({label for one in summaries for label in one.labels})
        data.two_classes(np.array(found), classes, file.data.source)
        classes = classes or (found[0], found[1])
        if absent := [label for label in classes if label not in found]:
            raise ValueError(
                f"{file.where}: [data] classes: given [{classes[0]:g}, {classes[1]:g}], but no row of "
                f"{file.data.source} has the label {absent[0]:g}; the labels are {data.some(found)}"
            )
    filled = 2 * sum(one.nonzeros for one in summaries) >= columns * sum(one.rows for one in summaries)
    return Agreement(columns, classes, filled or all(one.dense for one in summaries))


def finish(file: ProblemFile, table: Table, agreement: Agreement) -> Table:
    """Pick the classes, map their labels to −1 and +1, scale.

    Raises
    ------
    ValueError
        If no row is left, labels do not suit the loss, or rows cannot be scaled so.
    """
    rows, labels, groups = table.rows, table.labels, table.groups
    if file.objective.loss in TWO_CLASSES:
        labels, kept = data.two_classes(labels, agreement.classes, table.source)
        if len(kept) < rows.shape[0]:
            rows, groups = rows[kept], None if groups is None else groups[kept]
    if file.objective.loss == "poisson" and labels.min() < 0:
        raise ValueError(f"{table.source}: loss = 'poisson' needs labels of at least 0; the least is {labels.min():g}")
    try:
        rows = data.scale(data.store(rows, agreement.dense), file.data.scale)
    except ValueError as error:
        raise ValueError(f"{file.where}: [data] {error}") from None
    return Table(rows, labels, table.source, groups)


def rows(file: ProblemFile, folder: Path) -> tuple[Table, list[Array]]:
    """All rows, made ready, and which of them are whose.

    Parameters
    ----------
    file : ProblemFile
    folder : Path
        The problem file's folder, which relative paths are relative to.

    Returns
    -------
    table : Table
        Labels are −1 and +1 for ``logistic`` and ``squared-hinge``.
    parts : list of int64 arrays
        Row numbers, one array a client.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`newtonfl.data.read`, :func:`agree`, :func:`finish` and :func:`newtonfl.splits.split` do.
    """
    tables = [silo(file, folder, source) for source in sources(file, folder)]
    agreement = agree(file, [summary(file, table) for table in tables])
    tables = [finish(file, table, agreement) for table in tables]
    if file.clients.split == "files":
        blocks = [table.rows for table in tables]
        stacked = np.concatenate(blocks) if agreement.dense else sparse.csr_array(sparse.vstack(blocks, format="csr"))
        ends = np.cumsum([len(table.labels) for table in tables])
        parts = np.split(np.arange(ends[-1], dtype=np.int64), ends[:-1])
        return Table(stacked, np.concatenate([table.labels for table in tables]), file.data.source), parts
    (table,) = tables
    try:
        parts = splits.split(file.clients.split, table.labels, file.clients.count, file.clients.seed, table.groups)
    except ValueError as error:
        raise ValueError(f"{file.where}: [clients] {error}") from None
    return table, parts
