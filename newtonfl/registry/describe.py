"""What a name stands for, in plain text: docstring, settings, what each allows and is when nothing is said."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import MISSING, is_dataclass
from typing import Any

from newtonfl.registry.declared import bare_part, default, hints, kind_of, main_field, parameters
from newtonfl.registry.lookup import HOMES, entries
from newtonfl.registry.methods import defaults, method
from newtonfl.registry.nearest import nearest
from newtonfl.registry.wording import expected, explained, plain, short_form
from newtonfl.registry.write import write_value

WIDTH = 100


def table(kind: str) -> list[tuple[str, str]]:
    """The names of a kind, each with the first line of its docstring.

    Parameters
    ----------
    kind : str
        Such as "method".

    Returns
    -------
    list of (str, str)
        Name and line.
    """
    return [(name, _lines(entry.made_by)[0]) for name, entry in entries(kind).items()]


def listed(kind: str) -> str:
    """The names of a kind, one a line, each with what its docstring's first line says of it, cut to the line's width.

    Parameters
    ----------
    kind : str
        Such as "method".

    Returns
    -------
    str
        Of several lines; a mechanism's have the compressors too, which stand for one of them.
    """
    rows = [f"{name:20}{textwrap.shorten(line, WIDTH - 20, placeholder=' …')}" for name, line in table(kind)]
    if (bare := bare_part(kind)) is None:
        return "\n".join(rows)
    main = str(kind_of(hints(bare)[str(main_field(bare))]))
    return "\n".join([*rows, "", f"A {main} alone is {bare.name} with it:", listed(main)])


def described(name: str) -> str:
    """What a method or part is, and its settings; of a kind, what there is of it.

    Parameters
    ----------
    name : str
        A method's, a part's or a kind's; a name that two kinds have, such as "clag", is described as both.

    Returns
    -------
    str
        Of several lines.

    Raises
    ------
    ValueError
        If nothing has that name; the message says which is nearest.
    """
    kinds = [kind for kind in ("method", *HOMES) if name in entries(kind)]
    if not kinds and name in HOMES:
        return listed(name)
    if not kinds:
        parts = {known: entry for kind in HOMES if kind != "method" for known, entry in entries(kind).items()}
        raise nearest("method or part", name, {**entries("method"), **parts}, "")
    return "\n\n".join(_described(kind, name) for kind in dict.fromkeys(kinds))


def _described(kind: str, name: str) -> str:
    entry = entries(kind)[name]
    parts = [
        f"{name} ({kind})" + ("" if not entry.values else _brought(entry.values)),
        "\n".join(_lines(entry.made_by)),
    ]
    if kind == "method":
        components = [f"  {component:14}{made_of}" for component, made_of in method(name).components().items()]
        parts.append("\n".join(["Components:", *components]))
    else:
        parts.append(f"Written as: {_form(entry.made_by)}")
    lines = _settings(entry.made_by, defaults(name) if kind == "method" else None)
    heading = "Settings (--set KEY=VALUE):" if kind == "method" else "Settings:"
    return "\n\n".join([*parts, "\n".join([heading, *lines]) if lines else "No settings."])


def _brought(values: Any) -> str:
    return ": " + ", ".join(f"{key} = {write_value(value)}" for key, value in values.items())


def _form(part: Any) -> str:
    """How a part's text is made up."""
    main, short = main_field(part), short_form(part)
    if part.joined_by_plus:
        short = "+".join(list(parameters(part))[:2]).upper()
    everything = f"{part.name}({', '.join(f'{key}=…' for key in parameters(part))})"
    forms = [f"{short}/{main.upper()}" if main else short, everything if parameters(part) else ""]
    return ", or ".join(form for form in forms if form)


def _settings(made_by: Any, made: dict[str, Any] | None) -> list[str]:
    """Two lines or more a setting: its name and default, what it means, what is allowed."""
    said, types = explained(made_by), hints(made_by)
    if isinstance(made_by, type):
        rows = {key: default(field) for key, field in parameters(made_by).items()}
    else:
        rows = made or {}
    lines: list[str] = []
    for key, usual in rows.items():
        value = "" if usual is MISSING else f" = {usual if made else write_value(usual)}"
        lines.append(f"  {key}{value}")
        allowed = expected(types[key]) if key in types else ""
        words = [said.get(key, ""), f"Allowed: {allowed}." if allowed else ""]
        for sentence in filter(None, words):
            lines += textwrap.wrap(sentence, WIDTH, initial_indent="      ", subsequent_indent="      ")
    return lines


def _lines(thing: Any) -> list[str]:
    """A docstring as a reader of plain text wants it: without the sections for Python, and without marks."""
    name = getattr(thing, "__name__", "")
    doc = inspect.cleandoc(thing.__doc__ or "")
    doc = name if not doc or (is_dataclass(thing) and doc.startswith(f"{name}(")) else doc  # which dataclass wrote
    words = re.split(r"\n\n(?:Parameters|Attributes|Returns|Raises|Examples)\n-*", doc)[0]
    return [plain(line) for line in words.splitlines()]
