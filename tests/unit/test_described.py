"""`newtonfl methods NAME`: plain text, for every method and part."""

from __future__ import annotations

import re

import numpy as np
import pytest

import newtonfl as nf
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


SAID = {
    "gradient": "∇f_i", "anew": "∇f_i", "curvature": "∇²f_i|B_i", "initial": "∇²f_i", "gram": "a_ijᵀ", "bound": "β_i",
    "error": "l_i", "value": "f_i", "trials": "f_i at", "subspace": "basis of its rows", "support": "which columns",
    "constant": "L_[*]?i|ρ_i", "product": "∇²f_i times|H_i g|∇f_i along", "damped": "H̃_i†g̃", "eigenpairs": "eigenpairs",
    "diagonal": "diagonals", "start": "minimiser", "direction": "direction|H_i†g",
}  # fmt: skip
"""What a method's page must say where its clients send such a part."""


@pytest.mark.parametrize("name", registry.known("method"))
def test_a_methods_page_says_what_clients_send(name):
    """The parts on the ledger of two rounds, by their names in packets."""
    draw = np.random.default_rng(8)
    rows = draw.standard_normal((40, 3)) * (draw.random((40, 3)) < 0.7)
    problem = nf.from_arrays(rows, np.tile([0, 1], 20), clients=4, l2=0.1)
    settings = {"optimum": nf.optimum(problem)[0]} if registry.asks_for_optimum(name) else {}
    table = nf.solve(problem, registry.method(name, settings), rounds=2, tol=0.0).ledger.table()
    (said,) = re.findall(r"^  sends +(.*)$", described(name), re.MULTILINE)
    sent = set(table.part[table.direction == "up"].tolist())
    assert not [part for part in sent & SAID.keys() if not re.search(SAID[part], said)], (sent, said)
