"""Puts the keys of a problem file into docs/problem-files.md, from the model that checks them.

    python docs/write_keys.py

Everything between ``<!-- keys -->`` and ``<!-- end -->`` is written anew.
"""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path

from newtonfl.datasets.problem_file import SECTIONS

PAGE = Path(__file__).resolve().parent / "problem-files.md"
KEYS = re.compile(r"<!-- keys -->\n.*?<!-- end -->", re.DOTALL)
WORDS = {str: "words", int: "whole number", float: "number", bool: "true, false", tuple: "list", dict: "table"}


def kind(annotation: typing.Any) -> str:
    """What a key's value is, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f'`"{word}"`' for word in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(kind(one) for one in arguments if one is not type(None))
    return WORDS[origin or annotation]


def default(value: object) -> str:
    """What holds where a key is left out, as TOML has it; empty where nothing does."""
    if value is None or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else repr(value)}`".replace("'", '"')


def tables() -> str:
    """A table a section, a line a key."""
    lines = []
    for name, section in SECTIONS.items():
        lines += [f"### [{name}]", "", "| key | is | without it | means |", "|---|---|---|---|"]
        for key, field in section.model_fields.items():
            assert field.description, f"[{name}] {key} has no description"
            without = "must be there" if field.is_required() else default(field.default)
            lines.append(f"| `{key}` | {kind(field.annotation)} | {without} | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with the keys as they are now."""
    return KEYS.sub(lambda _: f"<!-- keys -->\n{tables()}<!-- end -->", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
