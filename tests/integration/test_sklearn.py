"""The same objective, the same value: scikit-learn's newton-cholesky on every logistic problem of the catalogue."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

import newtonfl as nf
from newtonfl.datasets.catalogue import catalogue
from newtonfl.datasets.problem_reader import read

LOGISTIC = [name for name, path in catalogue().items() if path.suffix == ".toml"]


def test_every_problem_file_of_the_catalogue_is_compared():
    """The list below is the whole catalogue: each is logistic, without intercept, with a reference value."""
    assert len(LOGISTIC) == 9
    for name in LOGISTIC:
        file = read(catalogue()[name])
        assert file.objective.loss == "logistic" and not file.objective.intercept
        assert file.reference.f_star is not None


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", LOGISTIC)
def test_value_at_the_solution(name):
    source = read(catalogue()[name]).data.source
    kind, what = source.split(":")
    if kind == "libsvm" and not (Path(os.environ.get("NEWTONFL_DATA", "/nowhere")) / what).is_file():
        pytest.skip(f"needs the data file {what} in the folder that NEWTONFL_DATA names")
    problem = nf.load(name)
    # From zero, with a step that is safe there; madelon is dense and wants larger messages to be quick.
    result = nf.solve(problem, nf.newton_3pc(compressor=nf.TopK("8d" if problem.dim < 400 else "64d")), tol=1e-9)
    assert result.converged
    rows, labels, _ = problem.host
    theirs = LogisticRegression(
        C=1.0 / (len(labels) * 1e-3), fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000
    )
    w = theirs.fit(rows, labels).coef_.ravel()
    value = float(problem.at(w).value.mean() + 0.5e-3 * (w @ w))
    assert abs(result.history[-1].f - value) <= 1e-10 * value
    assert abs(result.history[-1].gap) <= 1e-14
