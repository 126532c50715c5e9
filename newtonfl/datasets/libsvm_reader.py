"""LIBSVM text → rows and labels, every value a finite number. Read in pieces of whole lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.datasets.file_bytes import read_bytes
from newtonfl.datasets.libsvm_lines import lines_of, parsed, walked

_PIECE = 1 << 14  # bytes of text at a time, few enough for their arrays to stay in the cache

# An index beyond both is a slip. The widest sets of the LIBSVM site (kdd2010, webspam) have 2 to 3 · 10⁷ columns and
# more than ten entries for each, and below 10⁷ columns a vector takes no more than 80 MB.
_MANY_COLUMNS = 10**7
_COLUMNS_AN_ENTRY = 10


def read_libsvm(path: Path, features: int | None, zero_based: bool = False) -> tuple[Array, Array]:
    """Rows and labels of LIBSVM text, plain or packed.

    Parameters
    ----------
    path : Path
    features : int or None
        The number of columns; None: as many as the largest index asks for.
    zero_based : bool
        Whether the file's indices count from 0 and not from 1.

    Returns
    -------
    rows : csr_array (N, d)
    labels : ndarray, shape (N,)

    Raises
    ------
    ValueError
        If something is not sound; the message names the file, the line and the word.
    """
    content = _tidied(path, read_bytes(path))
    parts, lines = [], 0
    for piece in _pieces(content):
        parts.append(parsed(piece, zero_based) or walked(path, piece, lines, zero_based))
        lines += piece.count(b"\n")
    labels, counts, places, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if labels.size == 0:
        raise ValueError(f"{path}: no rows; the file is empty")
    ends = np.concatenate([[0], np.cumsum(counts)])
    places -= not zero_based
    if places.size:
        _check_width(path, content, places, ends, features, zero_based)
    columns = int(places.max(initial=0)) + 1 if features is None else features
    ends = ends.astype(np.int32) if len(places) < 2**31 else ends  # else the indices too would become longer
    return scipy.sparse.csr_array((values, places, ends), shape=(labels.size, columns)), labels


def _tidied(path: Path, content: bytes) -> bytes:
    """The same lines, each ended by a newline, with no blank after a colon."""
    if b"\r" in content:
        content = re.sub(rb"\r+\n", b"\n", content)
        if b"\n" not in content:
            content = content.replace(b"\r", b"\n")
        elif (at := content.find(b"\r")) >= 0:  # what follows could be a row, or the rest of a comment
            number = content.count(b"\n", 0, at) + 1
            raise ValueError(
                f"{path}, line {number}: a carriage return inside the line, where other lines end with \\n"
            )
    if b": " in content or (b"\t" in content and b":\t" in content):
        content = re.sub(rb":[ \t]+", b":", content)
    return content


def _pieces(content: bytes) -> Iterator[bytes]:
    """Whole lines, about as many bytes at a time as :data:`_PIECE`, or one line that has more."""
    first, end = 0, -1
    while end:
        end = content.rfind(b"\n", first, first + _PIECE) + 1 or content.find(b"\n", first + _PIECE) + 1
        yield content[first : end or len(content)]
        first = end


def _check_width(
    path: Path, content: bytes, places: Array, ends: Array, features: int | None, zero_based: bool
) -> None:
    """Refuse an index beyond `features`, or, where that is not known, out of all proportion."""
    entry = int(places.argmax())
    columns = int(places[entry]) + 1
    index = f"{columns - zero_based}{' (counted from 0)' * zero_based}"
    if features is None and columns > max(_MANY_COLUMNS, _COLUMNS_AN_ENTRY * len(places)):
        row = int(np.searchsorted(ends, entry, side="right")) - 1
        number = next(number for i, (number, _) in enumerate(lines_of(content)) if i == row)
        raise ValueError(
            f"{path}, line {number}: index {index} would make {columns} columns for {len(places)} entries; "
            f"features = {columns} under [data] states that so many are meant"
        )
    if features is not None and columns > features:
        raise ValueError(f"{path}: features = {features}, but the largest index is {index}")
