"""LIBSVM, CSV, npz or scikit-learn to rows and labels, every value checked; a verified, cached download.

A source is one string, ``KIND:WHAT``: ``libsvm:a9a``, ``csv:silos/*.csv``, ``npz:rows.npz``, ``sklearn:digits``.
Rows stay sparse when fewer than half of their entries are non-zero, and become a dense array otherwise.
"""

from __future__ import annotations

import bz2
import csv
import difflib
import glob
import gzip
import hashlib
import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from newtonfl.backend import Array

KINDS = ("libsvm", "csv", "npz", "sklearn")
SKLEARN = ("breast_cancer", "digits", "iris", "wine", "diabetes")
SCALES = ("none", "standard", "maxabs", "unit-rows")
VARIABLE = "NEWTONFL_DATA"
BASE = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/"
KNOWN = {  # name: (address below BASE, SHA-256)
    "a1a": ("binary/a1a", "eb54c45f1bdb51286f803dd092eb8202b44637a858fc6c4e533a2d64a0d94b4e"),
    "a9a": ("binary/a9a", "f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906"),
    "w2a": ("binary/w2a", "940eb7cf0c94208f533cadd825631aedd02bb8a43fa7628690f1a923fe49944e"),
    "w8a": ("binary/w8a", "6a9fa8fd5f524303240a5db07d4b3d4a51e8b7b4b20a914105d8e3e8c81640f2"),
    "phishing": ("binary/phishing", "0cf66ef36604c393da9359b2e5d894a2df8aee31fd184633cefa138add2ef08a"),
    "mushrooms": ("binary/mushrooms", "f39a4eb628dc61a7d43760815b061c9e497aa728ce1ad8bde57a09ef6043b538"),
    "madelon": ("binary/madelon", "4801c452441772b47674fa8deb3724b1cb897eff49ccd8d47078367080c05b54"),
    "abalone_scale": ("regression/abalone_scale", "c7e719473d68cac81798b16c14bcdc632abf485b404882ff9e713c5d46c7750d"),
    "housing_scale": ("regression/housing_scale", "bbacd2f526a038499717d5dc4b8895e6baf1e2351895b9360a84bcb31e104476"),
    "bodyfat_scale": ("regression/bodyfat_scale", "0407ae0c51cde1680850bf912ab701cd68826059738f3637d5d97ece49799912"),
    "dna.scale": ("multiclass/dna.scale", "03d39477c5e48415e9cd18e006efc8f7a3b5c3deaee8289a72511c35070e3cfe"),
    "segment.scale": ("multiclass/segment.scale", "7c25c4529b8c84d047bc546e1e1f9a3f671c36d77f5469fb845b6e4a15bdd629"),
}
_LARGEST_INDEX = 2**31 - 1  # what scikit-learn's parser can hold


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with their labels, as read.

    Attributes
    ----------
    rows : (N, d) ndarray, C-contiguous, or scipy.sparse.csr_array with sorted indices and no stored zeros; float64
    labels : (N,) float64 ndarray
    source : str
        What the user wrote.
    groups : (N,) int64 ndarray or None
        Codes 0, 1, … of the group column's distinct values in sorted order, where one was asked for.
    """

    rows: Array
    labels: Array
    source: str
    groups: Array | None = None


def parse_source(source: str) -> tuple[str, str]:
    """Split ``KIND:WHAT``, or raise a ValueError that says which kinds there are."""
    kind, colon, what = source.partition(":")
    if kind not in KINDS or not colon or not what.strip():
        raise ValueError(f"source: given {source!r}, must be libsvm:NAME_OR_PATH, csv:PATH, npz:PATH or sklearn:NAME")
    if kind == "sklearn" and what not in SKLEARN:
        raise ValueError(f"source: given {source!r}, the scikit-learn sets are {', '.join(SKLEARN)}")
    return kind, what


def is_glob(source: str) -> bool:
    """Whether `source` is a pattern for several files."""
    return any(sign in source for sign in "*?[")


def read(
    source: str,
    *,
    folder: Path = Path("."),
    features: int | None = None,
    label: str | int | None = None,
    group: str | int | None = None,
) -> Table:
    """Read one source.

    Parameters
    ----------
    source : str
        ``libsvm:NAME_OR_PATH``, ``csv:PATH``, ``npz:PATH`` or ``sklearn:NAME``.
    folder : Path
        What relative paths are relative to: the problem file's folder.
    features : int, optional
        Number of columns d. LIBSVM text does not say it, and the largest index may fall short of it.
    label : str or int, optional
        CSV only: the label's column, by name or by number from 0. The last column by default.
    group : str or int, optional
        CSV: a column, by name or by number, that is no feature but says to whom a row belongs; it may be text.
        npz: the name of an array.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message names every place that was searched.
    ValueError
        If what is found is not sound: the message names the file and the line or row.
    """
    kind, what = parse_source(source)
    if label is not None and kind != "csv":
        raise ValueError(f"{source}: label = {label!r} picks a column of a CSV file; {kind} keeps its labels apart")
    if group is not None and kind not in ("csv", "npz"):
        raise ValueError(f"{source}: there is no column {group!r} to split by; only csv and npz sources can have one")
    codes = None
    if kind == "sklearn":
        rows, labels = _sklearn(what)
    elif kind == "libsvm":
        rows, labels = _libsvm(_libsvm_path(what, folder), features)
    else:
        path = _existing(what, folder)
        rows, labels, marks = _csv(path, label, group) if kind == "csv" else _npz(path, group)
        codes = None if marks is None else np.unique(marks, return_inverse=True)[1].astype(np.int64)
    if features is not None and rows.shape[1] != features:
        raise ValueError(f"{source}: features = {features}, but there are {rows.shape[1]} columns of features")
    return Table(store(rows), labels, source, codes)


def expand(source: str, folder: Path = Path(".")) -> list[str]:
    """The single-file sources, sorted, that a source with a pattern such as ``csv:silos/*.csv`` stands for.

    Raises
    ------
    FileNotFoundError
        If no file matches.
    """
    kind, pattern = parse_source(source)
    if kind == "sklearn" or not is_glob(pattern):
        return [source]
    found = sorted(name for name in glob.glob(pattern, root_dir=folder, recursive=True) if (folder / name).is_file())
    if not found:
        raise FileNotFoundError(f"{source}: no file matches {pattern!r} in {folder.resolve()}")
    return [f"{kind}:{name}" for name in found]


def same_columns(counts: Mapping[str, int]) -> int:
    """The number of columns that all files have, given each file's.

    Raises
    ------
    ValueError
        If two files differ.
    """
    (first, columns), *others = counts.items()
    for other, count in others:
        if count != columns:
            remedy = "; LIBSVM text leaves out what is zero: set features = N under [data]"
            raise ValueError(
                f"{first} has {columns} columns of features and {other} has {count}: all files must have as many"
                + (remedy if other.startswith("libsvm:") else "")
            )
    return columns


def store(rows: Array, dense: bool | None = None) -> Array:
    """`rows` as this library keeps them, dense or CSR; by default CSR rows become dense if half or more is non-zero."""
    if not sparse.issparse(rows):
        if dense is not False:
            return np.ascontiguousarray(rows, dtype=np.float64)
        return sparse.csr_array(np.asarray(rows, dtype=np.float64))
    rows = sparse.csr_array(rows, dtype=np.float64)
    rows.sum_duplicates()  # also sorts
    rows.eliminate_zeros()
    if dense is None:
        dense = 2 * rows.nnz >= rows.shape[0] * rows.shape[1]
    return rows.toarray() if dense else rows


def two_classes(labels: Array, classes: tuple[float, float] | None, where: str) -> tuple[Array, Array]:
    """Labels as −1 and +1.

    Parameters
    ----------
    labels : (N,) array
    classes : (a, b), optional
        Keep only rows with these labels; a becomes −1 and b +1. Without it there must be exactly two distinct
        labels; the smaller becomes −1. One of the two may be absent here (it may be in another file).
    where : str
        What the message names: the source.

    Returns
    -------
    labels : (M,) float64 array of −1 and +1
    kept : (M,) int64 array
        The rows that were kept, ascending.
    """
    found = np.unique(labels)
    if classes is None:
        if found.size != 2:
            raise ValueError(
                f"{where}: two classes are needed, and there are {found.size} different labels ({some(found)}): "
                "classes = [a, b] under [data] picks two"
            )
        classes = (found[0], found[1])
    low, high = classes
    kept = np.flatnonzero((labels == low) | (labels == high)).astype(np.int64)
    if kept.size == 0:
        raise ValueError(f"{where}: no row has a label of classes = [{low:g}, {high:g}]; the labels are {some(found)}")
    return np.where(labels[kept] == high, 1.0, -1.0), kept


def some(labels: Array) -> str:
    """The first few labels, for a message."""
    return ", ".join(f"{value:g}" for value in labels[:8]) + (", …" if len(labels) > 8 else "")


def scale(rows: Array, how: str) -> Array:
    """Scaled rows; `rows` itself is left as it is.

    Parameters
    ----------
    rows : (N, d) ndarray or csr_array
    how : str
        ``none``; ``standard``: each column to mean 0 and variance 1, a constant column to 0 (dense rows only);
        ``maxabs``: each column over its largest absolute value; ``unit-rows``: each row over its 2-norm.
        Columns and rows of zeros stay zero.

    Raises
    ------
    ValueError
        For another `how`, or for ``standard`` on sparse rows.
    """
    if how not in SCALES:
        raise ValueError(f"scale: given {how!r}, allowed are {', '.join(SCALES)}")
    if how == "none":
        return rows
    is_sparse = sparse.issparse(rows)
    if how == "standard":
        if is_sparse:
            raise ValueError(
                'scale = "standard" would fill in every zero of sparse rows: scale = "maxabs" keeps them sparse'
            )
        # A constant column's mean may be off by a rounding, which would be blown up to ±1: so ask its entries.
        varies = rows.min(axis=0) < rows.max(axis=0)
        centred = np.where(varies, rows - rows.mean(axis=0), 0.0)
        return centred / np.where(varies, np.sqrt(np.mean(centred**2, axis=0)), 1.0)
    if how == "maxabs":
        top = abs(rows).max(axis=0)
        top = top.toarray().ravel() if is_sparse else top
        factors = np.where(top > 0, top, 1.0)
        if not is_sparse:
            return rows / factors
        return sparse.csr_array((rows.data / factors[rows.indices], rows.indices, rows.indptr), shape=rows.shape)
    norms = np.sqrt((rows * rows).sum(axis=1))  # for CSR arrays, too, * goes entry by entry
    norms = np.where(norms > 0, norms, 1.0)
    if not is_sparse:
        return rows / norms[:, None]
    data = rows.data / np.repeat(norms, np.diff(rows.indptr))
    return sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


# ---------------------------------------------------------------------------------------------------------------------
# Where files are


def locate(name: str, *, folder: Path | None = None, base: str = BASE, cache: Path | None = None) -> Path:
    """The file of a LIBSVM set that is given by its bare name.

    Looked for in `folder`, in the folder that the environment variable NEWTONFL_DATA names, in the cache; a known
    set is then downloaded into the cache. Wherever it is, a known set must be whole: its SHA-256 is checked.

    Parameters
    ----------
    name : str
    folder : Path, optional
    base : str
        Address of the LIBSVM data sets.
    cache : Path, optional
        Where downloads are kept; the user's cache folder by default.

    Raises
    ------
    FileNotFoundError
        If it is nowhere and cannot be had; the message says where to put it by hand.
    ValueError
        If a known set's file, found or downloaded, is not that set.
    """
    named = os.environ.get(VARIABLE)
    places = ([folder] if folder is not None else []) + ([Path(named).expanduser()] if named else [])
    known = KNOWN.get(name)
    for place in places:
        path = place / name
        if path.is_file():
            return _verified(path, known[1]) if known else path
    searched = ", ".join(str(place.resolve()) for place in places) or "no folder"
    hint = f"{VARIABLE} is set to {named}" if named else f"{VARIABLE} is not set"
    if known is None:
        near = difflib.get_close_matches(name, KNOWN, 1)
        raise FileNotFoundError(
            f"libsvm:{name}: no file {name!r}; searched: {searched} ({hint}; it may name a folder of data sets). "
            f"It is none of the sets that can be downloaded either: {', '.join(KNOWN)}"
            + (f". Did you mean {near[0]}?" if near else "")
        )
    import pooch

    cache = Path(pooch.os_cache("newtonfl")) if cache is None else cache
    address, sha256 = base.rstrip("/") + "/" + known[0], known[1]
    try:
        return Path(pooch.retrieve(address, known_hash=f"sha256:{sha256}", fname=name, path=cache))
    except OSError as error:  # requests' errors, too, are OSErrors
        raise FileNotFoundError(
            f"libsvm:{name}: no file {name!r}; searched: {searched} ({hint}), {cache}; and {address} cannot be fetched "
            f"({type(error).__name__}: {error}). By hand: fetch that address on another machine, save it as {name} "
            f"in a folder, and set {VARIABLE} to that folder"
        ) from None
    except ValueError:  # pooch has removed the file whose hash is not the known one
        raise ValueError(
            f"libsvm:{name}: what {address} sent is not the known data set (its SHA-256 is not {sha256}); "
            "it was not kept"
        ) from None


def _verified(path: Path, sha256: str) -> Path:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path}: this is not the known data set {path.name}, or not all of it: SHA-256 must be {sha256}, "
            f"found {found}. Put the whole file in its place, or write libsvm:./{path.name} for a file of your own "
            "that lies beside the problem file"
        )
    return path


def _existing(name: str, folder: Path) -> Path:
    path = folder / Path(name).expanduser()
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise FileNotFoundError(
            f"{path.resolve()}: {what} (paths are relative to the problem file's folder; "
            f"{VARIABLE} is searched for bare names of LIBSVM sets only)"
        )
    return path


def _libsvm_path(name: str, folder: Path) -> Path:
    bare = Path(name).name == name and not name.startswith("~")
    return locate(name, folder=folder) if bare else _existing(name, folder)


# ---------------------------------------------------------------------------------------------------------------------
# One reader a kind. Good files go through a library's parser; only when something is wrong are the lines walked,
# to say which one it is.


def _number(text: str) -> bool:
    """Whether `text` is a finite number (Python, but no file format, takes 1_0 for ten)."""
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False


def _libsvm(path: Path, features: int | None) -> tuple[Array, Array]:
    from sklearn.datasets import load_svmlight_file

    opener: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    with opener(path, "rb") as stream:
        raw = stream.read()
    try:
        rows, labels = load_svmlight_file(io.BytesIO(raw), zero_based=False)
    except (ValueError, OverflowError) as error:
        raise ValueError(_bad_line(path, raw) or f"{path}: not LIBSVM text ({error})") from None
    if not (np.isfinite(rows.data).all() and np.isfinite(labels).all()) or b"_" in raw:
        if bad := _bad_line(path, raw):
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


def _csv(path: Path, label: str | int | None, group: str | int | None) -> tuple[Array, Array, Array | None]:
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


def _npz(path: Path, group: str | int | None) -> tuple[Array, Array, Array | None]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not an npz file, or not all of it; numpy.savez writes one")
    try:
        with np.load(path, allow_pickle=False) as archive:
            parts = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: the npz file is damaged ({error})") from None
    except ValueError:  # numpy's words would suggest to unpickle it
        raise ValueError(f"{path}: an array in it is damaged, or holds Python objects and not numbers") from None
    held = f"the file holds {', '.join(sorted(parts)) or 'no arrays'}"
    if "y" not in parts or not ("X" in parts or {"data", "indices", "indptr", "shape"} <= parts.keys()):
        raise ValueError(f"{path}: needs labels y, and rows X or their CSR parts data, indices, indptr, shape; {held}")
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
            rows = sparse.csr_array((data, parts["indices"], parts["indptr"]), shape=tuple(parts["shape"].tolist()))
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
        raise ValueError(f"{path}: split = column:{group} needs an array {group!r} with one entry a row; {held}")
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


def _sklearn(name: str) -> tuple[Array, Array]:
    from sklearn import datasets

    rows, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return rows, labels.astype(np.float64)
