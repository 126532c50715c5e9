"""npz → rows, labels, client ids and the columns' names; every value a finite number or a string.

An npz file is a zip archive with one .npy file an array. Sizes are checked before anything is unpacked: what the zip
states against what is there, and what an array's header states against what the zip states.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.core.npy import read_npy
from newtonfl.core.quoting import excerpt, quoted
from newtonfl.datasets.file_bytes import check_proportion

_CSR = ("data", "indices", "indptr", "shape")
_EXACT = 2**53  # up to here every whole number is a float64
_MOST_COLUMNS = 2**31 - 1  # a vector of so many numbers takes 16 GiB


@dataclass(frozen=True, eq=False)
class NpzContent:
    """What an npz file holds.

    Attributes
    ----------
    rows : (N, d) ndarray or csr_array of float64
    labels : (N,) ndarray of float64 or of strings
    groups : (N,) ndarray of whole numbers or of strings, or None
        Every row's client id, where an array of them was named.
    column_names : tuple of d strings, or None
        The array feature_names, if there is one.
    per_row : dict of str to (N,) ndarray of float64
        Further numbers of each row, by what they are for.
    """

    rows: Array
    labels: Array
    groups: Array | None = None
    column_names: tuple[str, ...] | None = None
    per_row: Mapping[str, Array] = field(default_factory=dict)


def read_npz(
    path: Path, group: str | int | None, labelled: bool = True, per_row: Mapping[str, str] = MappingProxyType({})
) -> NpzContent:
    """Rows X (or their CSR parts), labels y, the array `group`, where one is named, and feature_names, if there.

    Where rows are not `labelled`, y is not looked at, and all labels are 0. Of `per_row`, such as {"offset": NAME}, an
    array with one number a row each.

    Raises
    ------
    ValueError
        If something is not sound; the message names the file, the array and the entry.
    """
    needed = {f"split = column:{group}": str(group)} if group is not None else {}
    needed |= {f"{key} = {name}": name for key, name in per_row.items()}
    parts = _arrays(path, needed, labelled)
    rows = _real(path, "X", parts["X"], 2) if "X" in parts else _csr(path, parts)
    labels = parts["y"] if labelled else np.zeros(rows.shape[0])
    if labels.ndim == 2 and 1 in labels.shape:
        raise ValueError(f"{path}: y must be 1-D, one label a row; its shape is {labels.shape}, and y.ravel() is 1-D")
    labels = _strings(path, "y", labels) if labels.dtype.kind == "U" else _real(path, "y", labels, 1)
    if labels.size == 0 or rows.shape[0] != labels.size or rows.shape[1] == 0:
        raise ValueError(f"{path}: {rows.shape[0]} rows with {rows.shape[1]} columns, and {labels.size} labels")
    ids = None if group is None else _ids(path, str(group), parts[str(group)], labels.size)
    names = None
    if "feature_names" in parts:
        names = tuple(_strings(path, "feature_names", parts["feature_names"]).tolist())
        if len(names) != rows.shape[1] or len(set(names)) != len(names):
            raise ValueError(
                f"{path}: feature_names must be {rows.shape[1]} different strings, one a column; it has {len(names)}, "
                f"of which {len(set(names))} are different"
            )
    numbers = {key: _real(path, name, parts[name], 1) for key, name in per_row.items()}
    for key, name in per_row.items():
        if numbers[key].size != labels.size:
            raise ValueError(
                f"{path}: {key} = {name} needs one number a row in {name!r}, and it has {numbers[key].size} for "
                f"{labels.size} rows"
            )
    return NpzContent(rows, labels, ids, names, numbers)


def _arrays(path: Path, needed: Mapping[str, str], labelled: bool) -> dict[str, Array]:
    """The arrays that are asked for, by name; any others are not looked at."""
    with path.open("rb") as stream:
        try:
            if stream.read(4) != b"PK\x03\x04":  # zipfile passes over what comes before an archive; numpy does not
                raise ValueError("it does not begin as one")
            archive = zipfile.ZipFile(stream)
        except Exception as error:  # a damaged zip makes it raise nearly anything
            raise ValueError(
                f"{path}: not an npz file, or not all of it ({excerpt(error)}); numpy.savez writes one"
            ) from None
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name in entries:
                raise ValueError(f"{path}: two arrays in it are named {quoted(name)}")
            entries[name] = entry
        _check_names(path, list(entries), needed, labelled)
        standard = ("X", *_CSR, "format", *["y"] * labelled, "feature_names")
        wanted = [name for name in dict.fromkeys((*standard, *needed.values())) if name in entries]
        check_proportion(path, "npz", path.stat().st_size, sum(entries[name].file_size for name in wanted))
        return {name: _array(path, archive, name, entries[name]) for name in wanted}


def _check_names(path: Path, names: list[str], needed: Mapping[str, str], labelled: bool) -> None:
    shown = ", ".join(name if name.isprintable() else quoted(name) for name in sorted(names)[:20]) or "no arrays"
    content = f"the file holds {excerpt(shown)}{', …' if len(names) > 20 else ''}"
    dense, sparse = "X" in names, set(_CSR) <= set(names)
    if (labelled and "y" not in names) or not (dense or sparse):
        must = "labels y, and rows X" if labelled else "rows X"
        raise ValueError(f"{path}: needs {must} or their CSR parts {', '.join(_CSR)}; {content}")
    if dense and sparse:
        raise ValueError(f"{path}: must have rows X or their CSR parts, not both; {content}")
    for key, name in needed.items():
        if name not in names:
            raise ValueError(f"{path}: {excerpt(key)} needs an array {quoted(name)} with one entry a row; {content}")


def _array(path: Path, archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> Array:
    """One array, once its header is known to state what is there."""
    where = f"{path}: the array {quoted(name)}"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{where} is packed in a way that numpy.savez does not use")
    try:
        with archive.open(entry) as stream:
            return read_npy(stream, entry.file_size)
    except TypeError as error:
        raise ValueError(f"{where} cannot be read: {error}") from None
    except Exception as error:  # so does a damaged member
        raise ValueError(f"{where} is damaged ({excerpt(error) or type(error).__name__})") from None


def _real(path: Path, name: str, array: Array, axes: int) -> Array:
    """`array` in float64, if it has as many axes and holds finite real numbers."""
    if array.dtype.kind not in "fiub" or array.ndim != axes:
        raise ValueError(f"{path}: {name} must be {axes}-D and of real numbers; it is {array.ndim}-D of {array.dtype}")
    if array.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) > _EXACT:
        raise ValueError(f"{path}: {name} holds a whole number beyond 2**53, which a float64 would round")
    with np.errstate(over="ignore", invalid="ignore"):  # from a wider type, and odd NaNs from a narrower one
        array = array.astype(np.float64, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1) if axes == 2 else finite))
        raise ValueError(f"{path}: {name}[{row}] holds NaN or infinity")
    return array


def _csr(path: Path, parts: dict[str, Array]) -> Array:
    """Rows that are stored as scipy.sparse.save_npz stores them."""
    layout = parts["format"].tolist() if "format" in parts else "csr"
    if layout not in ("csr", b"csr"):
        raise ValueError(f"{path}: the sparse rows are stored as {layout!r}, must be csr")
    data = _real(path, "data", parts["data"], 1)
    indices, pointers, shape = (parts[name] for name in _CSR[1:])
    for name in _CSR[1:]:
        if parts[name].dtype.kind not in "iu" or parts[name].ndim != 1:
            raise ValueError(f"{path}: {name} must be 1-D and of whole numbers")
    if shape.size != 2 or not (shape >= 0).all() or shape[1] > _MOST_COLUMNS:
        raise ValueError(f"{path}: shape must be rows and columns, at most {_MOST_COLUMNS}; it is {shape[:9].tolist()}")
    # SciPy's own check subtracts, and a difference of huge numbers may come out small.
    if pointers.size != int(shape[0]) + 1 or pointers.min() < 0 or pointers.max() > indices.size:
        raise ValueError(
            f"{path}: the CSR parts do not fit together (indptr must be {int(shape[0]) + 1} numbers from 0 to "
            f"{indices.size}, which is how many indices there are)"
        )
    if indices.size and not 0 <= indices.min() <= indices.max() < shape[1]:
        entry = int(np.argmax((indices < 0) | (indices >= shape[1])))
        raise ValueError(
            f"{path}: the CSR parts do not fit together (indices[{entry}] is {indices[entry]}, which is no column of "
            f"{shape[1]})"
        )
    try:
        rows = scipy.sparse.csr_array((data, indices, pointers), shape=tuple(shape.tolist()))
        rows.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: the CSR parts do not fit together ({error})") from None
    return rows


def _strings(path: Path, name: str, array: Array) -> Array:
    """`array`, if it is 1-D and of sound strings."""
    if array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"{path}: {name} must be 1-D and of strings; it is {array.ndim}-D of {array.dtype}")
    try:
        "".join(array.tolist()).encode()
    except (ValueError, SystemError) as error:  # a code point that there is not
        raise ValueError(f"{path}: {name} holds a string that is damaged ({error})") from None
    return array


def _ids(path: Path, name: str, array: Array, n_rows: int) -> Array:
    """Every row's client id."""
    if array.shape != (n_rows,):
        raise ValueError(
            f"{path}: split = column:{name} needs one entry a row in {name!r}; its shape is {array.shape}, and there "
            f"are {n_rows} rows"
        )
    if array.dtype.kind == "U":
        return _strings(path, name, array)
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.abs(array) < 2**53)
        whole &= np.where(whole, array, 0.5) % 1 == 0
        if whole.all():
            return array.astype(np.int64)
        row = int(np.argmin(whole))
        raise ValueError(f"{path}: {name}[{row}] is {array[row]}; client ids are names: whole numbers or strings")
    if array.dtype.kind not in "biu":
        raise ValueError(f"{path}: {name} is of {array.dtype}; client ids are names: whole numbers or strings")
    return array
