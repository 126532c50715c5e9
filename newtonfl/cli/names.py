"""newtonfl methods: what there is, and what one of it means, in plain text."""

from __future__ import annotations

from newtonfl.registry.describe import described, table


def print_names(name: str | None) -> None:
    """Print the methods, or what the method or part of that name is, with its settings.

    Parameters
    ----------
    name : str or None
        Of a method or a part.

    Raises
    ------
    ValueError
        If nothing has the name; the message says which is nearest.
    """
    if name is not None:
        print(described(name))
        return
    for known, first_line in table("method"):
        print(f"{known:20}{first_line}")
    print("\n`newtonfl methods NAME` shows one with its settings; NAME may also be a part's, such as topk.")
