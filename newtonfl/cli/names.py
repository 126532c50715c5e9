"""newtonfl methods: what there is, and what one of it means, in plain text."""

from __future__ import annotations

import textwrap

from newtonfl.registry.describe import WIDTH, described, listed
from newtonfl.registry.lookup import HOMES


def print_names(name: str | None) -> None:
    """Print the methods, or what the method or part of that name is, with its settings.

    Parameters
    ----------
    name : str or None
        Of a method, a part or a kind of part.

    Raises
    ------
    ValueError
        If nothing has the name; the message says which is nearest.
    """
    if name is not None:
        print(described(name))
        return
    print(listed("method"))
    print(
        "\n`newtonfl methods NAME` shows one with its settings; NAME may also be a part's, such as topk, or a kind's,"
    )
    kinds = ", ".join(kind for kind in HOMES if kind != "method")
    print(textwrap.fill(f"for the names of that kind: {kinds}.", WIDTH))
