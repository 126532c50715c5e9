"""Puts the tests' transcriptions into docs/algorithms: the page's box and what the tests compare with are one text.

    python docs/write_boxes.py

A page has ``<!-- box MODULE.FUNCTION -->`` where the function of tests/support/MODULE.py stands, and ``<!-- box
MODULE.FUNCTION round -->`` where the body of its round does. Everything up to ``<!-- end -->`` is written anew.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "algorithms").glob("*.md"))
BOX = re.compile(r"<!-- box (\w+)\.(\w+)( round)? -->\n.*?<!-- end -->", re.DOTALL)


def function(module: str, name: str) -> tuple[str, ast.FunctionDef]:
    """The text of tests/support/MODULE.py, and one of its functions.

    Raises
    ------
    ValueError
        Where the module has no such function.
    """
    text = (ROOT / "tests" / "support" / f"{module}.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return text, node
    raise ValueError(f"box: given {module}.{name}, which tests/support has not")


def source(module: str, name: str, of_round: bool = False) -> str:
    """A transcription's source, or that of its loop over the rounds."""
    text, node = function(module, name)
    if of_round:
        (shown,) = [each for each in node.body if isinstance(each, ast.For) and "rounds" in ast.unparse(each.iter)]
    else:
        shown = node
    return dedent("".join(text.splitlines(keepends=True)[shown.lineno - 1 : shown.end_lineno])).rstrip()


def written(page: str) -> str:
    """A page with its boxes as the tests' transcriptions have them now."""

    def filled(found: re.Match[str]) -> str:
        module, name, of_round = found.groups()
        code = source(module, name, of_round is not None)
        return f"<!-- box {module}.{name}{of_round or ''} -->\n```python\n{code}\n```\n<!-- end -->"

    return BOX.sub(filled, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
