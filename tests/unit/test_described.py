"""`newtonfl methods NAME`: plain text, for every method and part."""

from __future__ import annotations

import re

import pytest

from newtonfl import registry
from newtonfl.registry.describe import described
from newtonfl.registry.lookup import HOMES

NAMES = [(kind, name) for kind in HOMES for name in registry.known(kind)]
RAW = re.compile(r":[a-z]+:`|``|(?<!nf\.)\b(TopK|EF21|AnchoredGradient|LearnedHessian)\([a-z_]+=|<class |object at 0x")
"""Marks of the docs' markup, and dataclasses as Python prints them."""


def test_the_pattern_finds_what_is_raw():
    for line in ("see :data:`x`", "``theory``", "gradient  AnchoredGradient(mechanism=None)", "TopK(k='1d')"):
        assert RAW.search(line)
    assert not RAW.search("say TopK(30), RankR(1) or nf.CLAG(TopK(30), zeta=2)")


@pytest.mark.parametrize("kind, name", NAMES)
def test_a_page_is_plain_text(kind, name):
    page = described(name)
    assert f"{name} ({kind})" in page
    raw = [line for line in page.splitlines() if RAW.search(line)]
    assert not raw, raw


@pytest.mark.parametrize("name", registry.known("method"))
def test_a_methods_page_explains_every_setting(name):
    """Its meaning, its default and what is allowed; a mechanism of that name stands behind."""
    page = described(name)
    for key in registry.defaults(name):
        block, *_ = re.findall(rf"^  {key}(?: = .*)?\n((?:      .*\n?)+)", page, re.MULTILINE)
        assert "Allowed: " in block and len(block.split("Allowed: ")[0].split()) >= 2, (key, block)
