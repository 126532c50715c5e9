"""What messages show of what they were given."""

from __future__ import annotations

import pytest

from newtonfl.core.quoting import excerpt, quoted


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ab", "'ab'"),
        ("a\x1b[31m", "'a\\x1b[31m'"),
        ("x" * 5000, "'" + "x" * 60 + "…'"),
        (3.5, "3.5"),
        ([1] * 900, "[" + "1, " * 19 + "1,…"),
        (10**5000, "a number of thousands of digits"),
    ],
    ids=["text", "escape", "long text", "number", "list", "long number"],
)
def test_quoted(value, words):
    assert quoted(value)[:62] == words[:62]
    assert len(quoted(value)) <= 64 and quoted(value).isprintable()


def test_excerpt():
    assert excerpt("two words\x1b") == "two words\\x1b"
    assert excerpt("a" * 400) == "a" * 300 + "…" and excerpt("abc", 2) == "ab…"
