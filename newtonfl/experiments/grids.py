"""Grids: one text that stands for several methods, alternatives in braces."""

from __future__ import annotations

import re
from itertools import product

_BRACES = re.compile(r"\{([^{}]*)\}")


def expand(spec: str) -> list[str]:
    """Every method that a text with alternatives in braces stands for.

    Parameters
    ----------
    spec : str
        Such as ``newton-3pc,compressor=topk:{30,60}``; without braces it stands for itself.

    Returns
    -------
    list of str
        All combinations, the last braces' alternatives fastest.

    Raises
    ------
    ValueError
        If a brace has no partner, stands within others, or an alternative is empty or comes twice.

    Examples
    --------
    >>> expand("{bl1,bl2},compressor=topk:{30,60}")
    ['bl1,compressor=topk:30', 'bl1,compressor=topk:60', 'bl2,compressor=topk:30', 'bl2,compressor=topk:60']
    """
    pieces = _BRACES.split(spec)  # what all have, alternatives, what all have, …
    fixed, found = pieces[::2], []
    if any("{" in piece or "}" in piece for piece in fixed):
        raise ValueError(f"method {spec!r}: a brace without its partner, or within others; write {{A,B}}")
    choices = []
    for alternatives in pieces[1::2]:
        words = [word.strip() for word in alternatives.split(",")]
        if not all(words) or len(set(words)) < len(words):
            raise ValueError(f"method {spec!r}: {{{alternatives}}} must hold different words, none of them empty")
        choices.append(words)
    for chosen in product(*choices):
        found.append(fixed[0] + "".join(word + piece for word, piece in zip(chosen, fixed[1:], strict=True)))
    return found
