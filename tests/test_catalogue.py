"""The catalogue: every problem of it is sound, and a name or a path finds its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from newtonfl import catalogue, problem_file


def test_every_problem_of_the_catalogue_is_sound():
    known = {name: path for name, path in catalogue.catalogue().items() if path.suffix == ".toml"}
    names = "breast_cancer digits a1a a9a w2a w8a phishing mushrooms madelon"
    assert set(names.split()) <= known.keys()
    for name, path in known.items():
        file = problem_file.read(path)
        assert file.title and file.where == str(path), name


def test_finding_a_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = catalogue.catalogue()["digits"]
    for name in ("digits", "digits.toml", "problems/digits.toml", "problems/digits"):
        assert catalogue.find(name) == shipped
    (tmp_path / "digits").mkdir()
    assert catalogue.find("digits") == shipped
    (tmp_path / "digits.toml").write_text("")
    assert catalogue.find("digits.toml") == Path("digits.toml")  # a path that exists wins
    assert catalogue.find("digits") == shipped
    with pytest.raises(FileNotFoundError, match=r"did you mean digits.*newtonfl problems"):
        catalogue.find("digit")
    with pytest.raises(FileNotFoundError, match="no such file"):
        catalogue.find("elsewhere/digits.toml")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"must be .toml or .py"):
        catalogue.find("notes.txt")
