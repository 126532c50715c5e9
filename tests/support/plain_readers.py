"""Readers that know nothing of newtonfl: a second opinion on what a file of data, of a problem or of a run holds.

Each compares what newtonfl found in a file with what it finds itself, and returns what differs; or raises Refused.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import re
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MISSING = {"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>"}


class Refused(Exception):
    """A plain reader would not take the file."""


def number(word: str) -> float:
    if not NUMBER.fullmatch(word) or math.isinf(float(word)):
        raise Refused(f"{word[:40]!r} is no finite number")
    return float(word)


def is_number(word: str) -> bool:
    try:
        return math.isfinite(number(word))
    except Refused:
        return False


def content(path: Path) -> bytes:
    raw = path.read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        elif raw[:3] == b"BZh":
            raw = bz2.decompress(raw)
        elif raw[:5] == b"\xfd7zXZ":
            raw = lzma.decompress(raw)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise Refused(str(error)) from None
    return raw.removeprefix(b"\xef\xbb\xbf")


def utf8(path: Path) -> str:
    try:
        return content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(str(error)) from None


# --- LIBSVM


def libsvm(path: Path, table: Any, options: dict[str, Any]) -> str:
    raw, first = content(path), 0 if options.get("zero_based") else 1
    lines = re.split(rb"\r*\n", raw) if b"\n" in raw else raw.split(b"\r")
    labels, places, entries = [], [], []
    for line in lines:
        words = re.sub(r":[ \t]+", ":", line.decode("latin-1").partition("#")[0]).strip(" \t\f\v").replace("\t", " ")
        if not words:
            continue
        label, *pairs = [word for word in words.split(" ") if word]
        labels.append(number(label))
        last = first - 1
        for k, pair in enumerate(pairs):
            if k == 0 and re.fullmatch(r"qid:[0-9]+", pair):
                continue
            index, colon, value = pair.partition(":")
            if not colon or not re.fullmatch(r"\+?[0-9]{1,4000}|-0+", index) or int(index) <= last:
                raise Refused(f"the pair {pair[:40]!r}")
            last = int(index)
            places.append((len(labels) - 1, last - first))
            entries.append(number(value))
    at = np.array(places, np.int64).reshape(-1, 2)
    shape = (len(labels), int(at[:, 1].max(initial=0)) + 1)
    rows = sparse.csr_array((entries, (at[:, 0], at[:, 1])), shape)
    if table.rows.shape != shape:
        return f"shape {table.rows.shape}, must be {shape}"
    if abs(sparse.csr_array(table.rows) - rows).nnz or table.labels.tolist() != labels:
        return "other numbers"
    return ""


# --- CSV


def csv_table(path: Path, table: Any, options: dict[str, Any]) -> str:
    stream = io.StringIO(utf8(path), newline="")
    try:
        lines = csv.reader(stream, delimiter=options.get("separator", ","))
        cells = [[cell.strip() for cell in line] for line in lines if line]
    except csv.Error as error:
        raise Refused(str(error)) from None
    if len({len(line) for line in cells}) != 1:
        raise Refused("lines of several lengths")
    named = {options.get("label"), options.get("group"), *options.get("categorical", ())}
    header = named & set(cells[0]) or not all(is_number(cell) or cell in MISSING for cell in cells[0])
    names = cells.pop(0) if header else [str(j) for j in range(len(cells[0]))]
    used = [*table.column_names, table.label_name, *([options["group"]] if "group" in options else [])]
    if sorted(used) != sorted(names):
        return f"columns {used}, must be {names}"
    columns = {name: [line[j] for line in cells] for j, name in enumerate(names)}
    if len(table.labels) != len(cells):
        return f"{len(table.labels)} rows, must be {len(cells)}"

    def numbers(words: list[str], may_miss: bool) -> list[float]:
        return [math.nan if may_miss and word in MISSING else number(word) for word in words]

    for j, name in enumerate(table.column_names):
        values = table.rows[:, j]
        if name in table.levels:
            if [table.levels[name][int(value)] for value in values] != columns[name]:
                return f"other words in column {name!r}"
        elif not np.array_equal(values, numbers(columns[name], options.get("missing") == "mean"), equal_nan=True):
            return f"other numbers in column {name!r}"
    labels = columns[table.label_name]
    if table.labels.tolist() != (labels if table.labels.dtype.kind in "UO" else numbers(labels, False)):
        return "other labels"
    if table.labels.dtype.kind in "UO" and any(word in MISSING or is_number(word) for word in labels):
        raise Refused("labels that are numbers and words")
    return same_groups(table, columns[options["group"]]) if "group" in options else ""


def same_groups(table: Any, names: list[Any]) -> str:
    pairs = set(zip(names, table.groups.tolist(), strict=True))
    return "" if len(pairs) == len(set(names)) == len(set(table.groups.tolist())) else "other clients"


# --- npz


def npz(path: Path, table: Any, options: dict[str, Any]) -> str:
    try:
        with warnings.catch_warnings(), np.load(path, allow_pickle=False) as archive:
            warnings.simplefilter("ignore")
            wanted = {"X", "y", "data", "indices", "indptr", "shape", "feature_names", options.get("group")}
            parts = {name: archive[name] for name in archive.files if name in wanted}
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    if "X" in parts:
        rows = parts["X"].astype(float)
    else:
        rows = np.zeros(parts["shape"])
        for i in range(len(rows)):
            for k in range(parts["indptr"][i], parts["indptr"][i + 1]):
                rows[i, parts["indices"][k]] += parts["data"][k]
    found = table.rows.toarray() if sparse.issparse(table.rows) else table.rows
    if not np.isfinite(rows).all():
        raise Refused("not finite")
    if not np.array_equal(found, rows) or table.labels.tolist() != parts["y"].tolist():
        return "other numbers"
    if "feature_names" in parts and list(table.column_names) != parts["feature_names"].tolist():
        return "other names"
    return same_groups(table, parts[options["group"]].tolist()) if "group" in options else ""


# --- TOML


def toml(path: Path, file: Any, options: dict[str, Any]) -> str:
    try:
        document = tomllib.loads(utf8(path).replace("\r\n", "\n").replace("\r", "\n"))
    except (ValueError, RecursionError) as error:
        raise Refused(str(error)) from None
    for section, keys in document.items():
        part = getattr(file, section)
        for key, value in keys.items() if isinstance(keys, dict) else [(section, keys)]:
            found = part if not isinstance(keys, dict) else part[key] if isinstance(part, dict) else getattr(part, key)
            found = list(found) if isinstance(found, tuple) else found
            same = found == value or (found != found and value != value)  # NaN
            if not same or isinstance(found, bool) != isinstance(value, bool):
                return f"{section}.{key} is {found!r}, must be {value!r}"
    return ""


# --- what runs write


def trace(path: Path, found: Any, options: dict[str, Any]) -> str:
    rounds = []
    for line in path.read_text().removesuffix("\n").split("\n"):  # any line ends of text
        words, comment, _ = line.partition("#")
        if words.strip(" \t") or not comment:
            if not re.fullmatch(r"[ \t0-9]*", words):
                raise Refused(f"{words[:40]!r} holds more than numbers")
            rounds.append(tuple(sorted({int(word) for word in words.split()})))
    return "" if found.rounds == tuple(rounds) else "other rounds"


def history(path: Path, found: Any, options: dict[str, Any]) -> str:
    lines = path.read_bytes().split(b"\n")
    for record, line in zip(found, lines, strict=False):
        for name, value in json.loads(line).items():
            mine = getattr(record, name)
            same = list(mine) == value if isinstance(mine, tuple) else mine == value or (value is None and mine != mine)
            if not same and value == value:
                return f"{name} is {mine!r}, must be {value!r}"
    # All of them, but for what stands behind the last line's end, unless that is a whole record.
    return "" if len(lines) - len(found) in (0, 1) else f"{len(found)} records of {len(lines)} lines"


def start(path: Path, found: Any, options: dict[str, Any]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.load(path, allow_pickle=False)
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    return "" if np.array_equal(found, array.astype(float)) else "other numbers"


def checkpoint(path: Path, found: Any, options: dict[str, Any]) -> str:
    arrays, values, _ = found
    same = arrays.keys() == options["arrays"].keys() and values == {"format": 4, **options["values"]}
    return "" if same and all(np.array_equal(arrays[k], v) for k, v in options["arrays"].items()) else "another state"


PLAIN = {
    "csv": csv_table, "libsvm": libsvm, "npz": npz, "toml": toml, "trace": trace, "history": history, "start": start,
    "checkpoint": checkpoint,
}  # fmt: skip
