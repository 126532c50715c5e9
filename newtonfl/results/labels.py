"""What tells the runs of a comparison apart: labels that say only what differs, and the number that varies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from newtonfl.registry.text import split

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.-])\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![A-Za-z0-9_.])")


def shortened(labels: Sequence[str]) -> tuple[str, list[str]]:
    """What `labels` such as ``newton-3pc,compressor=topk:30`` have in common, and of each the rest.

    Parameters
    ----------
    labels : sequence of str
        Different ones.

    Returns
    -------
    common : str
        The pieces, between commas, that all have; "" where one label is alone.
    rest : list of str
        Each label without them, still different; a whole label where nothing would be left.

    Examples
    --------
    >>> shortened(["newton-3pc,compressor=topk:30", "newton-3pc,compressor=topk:60"])
    ('newton-3pc', ['compressor=topk:30', 'compressor=topk:60'])
    """
    pieces = [_settings(label) for label in labels]
    shared = [piece for piece in pieces[0] if all(piece in other for other in pieces)] if len(labels) > 1 else []
    rest = [",".join(piece for piece in own if piece not in shared) or label
            for own, label in zip(pieces, labels, strict=True)]  # fmt: skip
    if len(set(rest)) < len(rest):
        return "", list(labels)
    return ",".join(shared), rest


def numbers(labels: Iterable[str]) -> dict[str, tuple[str, float]]:
    """Where labels differ in one number: by label, the label with … in its place, and the number.

    A label that differs in no number, in several, or from no other is left out.

    Examples
    --------
    >>> numbers(["bl1,batch=30", "bl1,batch=60", "gd"])
    {'bl1,batch=30': ('bl1,batch=…', 30.0), 'bl1,batch=60': ('bl1,batch=…', 60.0)}
    """
    shapes: dict[str, list[tuple[str, list[str]]]] = {}
    for label in labels:
        shapes.setdefault(_NUMBER.sub("…", label), []).append((label, _NUMBER.findall(label)))
    found = {}
    for same in shapes.values():
        columns = list(zip(*(row for _, row in same), strict=True))
        varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
        if len(varying) == 1:
            for label, row in same:
                found[label] = _without(label, varying[0]), float(row[varying[0]])
    return found


def _without(label: str, at: int) -> str:
    number = list(_NUMBER.finditer(label))[at]
    return f"{label[: number.start()]}…{label[number.end() :]}"


def _settings(label: str) -> list[str]:
    """The pieces of a label; one without an equals sign, but for the first, belongs to that before it."""
    pieces: list[str] = []
    try:
        parts = split(label, ",")
    except ValueError:  # a user's own words, with a bracket of their own
        return [label]
    for piece in parts:
        if pieces and "=" not in piece:
            pieces[-1] += f",{piece}"
        else:
            pieces.append(piece)
    return pieces
