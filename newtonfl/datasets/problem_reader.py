"""From a problem file's text to a checked ProblemFile, every mistake named with its file, section and key.

All mistakes of a file are reported at once.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from newtonfl.core.quoting import excerpt
from newtonfl.datasets import sources
from newtonfl.datasets.csv_columns import OFFSETS
from newtonfl.datasets.file_bytes import read_text
from newtonfl.datasets.problem_file import CSV_ONLY, SECTIONS, ProblemFile, PythonRun
from newtonfl.objectives.losses import loss_of
from newtonfl.registry import known

_LARGEST_FILE = 1 << 20  # bytes

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


def parse(toml: str, where: str) -> ProblemFile | PythonRun:
    """Check the text of a problem file.

    Parameters
    ----------
    toml : str
        The text.
    where : str
        The file's name, for messages.

    Raises
    ------
    ValueError
        With one line a mistake: file, section and key, what was given, what is allowed.
    """
    try:
        document = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:  # names the line, but for the last one
        last = f"end of document, line {toml.count(chr(10)) + 1}"
        raise ValueError(f"{where}: not TOML: {excerpt(str(error).replace('end of document', last))}") from None
    if wide := dict.fromkeys(_wide_numbers(document)):
        raise ValueError("\n".join(f"{where}: {name}: given a whole number beyond 64 bits" for name in wide))
    if "problem" in document:
        if mistakes := list(_of_the_method(document)):
            raise ValueError(f"{where}: {excerpt(mistakes[0], 1000)}")
        try:
            return PythonRun.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{where}: [{excerpt(first['loc'][0], 60)}] {first['msg']}") from None
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
        raise ValueError("\n".join(f"{where}: {excerpt(mistake, 1000)}" for mistake in mistakes[:40]))
    file._where = where
    return file


def read(path: Path) -> ProblemFile | PythonRun:
    """Read and check a problem file; errors as in :func:`parse`, and FileNotFoundError if it is not there."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such problem file")
    if (size := path.stat().st_size) > _LARGEST_FILE:
        raise ValueError(f"{path}: {size} bytes are no problem file, which has a few lines of TOML; is it the data?")
    try:
        return parse(read_text(path).replace("\r\n", "\n").replace("\r", "\n"), str(path))
    except RecursionError:
        raise ValueError(f"{path}: not TOML of ours: brackets or keys are nested too deeply") from None
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        # Python's own words on a number of 5000 digits.
        raise ValueError(f"{path}: not TOML: {excerpt(error)}") from None


def _sentence(document: dict[str, Any], at: tuple[Any, ...], details: list[Any]) -> str:
    """One mistake that pydantic found, in our words."""
    name = f"[{at[0]}] {at[1]}" if len(at) == 2 else f"[{at[0]}]" if at[0] in (*SECTIONS, "method") else str(at[0])
    kind = details[0]["type"]
    if kind == "extra_forbidden":
        return _unknown(name, at, document)
    if kind == "missing":
        return f"{name}: missing" + (
            f", its keys are {', '.join(SECTIONS[at[0]].model_fields)}" if len(at) == 1 else ""
        )
    if kind == "value_error":
        return f"[{at[0]}] {details[0]['ctx']['error']}"
    value = document[at[0]] if len(at) == 1 else document[at[0]][at[1]]
    if at[-1] in ("columns", "drop", "categorical", "personal"):
        return f'{name}: given {value!r}, must be a list of names or of numbers from 0, as in ["age", "dose"]'
    if at[-1] == "baseline":
        return f'{name}: given {value!r}, must be "first", or a table of words as in {{ward = "surgery"}}'
    allowed = [_MUST.get(d["type"], d["msg"]).format(**d.get("ctx", {})) for d in details]
    rule = " or ".join(dict.fromkeys(allowed)).replace(" or must be", " or")
    near = difflib.get_close_matches(str(value), rule.split("'")[1::2], 1)  # among the quoted words, if any
    return f"{name}: given {value!r}, {rule}" + (f"; did you mean {near[0]!r}?" if near else "")


def _unknown(name: str, at: tuple[Any, ...], document: dict[str, Any]) -> str:
    key = at[-1]
    model = ProblemFile if len(at) == 1 else SECTIONS[at[0]]
    if len(at) == 1 and isinstance(document[key], dict):
        name = f"[{key}]"
    near = difflib.get_close_matches(key, model.model_fields, 1)
    homes = [f"[{section}]" for section, other in SECTIONS.items() if key in other.model_fields]
    if homes:
        hint = f"{key} belongs under {' or '.join(homes)}; "
    elif near:
        hint = f"did you mean {near[0]}? "
    else:
        hint = ""
    return f"{name}: unknown, {hint}allowed are {', '.join(model.model_fields)}"


def _between_keys(document: dict[str, Any]) -> Iterator[str]:
    """Mistakes that take two keys to see; the document may hold any others."""

    def get(section: str, key: str, default: Any = None) -> Any:
        table = document.get(section)
        return table.get(key, default) if isinstance(table, dict) else default

    loss, classes = get("objective", "loss"), get("data", "classes")
    source, split = str(get("data", "source")), str(get("clients", "split", "contiguous"))
    if isinstance(classes, list) and len(classes) == 2 and classes[0] == classes[1]:
        yield f"[data] classes: given {classes}, must be two different labels"
    if classes is not None and not _two_classes(loss, True):
        allowed = " or ".join(repr(name) for name in known("loss") if _two_classes(name, False))
        yield f"[data] classes: given {classes}, allowed only with loss = {allowed}, not {loss!r}"
    if get("data", "baseline") is not None and not get("data", "categorical"):
        yield f"[data] baseline: given {get('data', 'baseline')!r}, allowed only with categorical = [NAME]"
    for kind, keys in (("csv", CSV_ONLY), ("libsvm", ("zero_based",))):
        for key in keys:
            if get("data", key) is not None and not source.startswith(f"{kind}:"):
                yield f"[data] {key}: given {get('data', key)!r}, allowed only with a {kind} source, not {source!r}"
    if get("objective", "huber_delta") is not None and loss != "huber":
        yield f"[objective] huber_delta: given {get('objective', 'huber_delta')!r}, allowed only with loss = 'huber'"
    if get("objective", "penalise_intercept") is True and get("objective", "intercept") is not True:
        yield "[objective] penalise_intercept: given true, allowed only with intercept = true"
    if get("objective", "personal_l2") is not None and not get("objective", "personal"):
        yield f"[objective] personal_l2: given {get('objective', 'personal_l2')!r}, allowed only with personal = [NAME]"
    if sources.is_glob(source) and split != "files":
        yield f"[clients] split: given {split!r}, must be 'files' with the pattern {source!r}: one file a client"
    for key in OFFSETS:
        if get("data", key) is not None and not source.startswith(("csv:", "npz:")):
            column = get("data", key)
            yield f"[data] {key}: given {column!r}, allowed only with a csv or npz source, not {source!r}"
    if split.startswith("column:") and not source.startswith(("csv:", "npz:")):
        yield f"[clients] split: given {split!r}, allowed only with a csv or npz source, not {source!r}"
    if get("clients", "count") is None and split != "files" and not split.startswith("column:"):
        yield f"[clients] count: missing, must be at least 1 with split = {split!r}"
    yield from _of_the_method(document)


def _of_the_method(document: dict[str, Any]) -> Iterator[str]:
    """Mistakes in [method], whose other keys the method itself knows."""
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
    """Whether a loss is of labels -1 and +1; `otherwise` where there is none of that name, which is said elsewhere."""
    try:
        return loss_of(loss).classifies if isinstance(loss, str) else otherwise
    except (ValueError, TypeError):
        return otherwise


def _wide_numbers(value: Any, keys: tuple[str, ...] = ()) -> Iterator[str]:
    """The keys of whole numbers that are too wide for TOML, and for most of what a file could mean by them."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _wide_numbers(part, (*keys, key))
    elif isinstance(value, list):
        for part in value:
            yield from _wide_numbers(part, keys)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield f"[{'.'.join(keys[:-1])}] {keys[-1]}" if len(keys) > 1 else keys[0]
