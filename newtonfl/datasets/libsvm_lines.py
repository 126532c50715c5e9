"""Lines of LIBSVM text → numbers: all at once, or word by word to read what is unusual or name what is wrong.

Readers differ in what they take:

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

_LARGEST_INDEX = 2**31 - 1
_DIGITS = 4300  # of an index: as many as Python makes a whole number of

_INDEX = re.compile(rb"\+?[0-9]{1,%d}|-0+" % _DIGITS)
_COMMENT = re.compile(rb"#[^\n]*")
_QUERY = re.compile(rb"^([ \t]*[^ \t\n]+[ \t]+)qid:[0-9]+(?=[ \t\n]|\Z)", re.MULTILINE)
_NO_NUMBER = re.compile(rb"[_\x0b\x0c]")  # what Python passes over in a number, and no file format
_USUAL = b"0123456789+-.eE: \t\n"
_APART = bytes.maketrans(b":", b" ")

Parsed = tuple[Array, Array, Array, Array]
"""Of each row its label and how many entries it has; of each entry its index as in the file and its value."""


def parsed(piece: bytes, zero_based: bool) -> Parsed | None:
    """What a piece holds; None if it has to be walked, since it is faulty or written in an uncommon way."""
    if b"#" in piece:
        piece = _COMMENT.sub(b"", piece)
    if b"q" in piece:
        piece = _QUERY.sub(rb"\1", piece)
    if piece.translate(None, _USUAL):
        return None
    framed = b"\n" + piece + b"\n"
    signs = np.frombuffer(framed, np.uint8)
    blank = signs <= ord(" ")
    words = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
    is_label = np.diff(np.cumsum(signs == ord("\n"))[words], prepend=0) > 0  # the first word of its line
    # The other words, and they alone, have one colon, after digits and before something.
    pairs = words[~is_label]
    no_digit = np.flatnonzero(signs - np.uint8(ord("0")) > 9)  # bytes below "0" wrap round
    at = np.flatnonzero(signs[no_digit] == ord(":"))
    colons = no_digit[at]
    if len(colons) != len(pairs) or (no_digit[at - 1] + 1 != pairs).any() or blank[colons + 1].any():
        return None
    digits = colons - pairs
    if digits.min(initial=1) < 1 or digits.max(initial=1) > _DIGITS:
        return None
    try:
        numbers = np.fromiter(map(float, framed.translate(_APART).split()), np.float64)
    except ValueError:
        return None
    labelled = np.repeat(is_label, np.where(is_label, 1, 2))
    labels, entries = numbers[labelled], numbers[~labelled]
    places, values = entries[0::2], entries[1::2]
    counts = np.diff(np.flatnonzero(is_label), append=len(is_label)) - 1
    below = -1 if zero_based else 0
    rise = np.diff(places, prepend=below)
    row_firsts = (np.cumsum(counts) - counts)[counts > 0]
    rise[row_firsts] = places[row_firsts] - below
    finite = np.isfinite(labels).all() and np.isfinite(values).all()
    if not finite or rise.min(initial=1) < 1 or places.max(initial=0) > _LARGEST_INDEX:
        return None
    return labels, counts.astype(np.int32), places.astype(np.int32), values


def walked(path: Path, piece: bytes, lines: int, zero_based: bool) -> Parsed:
    """What a piece after so many lines holds, word by word.

    Raises
    ------
    ValueError
        If something is not sound; the message names the file, the line and the word.
    """
    labels, counts, places, values = [], [], [], []
    for number, words in lines_of(piece):
        if fault := _fault(words, zero_based):
            raise ValueError(f"{path}, line {lines + number}: {fault}")
        label, *pairs = words
        entries = [pair.partition(b":") for pair in pairs if not pair.startswith(b"qid")]
        labels.append(float(label))
        counts.append(len(entries))
        places += [int(index) for index, _, _ in entries]
        values += [float(value) for _, _, value in entries]
    return np.array(labels), np.array(counts, np.int32), np.array(places, np.int32), np.array(values)


def lines_of(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The numbers and the words of the lines that have any."""
    for number, line in enumerate(io.BytesIO(content), 1):
        words = line.partition(b"#")[0].replace(b"\t", b" ").rstrip(b"\n").split(b" ")
        if words := [word for word in words if word]:
            yield number, words


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
        if not _is_number(value) or value[:1].isspace():
            return f"the value {_shown(value)} of index {place} is not a finite number"
        last = place
    return None


def _is_number(word: bytes) -> bool:
    """Whether `word` is a finite number in ASCII."""
    try:
        return math.isfinite(float(word)) and not _NO_NUMBER.search(word)
    except ValueError:
        return False


def _shown(word: bytes) -> str:
    """A word for a message, at most 40 characters of it."""
    shown = word.decode("utf-8", "replace")
    return repr(shown if len(shown) <= 40 else shown[:40] + "…")
