"""What mkdocstrings reads of newtonfl: docstrings as Markdown has them, and methods' with all their settings."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Function, Object

import newtonfl

ENTRIES = {"Parameters", "Other Parameters", "Attributes", "Returns", "Yields", "Raises"}
CODE = re.compile(r"(``.+?``|`[^`\n]+`)")
ROLE = re.compile(r":(?:func|class|mod|meth):`~?([\w.]+)`")


def markdown(doc: str) -> str:
    """A numpydoc docstring whose formulas stay what they are: Markdown reads * and _ of x* and H_i as marks.

    Examples and the names of parameters are left alone, for they are no prose.
    """
    lines, section, example = doc.split("\n"), "", False
    for at, line in enumerate(lines):
        if at + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[at + 1]):
            section = line
            continue
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        name = section in ENTRIES and line[:1].strip()
        if not (example or name or re.fullmatch("-{3,}", line)):
            lines[at] = "".join(
                part if part.startswith("`") else re.sub(r"([*_\[\]<\\])", r"\\\1", part)
                for part in CODE.split(ROLE.sub(r"`\1`", line))
            )
    return "\n".join(lines)


class Docstrings(Extension):
    """Changes docstrings after they are read and before they are parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """griffe calls this for every module, class, function and attribute."""
        if obj.docstring is None:
            return
        if isinstance(obj, Function) and obj.path.startswith("newtonfl.methods.") and obj.name in newtonfl.__all__:
            obj.docstring.value = getattr(newtonfl, obj.name).__doc__  # @method adds what methods share
        obj.docstring.value = markdown(obj.docstring.value)
