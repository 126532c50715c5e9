"""Words that the library gave up for the field's: none of them names anything in newtonfl/.

A name is bound by a definition, an argument, an assignment, a loop, an import's alias, a stored attribute or a keyword
argument. Reading an attribute binds nothing: ``", ".join`` and ``xp.take`` are others' words.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import newtonfl

PACKAGE = Path(newtonfl.__file__).parent
FILES = {path.relative_to(PACKAGE.parent).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}

WORDS = """
    told Told told_to_all tells tell hear heard hears speaks loud greeting greetings spoken say Voice
    Tracking Last Sums Invariants Learner LearnedState Moving Views Replay Follower Anchor Invariant
    Operator Inverse Wanted Scene Facts Sockets Triple Sent seen
    rate rates gain gains boost stands_for_all join chances _throw rests calls_all hush Pace
    begin asked downhill steered follow looks moved applied given V1 V2 V3 V4 V5
    in_words Opened Plan Asked offer noted one_of silos _deal federate held afresh like_on
    start text settings each facts scene sockets
"""
NOWHERE = set(WORDS.split())
"""Words that nothing is called, whatever binds them."""

NO_MEMBER = {"take": "components/step/", "lag": "mechanisms/"}
"""Words given up in one folder: arrays are taken from elsewhere, and a method is called lag as in its paper."""


def bound(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Every name that a file binds: its line, the name, and whether it is a function's, a class's or a member's."""
    fields = {id(part) for each in ast.walk(tree) if isinstance(each, ast.ClassDef) for part in targets(each)}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name, True
            case ast.arg():
                yield node.lineno, node.arg, False
            case ast.keyword(arg=str(name)):
                yield node.value.lineno, name, False
            case ast.alias(asname=str(name)):
                yield node.lineno, name, False
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id, id(node) in fields
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr, True
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name, False


def targets(node: ast.ClassDef) -> list[ast.expr]:
    """What a class's body assigns to: its fields."""
    return [
        target
        for line in node.body
        if isinstance(line, ast.Assign | ast.AnnAssign)
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
    ]


def given_up(text: str, file: str = "newtonfl/components/step/base.py") -> list[tuple[int, str]]:
    """The lines of a source text that bind a word given up, and the word."""
    found = bound(ast.parse(text))
    folders = {word: f"newtonfl/{folder}" for word, folder in NO_MEMBER.items()}
    return sorted(
        {
            (line, name)
            for line, name, member in found
            if name in NOWHERE or (member and name in folders and file.startswith(folders[name]))
        }
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("told = 1", ["told"]),
        ("def tell(a): ...", ["tell"]),
        ("class Pace: ...", ["Pace"]),
        ("f = lambda rate: rate", ["rate"]),
        ("f(gain=2)", ["gain"]),
        ("self.heard = 3", ["heard"]),
        ("for told, x in y: ...", ["told"]),
        ("import re as seen", ["seen"]),
        ("class A:\n    text: str", ["text"]),
        ("def settings(self): ...", ["settings"]),
        ("settings = 3; each = 4; f(text=each)", ["each", "settings", "text"]),
        ("def lag(take): ...", []),
        ("def take(self): ...", ["take"]),
        ("def lag(): ...", []),
        ("', '.join(x); xp.take(x); spec.start", []),
        ("'told'  # greeting", []),
    ],
)
def test_what_binds_a_word(text, words):
    assert [word for _, word in given_up(text)] == words


def test_no_word_given_up_names_anything():
    found = [
        f"{file}:{line}: {word}"
        for file, path in FILES.items()
        for line, word in given_up(path.read_text(encoding="utf-8"), file)
    ]
    assert not found, "\n".join([f"{len(found)} names are words given up:", *found])
