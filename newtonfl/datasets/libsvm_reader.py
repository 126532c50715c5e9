"""LIBSVM text → rows and labels, every value a finite number.

Good files go through a library's parser; only when something is wrong are the lines walked, to name the one. The
parser takes some things that svm-train refuses, and svm-train reads some that the parser does not know:

=========================  ==================  ==================  =================================
in the file                svm-train           scikit-learn        here
=========================  ==================  ==================  =================================
``3: .5``                  0.5                 refused             0.5
``1_0``                    refused             10                  refused
``1e999``, ``nan``         refused, NaN        infinity, NaN       refused
``1 1:2 3``                3 is passed over    refused             refused
``qid:x``, ``qidx3:1``     refused             passed over         refused; ``qid:3`` is passed over
a form feed                no blank            a blank             no blank, and so refused
``\\r`` as the line's end   one line            one line            a line's end, if it is so in the whole file
=========================  ==================  ==================  =================================
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.datasets.file_bytes import read_bytes

_LARGEST_INDEX = 2**31 - 1  # what scikit-learn's parser can hold

# An index beyond both is a slip. The widest sets of the LIBSVM site (kdd2010, webspam) have 2 to 3 · 10⁷ columns and
# more than ten entries for each, and below 10⁷ columns a vector takes no more than 80 MB.
_MANY_COLUMNS = 10**7
_COLUMNS_AN_ENTRY = 10

_INDEX = re.compile(rb"\+?[0-9]{1,99}|-0+")
_ODD_QUERY = re.compile(rb"qid(?!:[0-9]+(?:[\s#]|\Z))")


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
    from sklearn.datasets import load_svmlight_file

    content = _tidied(path, read_bytes(path))
    try:
        rows, labels = load_svmlight_file(io.BytesIO(content), zero_based=zero_based)
    except (ValueError, OverflowError) as error:
        raise ValueError(_bad_line(path, content, zero_based) or f"{path}: not LIBSVM text ({error})") from None
    # Each search for one byte is a thousandth of the parser's time.
    suspect = b"_" in content or b"\v" in content or b"\f" in content
    suspect |= b"q" in content and _ODD_QUERY.search(content) is not None
    if suspect or not (np.isfinite(rows.data).all() and np.isfinite(labels).all()):
        bad = _bad_line(path, content, zero_based)
        if bad:
            raise ValueError(bad)
    if labels.size == 0:
        raise ValueError(f"{path}: no rows; the file is empty")
    if rows.nnz:
        _check_width(path, content, rows, features, zero_based)
    if features is not None:
        rows.resize((labels.size, features))
    return rows, labels


def _tidied(path: Path, content: bytes) -> bytes:
    """The same lines as the parser knows them: ended by a newline, no blank after a colon."""
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


def _check_width(path: Path, content: bytes, rows: Array, features: int | None, zero_based: bool) -> None:
    """Refuse an index beyond `features`, or, where that is not known, out of all proportion."""
    entry = int(rows.indices.argmax())
    columns = int(rows.indices[entry]) + 1
    index = f"{columns - zero_based}{' (counted from 0)' * zero_based}"
    if features is None and columns > max(_MANY_COLUMNS, _COLUMNS_AN_ENTRY * rows.nnz):
        row = int(np.searchsorted(rows.indptr, entry, side="right")) - 1
        number = next(number for i, (number, _) in enumerate(_lines(content)) if i == row)
        raise ValueError(
            f"{path}, line {number}: index {index} would make {columns} columns for {rows.nnz} entries; "
            f"features = {columns} under [data] states that so many are meant"
        )
    if features is not None and columns > features:
        raise ValueError(f"{path}: features = {features}, but the largest index is {index}")


def _lines(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The numbers and the words of the lines that have any."""
    for number, line in enumerate(io.BytesIO(content), 1):
        words = line.partition(b"#")[0].replace(b"\t", b" ").rstrip(b"\n").split(b" ")
        if words := [word for word in words if word]:
            yield number, words


def _bad_line(path: Path, content: bytes, zero_based: bool) -> str | None:
    for number, words in _lines(content):
        if fault := _fault(words, zero_based):
            return f"{path}, line {number}: {fault}"
    return None


def _fault(words: list[bytes], zero_based: bool) -> str | None:
    """What is wrong with the words of one LIBSVM line, if anything."""
    label, *pairs = words
    if not _is_number(label):
        several = "; a row has one label (and a CSV file is read with csv:)" if b"," in label else ""
        return f"the label {_shown(label)} is not a finite number{several}"
    lowest = 0 if zero_based else 1
    last = lowest - 1
    for number, word in enumerate(pairs):
        index, colon, value = word.partition(b":")
        if index.startswith(b"qid") and number == 0:  # a ranking set's query, which is no feature of the row
            if index != b"qid" or not value.isdigit():
                return f"{_shown(word)} is no query, which would be qid:NUMBER"
            continue
        if not colon or not value:
            return f"{_shown(word)} is not INDEX:VALUE; is the line cut short?"
        if not _INDEX.fullmatch(index) or (place := int(index)) > _LARGEST_INDEX:
            return f"the index {_shown(index)} is not a whole number from {lowest} to {_LARGEST_INDEX}"
        if place < lowest:
            return (
                f"the index {_shown(index)} is below 1: zero_based = true under [data] is for files that count from 0"
            )
        if place <= last:
            return f"index {place} comes after {last}; indices must ascend"
        if not _is_number(value):
            return f"the value {_shown(value)} of index {place} is not a finite number"
        last = place
    return None


def _is_number(word: bytes) -> bool:
    """Whether `word` is a finite number in ASCII (Python, but no file format, takes 1_0 for ten)."""
    try:
        return math.isfinite(float(word)) and b"_" not in word
    except ValueError:
        return False


def _shown(word: bytes) -> str:
    """A word for a message, at most 40 characters of it."""
    shown = word.decode("utf-8", "replace")
    return repr(shown if len(shown) <= 40 else shown[:40] + "…")
