"""What messages show of what they were given: no more than a line of it, and no character that moves a terminal."""

from __future__ import annotations

_MOST = 60


def quoted(value: object) -> str:
    """`value` for a message, as Python writes it, and at most 60 characters of that.

    Parameters
    ----------
    value : object
        Text stands in quotes, with what is not printable escaped.

    Returns
    -------
    str
        Ends with … where something is left out.
    """
    if isinstance(value, str) and len(value) > _MOST:
        return repr(value[:_MOST] + "…")
    try:
        words = repr(value)
    except ValueError:  # a whole number of more than 4300 digits, which Python does not write
        return "a number of thousands of digits"
    return words if len(words) <= _MOST + 2 else words[:_MOST] + "…"


def excerpt(words: object, most: int = 300) -> str:
    """What a file or another library says, for a message: at most so many characters, the unprintable ones escaped.

    Parameters
    ----------
    words : object
        Its text stands without quotes.
    most : int

    Returns
    -------
    str
        Ends with … where something is left out.
    """
    plain = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(words)[: most + 1])
    return plain if len(plain) <= most else plain[:most] + "…"
