"""npz → rows, labels and the array to split by, every value a finite number."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import scipy

from newtonfl.core.backend import Array


def read_npz(path: Path, group: str | int | None) -> tuple[Array, Array, Array | None]:
    """Rows X (or their CSR parts), labels y and the array `group`, where one is named."""
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
