"""LIBSVM text → rows and labels, every value a finite number.

Good files go through a library's parser; only when something is wrong are the lines walked, to name the one.
"""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.datasets.values import is_number

_LARGEST_INDEX = 2**31 - 1  # what scikit-learn's parser can hold


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
    if not is_number(words[0]):
        return f"the label {words[0]!r} is not a finite number"
    last = 0
    for word in words[1:]:
        index, colon, value = word.partition(":")
        if index == "qid" and last == 0:  # a ranking set's query, which is no feature of the row
            continue
        if not colon or not value:
            return f"{word!r} is not INDEX:VALUE; is the line cut short?"
        if not (index.isascii() and index.isdigit()) or not 1 <= int(index[:11]) <= _LARGEST_INDEX:
            return f"the index {index!r} is not a whole number from 1 to {_LARGEST_INDEX}"
        if int(index) <= last:
            return f"index {index} comes after {last}; indices must ascend"
        if not is_number(value):
            return f"the value {value!r} of index {index} is not a finite number"
        last = int(index)
    return None
