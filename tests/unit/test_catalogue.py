"""The catalogue: every problem of it is sound, and a name or a path finds its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.datasets import catalogue, problem_reader


def test_every_problem_of_the_catalogue_is_sound():
    known = {name: path for name, path in catalogue.catalogue().items() if path.suffix == ".toml"}
    names = "breast_cancer digits a1a a9a w2a w8a phishing mushrooms madelon"
    assert set(names.split()) <= known.keys()
    assert {"quadratic", "synthetic", "log_sum_exp"} <= catalogue.catalogue().keys()
    for name, path in known.items():
        file = problem_reader.read(path)
        assert file.title and file.where == str(path), name


def test_the_smooth_maximum_is_least_at_zero():
    """x* = 0 and f* by construction; the stated constants bound the Hessians and their changes."""
    problem = nf.load("log_sum_exp")
    zero, draw = np.zeros(problem.dim), np.random.default_rng(0)
    point = problem.at(zero)
    assert np.linalg.norm(point.gradient.mean(axis=0)) <= 1e-15
    assert np.abs(point.gradient).max() > 0.1  # no client's own gradient is zero there
    assert point.value.mean() == pytest.approx(problem.f_star, rel=1e-15)
    x, y = 0.3 * draw.standard_normal((2, problem.dim))
    bound = np.stack([problem.curvature_product(e)[0] for e in np.eye(problem.dim)])
    mean = np.mean([problem.at(x).hessian(i) for i in range(problem.n_clients)], axis=0)
    assert np.linalg.eigvalsh(bound - mean).min() >= 0
    for i, constant in enumerate(problem.hessian_lipschitz):
        change = np.linalg.norm(problem.at(x).hessian(i) - problem.at(y).hessian(i), 2)
        assert 0 < change <= constant * np.linalg.norm(x - y)
        h = 1e-5 * (y - x)
        slope = (problem.at(x + h).value - problem.at(x - h).value)[i] / 2
        assert problem.at(x).gradient[i] @ h == pytest.approx(slope, rel=1e-6)
        moved = (problem.at(x + h).gradient - problem.at(x - h).gradient)[i] / 2
        np.testing.assert_allclose(problem.at(x).hessian(i) @ h, moved, rtol=1e-5, atol=1e-10)
    result = nf.solve(problem, nf.newton_3pc(), x0=np.full(problem.dim, 0.3), tol=1e-10, rounds=100)
    assert result.converged and np.linalg.norm(result.x) <= 1e-10 / problem.strong_convexity
    assert np.linalg.norm(result.x) <= 1e-9


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
