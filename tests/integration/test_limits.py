"""What ends a solve as a user sets it: an accuracy, bytes, seconds."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from cases import dense_glm
from command_line import caller, small_problem
from sklearn.exceptions import ConvergenceWarning

import newtonfl as nf
from newtonfl.solver.limits import bytes_of

DRAW = np.random.Generator(np.random.Philox(4))


@pytest.fixture(scope="module")
def problem():
    return nf.load("breast_cancer", clients=16)


@pytest.mark.parametrize("method", ["newton-3pc", "bl2", "ef21", "lattice-newton", "newton-3pc-bc-pp"])
def test_no_more_than_one_round_of_bytes_beyond_the_limit(method, problem):
    result = nf.solve(problem, method, max_bytes="12kB", tol=0.0, rounds=2000)
    sent = result.history.sent("bytes")
    assert result.reason is nf.Reason.BYTE_LIMIT and not result.converged
    assert sent[-1] >= 12_000 and (len(sent) == 1 or sent[-2] < 12_000)
    totals = result.ledger.totals()["bytes"]
    assert sent[-1] == pytest.approx(sum(totals[way]["mean"] for way in ("up", "down", "setup")))


def test_an_accuracy(problem):
    """Of f(x) - f*, in the first round in which it is so small; x is that round's."""
    least = nf.optimum(problem)[1]
    result = nf.solve(problem, "newton-3pc", accuracy=1e-6, f_star=least)
    gaps = [record.gap for record in result.history]
    assert result.reason is nf.Reason.ACCURATE and result.converged
    assert gaps[-1] <= 1e-6 < min(gaps[:-1])
    with pytest.raises(ValueError, match="accuracy: given without an optimal value"):
        nf.solve(dense_glm(), "newton", accuracy=1e-6)


def test_seconds(problem):
    result = nf.solve(problem, "gd", max_seconds=0.05, tol=0.0, rounds=10**6)
    seconds = [record.seconds for record in result.history]
    assert result.reason is nf.Reason.TIME_LIMIT and seconds[-1] >= 0.05 > seconds[-2]


def test_a_solve_that_a_limit_has_ended_goes_on_from_its_checkpoint(problem, tmp_path):
    first = nf.solve(problem, "newton-3pc", max_bytes=10_000, checkpoint=tmp_path)
    assert first.reason is nf.Reason.BYTE_LIMIT
    again = nf.solve(problem, "newton-3pc", max_bytes=10_000, checkpoint=tmp_path)
    assert again.reason is nf.Reason.BYTE_LIMIT and again.rounds == first.rounds
    whole = nf.solve(problem, "newton-3pc", checkpoint=tmp_path)
    assert whole.converged and whole.x_sha256 == nf.solve(problem, "newton-3pc").x_sha256


@pytest.mark.parametrize(
    ("words", "number"),
    [(500, 500.0), ("500kB", 5e5), ("2MiB", 2.0**21), (" 1.5 MB ", 1.5e6), ("1e6", 1e6), (None, None)],
)
def test_bytes_in_words(words, number):
    assert bytes_of(words) == number


@pytest.mark.parametrize(
    "limits",
    [
        {"max_bytes": "lots"}, {"max_bytes": 0}, {"max_bytes": "5 kb"}, {"max_bytes": True}, {"max_bytes": "1e999"},
        {"max_seconds": -1.0}, {"max_seconds": "3"}, {"accuracy": 0.0}, {"accuracy": float("nan")},
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused(limits, problem):
    with pytest.raises(ValueError, match=f"{next(iter(limits))}: given"):
        nf.solve(problem, "newton", **limits)


def test_the_command_line(capsys, monkeypatch, tmp_path):
    call, file, out = caller(capsys, monkeypatch), small_problem(tmp_path), tmp_path / "run"
    status, printed, _ = call("solve", file, "--method", "gd", "--accuracy", "1e-4", "--quiet", "--out", out)
    assert status == 0 and "converged: the gap f(x) - f* reached the accuracy" in printed
    assert tomllib.loads((out / "run.toml").read_text())["run"]["accuracy"] == 1e-4
    again = call("solve", out / "run.toml", "--quiet")[1]  # run.toml does it again
    digest = [line for line in printed.splitlines() if line.startswith("x_sha256")]
    assert digest == [line for line in again.splitlines() if line.startswith("x_sha256")]
    status, printed, _ = call("solve", file, "--method", "gd", "--max-bytes", "2kB", "--quiet", "--tol", "0")
    assert status == 0 and "the limit of bytes was reached" in printed
    status, _, err = call("solve", file, "--method", "gd", "--nonconvex", "0.1", "--accuracy", "1e-4")
    assert status == 2 and "f* is not known" in err


def test_comparisons_and_estimators_end_as_well(capsys, monkeypatch, tmp_path, problem):
    found = nf.compare(problem, ["newton-3pc", "gd"], max_bytes="8kB")
    assert {result.reason for result in found.results.values()} == {nf.Reason.BYTE_LIMIT}
    with pytest.raises(ValueError, match="max_seconds: given 0"):
        nf.compare(problem, ["gd"], max_seconds=0)
    model = nf.FederatedRidge(max_bytes=1500, method="gd", tol=0.0)
    rows = DRAW.standard_normal((40, 3))
    with pytest.warns(ConvergenceWarning, match="the limit of bytes was reached.*raise max_bytes"):
        model.fit(rows, rows[:, 0] + 0.1 * DRAW.standard_normal(40))
    with pytest.raises(ValueError, match="max_bytes: given 'lots'"):
        model.set_params(max_bytes="lots").fit(rows, rows[:, 0])
    call, file = caller(capsys, monkeypatch), small_problem(tmp_path)
    status, printed, _ = call("compare", file, "--methods", "gd", "--max-bytes", "1kB", "--quiet")
    assert status == 0 and "the limit of bytes was reached" in printed
