"""Problem files: every mistake at once and in its place."""

from __future__ import annotations

import pytest

from newtonfl.datasets import problem_reader

GOOD = """
title = "Digits"
[data]
source = "sklearn:digits"
classes = [3, 8]
scale = "maxabs"
[objective]
loss = "logistic"
l2 = 1e-3
[clients]
count = 10
split = "blocks"
[method]
name = "newton-3pc"
rho = 0.5
k = 3
lazy = true
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ValueError) as caught:
        problem_reader.parse(text, "here.toml")
    return str(caught.value).splitlines()


def test_a_good_file():
    file = problem_reader.parse(GOOD, "here.toml")
    assert file.title == "Digits" and file.where == "here.toml"
    assert file.data.classes == (3, 8) and file.objective.l2 == 1e-3 and file.objective.huber_delta == 1.35
    assert file.clients.count == 10 and file.clients.seed == 0
    assert file.reference.f_star is None and file.run.rounds is None
    assert file.method == {"name": "newton-3pc", "rho": 0.5, "k": 3, "lazy": True}


def test_every_mistake_is_told_at_once():
    lines = mistakes(
        """
        l2 = 3
        [data]
        source = "foo:x"
        scale = "standart"
        count = 3
        features = 0
        [objective]
        loss = "logistc"
        l2 = -1
        intercept = 1
        [clients]
        cuont = 3
        split = "dirichlet:-1"
        seed = 1.5
        [cleints]
        [run]
        rounds = -1
        tol = inf
        x0 = 3
        device = "gpu"
        [method]
        name = 3
        a = [1]
        """
    )
    for mark, *words in (
        ("l2:", "unknown", "[objective]"),
        ("[data] source:", "'foo:x'", "libsvm:"),
        ("[data] scale:", "'standart'", "'maxabs'", "did you mean 'standard'"),
        ("[data] count:", "unknown", "[clients]"),
        ("[data] features:", "given 0", "at least 1"),
        ("[objective] loss:", "'logistc'", "did you mean logistic", "`newtonfl methods loss` lists them all"),
        ("[objective] l2:", "given -1", "at least 0"),
        ("[objective] intercept:", "given 1,", "true or false"),
        ("[clients] cuont:", "unknown", "did you mean count"),
        ("[clients] count:", "missing"),
        ("[clients] split:", "'dirichlet:-1'", "BETA"),
        ("[clients] seed:", "given 1.5", "whole number"),
        ("[cleints]:", "unknown", "did you mean clients"),
        ("[run] rounds:", "given -1", "at least 0"),
        ("[run] tol:", "given inf", "finite"),
        ("[run] x0:", "given 3", "string"),
        ("[run] device:", "'gpu'", "'cuda'"),
        ("[method] name:", "given 3", "string"),
        ("[method] a:", "given [1]"),
    ):
        line = [line for line in lines if line.startswith(f"here.toml: {mark}")]
        assert len(line) == 1, (mark, lines)
        assert all(word in line[0] for word in words), (words, line[0])
    assert len(lines) == 19


@pytest.mark.parametrize(
    "change, fault",
    [
        (("[3, 8]", "[3]"), "[data] classes: given [3], must be two labels"),
        (("[3, 8]", '["3", 8]'), "[data] classes: given ['3', 8], must be two labels"),
        (("[3, 8]", "[3, 3]"), "[data] classes: given [3, 3], must be two different labels"),
        (('"logistic"', '"squared"'), "[data] classes: given [3, 8], allowed only with loss = 'logistic'"),
        (("classes = [3, 8]", 'label = "y"'), "[data] label: given 'y', allowed only with a csv source"),
        (("l2 = 1e-3", "huber_delta = 2.0"), "[objective] huber_delta: given 2.0, allowed only with loss = 'huber'"),
        (("l2 = 1e-3", "penalise_intercept = true"), "[objective] penalise_intercept: given true"),
        (("count = 10", ""), "[clients] count: missing, must be at least 1"),
        (("sklearn:digits", "csv:*.csv"), "[clients] split: given 'blocks', must be 'files'"),
        (('"blocks"', '"column:a"'), "[clients] split: given 'column:a', allowed only with a csv or npz source"),
        (('name = "newton-3pc"', ""), "[method] name: missing"),
        (('loss = "logistic"', ""), "[objective] loss: missing"),
        (('[objective]\nloss = "logistic"\nl2 = 1e-3', ""), "[objective]: missing"),
        (("rho = 0.5", "rho ="), "not TOML: Invalid value (at line 15"),
        (("lazy = true", "lazy ="), "not TOML: Invalid value (at line 17"),
    ],
)
def test_single_mistakes(change, fault):
    assert change[0] in GOOD
    assert [line for line in mistakes(GOOD.replace(*change)) if line.startswith(f"here.toml: {fault}")]


def test_reading_a_file(tmp_path):
    path = tmp_path / "p.toml"
    with pytest.raises(FileNotFoundError, match=r"p.toml"):
        problem_reader.read(path)
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert problem_reader.read(path).where == str(path)
    path.write_bytes(GOOD.replace("\n", "\r").encode())
    assert problem_reader.read(path).where == str(path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'\ntitle = "\xff"', ", line 2: not UTF-8"),
        (GOOD.encode("utf-16"), ": UTF-16 text: save it as UTF-8"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, ": .*nested too deeply"),
        (b"a = " + b"{a = " * 5000, ": .*nested too deeply"),
        (b".".join([b"a"] * 5000) + b" = 1", ": .*nested too deeply"),
        (b"a = " + b"9" * 5000, ": not TOML: .*5000 digits"),
        (b"[data]\n[data.features]\na = [[1, 0x" + b"f" * 5000 + b"]]", r": \[data.features\] a: .*beyond 64 bits"),
        (GOOD.replace("k = 3", f"k = {2**63}").encode(), r": \[method\] k: .*beyond 64 bits"),
        (b"\n" * 2_000_000, ": 2000000 bytes are no problem file"),
    ],
)
def test_files_that_are_no_problem_files(tmp_path, content, fault):
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"p.toml{fault}"):
        problem_reader.read(path)


def test_the_widest_whole_numbers_are_read():
    file = problem_reader.parse(GOOD.replace("k = 3", f"k = {2**63 - 1}"), "here.toml")
    assert file.method["k"] == 2**63 - 1
