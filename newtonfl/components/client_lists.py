"""Text files of clients' numbers, a list a line: who was there in a round, the two ends of an edge."""

from __future__ import annotations

from pathlib import Path

from newtonfl.core.quoting import quoted


def client_lists(path: str, meaning: str, must: str) -> list[tuple[str, tuple[int, ...]]]:
    """The lists of a file, and with each the words with which an error about it begins.

    Parameters
    ----------
    path : str
        UTF-8 text: numbers with spaces between them. What follows a ``#`` is a comment, and a line of one is no list.
    meaning : str
        What the file is, for a file that is no text.
    must : str
        What a line must be.

    Returns
    -------
    list of (str, tuple of int)

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no text, or a line holds anything but whole numbers; the message names file and line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: no text: {meaning}") from None
    lists = []
    for number, line in enumerate(lines, 1):
        words = [word for word in line.partition("#")[0].replace("\t", " ").split(" ") if word]
        if not words and "#" in line:
            continue
        where = f"{path}, line {number}: given {quoted(line)}"
        if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
            raise ValueError(f"{where}, must be {must}")
        lists.append((where, tuple(int(word) for word in words)))
    return lists
