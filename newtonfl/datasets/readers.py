"""One reader a format: LIBSVM, CSV, npz, scikit-learn → rows and labels, every value a finite number.

Good files go through a library's parser; only when something is wrong are the lines walked, to say which one it is.
"""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import io
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array

SKLEARN = ("breast_cancer", "digits", "iris", "wine", "diabetes")
_LARGEST_INDEX = 2**31 - 1  # what scikit-learn's parser can hold


def _number(word: str) -> bool:
    """Whether `word` is a finite number (Python, but no file format, takes 1_0 for ten)."""
    try:
        return bool(np.isfinite(float(word))) and "_" not in word
    except ValueError:
        return False


def read_libsvm(path: Path, features: int | None) -> tuple[Array, Array]:
    """Rows and labels of LIBSVM text, plain, .gz or .bz2; as many columns as the largest index, or `features`."""
    from sklearn.datasets import load_svmlight_file

    opener: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    with opener(path, "rb") as stream:
        raw = stream.read()
    try:
        rows, labels = load_svmlight_file(io.BytesIO(raw), zero_based=False)
    except (ValueError, OverflowError) as error:
        raise ValueError(_bad_line(path, raw) or f"{path}: not LIBSVM text ({error})") from None
    suspect = b"_" in raw or not (np.isfinite(rows.data).all() and np.isfinite(labels).all())
    if suspect and (bad := _bad_line(path, raw)):
        raise ValueError(bad)
    if labels.size == 0:
        raise ValueError(f"{path}: no rows; the file is empty")
    if features is not None:
        largest = int(rows.indices.max(initial=-1)) + 1
        if largest > features:
            raise ValueError(f"{path}: features = {features}, but the largest index is {largest}")
        rows.resize((labels.size, features))
    return rows, labels


def _bad_line(path: Path, raw: bytes) -> str | None:
    for number, line in enumerate(raw.split(b"\n"), 1):
        words = line.partition(b"#")[0].decode("utf-8", "replace").split()
        if words and (fault := _fault(words)):
            return f"{path}, line {number}: {fault}"
    return None


def _fault(words: list[str]) -> str | None:
    """What is wrong with the words of one LIBSVM line, if anything."""
    if not _number(words[0]):
        return f"the label {words[0]!r} is not a finite number"
    last = 0
    for word in words[1:]:
        index, colon, value = word.partition(":")
        if index == "qid" and last == 0:  # a ranking set's query, which says nothing about the row
            continue
        if not colon or not value:
            return f"{word!r} is not INDEX:VALUE; is the line cut short?"
        if not (index.isascii() and index.isdigit()) or not 1 <= int(index[:11]) <= _LARGEST_INDEX:
            return f"the index {index!r} is not a whole number from 1 to {_LARGEST_INDEX}"
        if int(index) <= last:
            return f"index {index} comes after {last}; indices must ascend"
        if not _number(value):
            return f"the value {value!r} of index {index} is not a finite number"
        last = int(index)
    return None


def read_csv(path: Path, label: str | int | None, group: str | int | None) -> tuple[Array, Array, Array | None]:
    """Rows, labels (column `label`, by default the last) and the entries of column `group`, where one is asked for."""
    try:
        return _csv_numbers(path, label, group)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: not CSV text ({error})") from None


def _csv_numbers(path: Path, label: str | int | None, group: str | int | None) -> tuple[Array, Array, Array | None]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        first = [cell.strip() for cell in next((cells for cells in csv.reader(stream) if cells), [])]
        if not first:
            raise ValueError(f"{path}: no rows; the file is empty")
        header, width = _is_header(path, first, label, group), len(first)
        names = first if header else [""] * width
        marked = None if group is None else _column(path, group, names, "split = column:NAME")
        target = max(j for j in range(-1, width) if j != marked)  # by default the last
        if label is not None:
            target = _column(path, label, names, "label")
        kept = [j for j in range(width) if j not in (target, marked)]
        if target == marked:
            raise ValueError(f"{path}: label and split = column:NAME both name column {label!r}")
        if not kept:
            raise ValueError(
                f"{path}: at least one feature is needed beside the label{' and the split' * (marked is not None)}; "
                f"the first line has {width} column{'s' * (width > 1)} (a comma ends a column)"
            )
        if not header:
            stream.seek(0)
        # Plain numbers are one block; where one column is text, each column is a field.
        fields = np.float64 if marked is None else [(str(j), object if j == marked else float) for j in range(width)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's own words on a file without data
                table: Array = np.loadtxt(stream, fields, None, ",", quotechar='"', ndmin=2 if marked is None else 1)
        except UnicodeDecodeError:
            raise
        except ValueError as error:
            raise ValueError(_bad_cell(path, names, header, marked) or f"{path}: not CSV text ({error})") from None
    if table.size == 0:
        raise ValueError(f"{path}: no rows; the file holds only a header")
    if marked is None:
        columns, marks = table, None
    else:
        columns = np.stack([table[str(j)] if j != marked else np.zeros(len(table)) for j in range(width)], axis=1)
        marks = np.char.strip(table[str(marked)].astype(str))
        if all(map(_number, np.unique(marks))):
            marks = marks.astype(np.float64)  # so that 10 comes after 2
    if columns.shape[1] != width or not np.isfinite(columns).all():
        raise ValueError(_bad_cell(path, names, header, marked))
    return columns[:, kept], columns[:, target].copy(), marks


def _is_header(path: Path, first: list[str], label: str | int | None, group: str | int | None) -> bool:
    """Whether the first line is a header. A line that could be either is an error: a row must not vanish."""
    cells = [cell for j, cell in enumerate(first) if str(j) != str(group)]  # the group may be text in every line
    words = [cell for cell in cells if cell and not _number(cell)]
    if not words:
        return False
    if any(map(_number, cells)) and label not in first and group not in first:
        raise ValueError(
            f"{path}, line 1: {words[0]!r} is not a finite number, and a header would have no numbers beside it"
        )
    return True


def _column(path: Path, which: str | int, names: list[str], key: str) -> int:
    """The number of the column `which`, given by name or by number from 0."""
    if isinstance(which, str) and names.count(which) == 1:
        return names.index(which)
    if names.count(str(which)) > 1:
        raise ValueError(f"{path}: {key}: several columns are named {which!r}")
    if str(which).isdecimal() and int(which) < len(names):
        return int(which)
    known = ", ".join(filter(None, names[:20])) or "there is no header line"
    near = difflib.get_close_matches(str(which), names, 1)
    raise ValueError(
        f"{path}: {key}: given {which!r}, which is no column; "
        f"allowed are numbers from 0 to {len(names) - 1} and names ({known})"
        + (f"; did you mean {near[0]!r}?" if near else "")
    )


def _bad_cell(path: Path, names: list[str], header: bool, marked: int | None) -> str | None:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        lines = csv.reader(stream)
        for cells in lines:
            if not cells:
                continue
            if header:
                header = False
            elif len(cells) != len(names):
                return f"{path}, line {lines.line_num}: {len(cells)} columns, where the first line has {len(names)}"
            else:
                for j, cell in enumerate(cells):
                    if j != marked and not _number(cell):
                        name = names[j] or j
                        return f"{path}, line {lines.line_num}, column {name}: {cell!r} is not a finite number"
    return None


def read_npz(path: Path, group: str | int | None) -> tuple[Array, Array, Array | None]:
    """Rows X (or their CSR parts), labels y and the array `group`, where one is asked for."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not an npz file, or not all of it; numpy.savez writes one")
    try:
        with np.load(path, allow_pickle=False) as archive:
            parts = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: the npz file is damaged ({error})") from None
    except ValueError:  # numpy's words would suggest to unpickle it
        raise ValueError(f"{path}: an array in it is damaged, or holds Python objects and not numbers") from None
    content = f"the file holds {', '.join(sorted(parts)) or 'no arrays'}"
    if "y" not in parts or not ("X" in parts or {"data", "indices", "indptr", "shape"} <= parts.keys()):
        raise ValueError(
            f"{path}: needs labels y, and rows X or their CSR parts data, indices, indptr, shape; {content}"
        )
    if "X" in parts:
        rows = _real(path, "X", parts["X"], 2)
    else:
        layout = str(parts.get("format", "csr"))
        if "csr" not in layout:
            raise ValueError(f"{path}: the sparse rows are stored as {layout}, must be csr")
        data = _real(path, "data", parts["data"], 1)
        try:
            if {parts["indices"].dtype.kind, parts["indptr"].dtype.kind} - set("iu"):
                raise ValueError("indices and indptr must be whole numbers")
            rows = scipy.sparse.csr_array(
                (data, parts["indices"], parts["indptr"]), shape=tuple(parts["shape"].tolist())
            )
            rows.check_format(full_check=True)
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"{path}: the CSR parts do not fit together ({error})") from None
    labels = _real(path, "y", parts["y"], 1)
    if labels.size == 0 or rows.shape[0] != labels.size or rows.shape[1] == 0:
        raise ValueError(f"{path}: {rows.shape[0]} rows with {rows.shape[1]} columns, and {labels.size} labels")
    if group is None:
        return rows, labels, None
    marks = parts.get(str(group))
    if marks is None or marks.shape != labels.shape:
        raise ValueError(f"{path}: split = column:{group} needs an array {group!r} with one entry a row; {content}")
    return rows, labels, marks


def _real(path: Path, name: str, array: Array, axes: int) -> Array:
    """`array` in float64, if it has as many axes and holds finite real numbers."""
    if array.dtype.kind not in "fiub" or array.ndim != axes:
        raise ValueError(f"{path}: {name} must be {axes}-D and of real numbers; it is {array.ndim}-D of {array.dtype}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"{path}: {name}[{row}] holds NaN or infinity")
    return array


def read_sklearn(name: str) -> tuple[Array, Array]:
    """Rows and labels of one of the sets that come with scikit-learn."""
    from sklearn import datasets

    rows, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return rows, labels.astype(np.float64)
