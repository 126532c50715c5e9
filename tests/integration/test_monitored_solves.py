"""Monitored solves as a whole: histories and their files, checkpoints, ranks, pictures, the command line."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cases import dense_glm
from cut_off import SHORT, in_pieces, same
from mpi_launch import launch
from mpi_programs import monitored

import newtonfl as nf
from newtonfl.results import plots
from newtonfl.results.figures import Look, redraw, remove_comparison

COLUMNS = ["distance", "hessian_error", "client_bytes_max", "client_bytes_mean"]


def of(problem):
    x_star, _ = nf.optimum(problem)
    return [nf.monitors.DistanceTo(x_star), nf.monitors.HessianError(x_star), nf.monitors.ClientBytes()]


def test_monitors_change_nothing_else():
    problem = dense_glm(n=5)
    plain = nf.solve(problem, "bl2", rounds=20)
    watched = nf.solve(problem, "bl2", rounds=20, monitors=of(problem))
    assert plain.x_sha256 == watched.x_sha256 and plain.ledger.totals() == watched.ledger.totals()
    for one, other in zip(plain.history, watched.history, strict=True):
        a, b = json.loads(one.to_json()), json.loads(other.to_json())
        assert list(b.pop("monitors")) == COLUMNS
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_columns_are_those_of_every_form_of_a_history(tmp_path):
    problem = dense_glm(n=5)
    history = nf.solve(problem, "fednl", rounds=3, tol=0.0, monitors=of(problem)).history
    assert history.columns[-4:] == tuple(COLUMNS)
    expected = {name: [record.monitors[name] for record in history] for name in COLUMNS}
    assert {name: history.column(name).tolist() for name in COLUMNS} == expected
    frame = history.to_pandas()
    assert {name: frame[name].tolist() for name in COLUMNS} == expected and list(frame) == list(history.columns)
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {name: [float(row[name]) for row in rows] for name in COLUMNS} == expected
    (tmp_path / "history.jsonl").write_text(history.to_jsonl())
    assert nf.History.read(tmp_path / "history.jsonl").to_jsonl() == history.to_jsonl()
    for name in ("levels_up", "distanc"):
        with pytest.raises(ValueError, match=f"column: given '{name}', allowed are round, f, gap"):
            history.column(name)


def test_a_history_without_monitors_looks_as_before(tmp_path):
    history = nf.solve(dense_glm(), "gd", rounds=1).history
    history.to_csv(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text().splitlines()[0].endswith("missing,waits,time,disagreement")
    assert "monitors" not in history[0].to_json() + history[1].to_json()


def test_what_is_not_finite_is_null_and_nan_again():
    record = nf.Record(0, 1.0, None, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, monitors={"a": np.inf, "b": 1.0})
    assert json.loads(record.to_json())["monitors"] == {"a": None, "b": 1.0}
    back = nf.Record.from_json(record.to_json()).monitors
    assert np.isnan(back["a"]) and back["b"] == 1.0
    for value in ("3", "[1.0]", '{"a": "x"}', "null"):
        with pytest.raises(ValueError, match="not a line of a history"):
            nf.Record.from_json('{"round": 0, "monitors": ' + value + "}")


def test_a_column_takes_eight_bytes_a_round():
    records = [
        nf.Record(k, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, k, monitors={"a": float(k), "b": -1.5})
        for k in range(4096)
    ]  # fmt: skip
    tracemalloc.start()
    history = nf.History(records)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 4096 * (85 + 2 * 8) + 10_000
    assert list(history) == records and history.column("a").tolist() == list(range(4096))


@pytest.mark.parametrize("name", ["fednl-pp", "bl1", "lattice-newton", "l-bfgs"])
def test_a_resumed_solve_has_the_same_columns(name, tmp_path):
    problem = dense_glm(n=5)
    whole = nf.solve(problem, name, rounds=SHORT, tol=0.0, monitors=of(problem))
    pieces = in_pieces(problem, name, tmp_path / "kept", monitors=of(problem))
    assert pieces.resumed
    same(whole, pieces)


def test_another_monitor_is_another_solve(tmp_path):
    problem = dense_glm(n=5)
    nf.solve(problem, "fednl", rounds=3, checkpoint=tmp_path, monitors=of(problem))
    other = [nf.monitors.DistanceTo(np.zeros(7)), *of(problem)[1:]]
    for monitors in ((), other):
        with pytest.raises(ValueError, match="checkpoint of another solve: its list of monitors is"):
            nf.solve(problem, "fednl", rounds=5, checkpoint=tmp_path, monitors=monitors)
    assert nf.solve(problem, "fednl", rounds=5, checkpoint=tmp_path, monitors=of(problem)).rounds == 5


def test_a_checkpoint_from_before_monitors_goes_on_without_any(tmp_path):
    problem, kept = dense_glm(n=5), nf.Checkpoint(tmp_path)
    whole = nf.solve(problem, "fednl", rounds=6, tol=0.0)
    nf.solve(problem, "fednl", rounds=3, tol=0.0, checkpoint=kept)
    arrays, values, _ = kept.read()
    del values["identity"]["list of monitors"]
    kept.write(arrays, values)
    with pytest.raises(ValueError, match=r"its list of monitors is \[\], this one's \['ClientBytes"):
        nf.solve(problem, "fednl", rounds=6, checkpoint=kept, monitors=[nf.monitors.ClientBytes()])
    same(whole, nf.solve(problem, "fednl", rounds=6, tol=0.0, checkpoint=kept))


@pytest.mark.mpi
@pytest.mark.data
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_see_the_same(ranks):
    ended = launch(ranks, Path(monitored.__file__))
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == json.loads(json.dumps([monitored.seen(), True]))


# ---- the command line ----------------------------------------------------------------------------------------------


def test_the_command_line_measures_and_draws(run, small, tmp_path):
    out, kept = tmp_path / "out", tmp_path / "kept"
    words = [word for name in ("distance", "hessian_error", "client_bytes") for word in ("--monitor", name)]
    status, printed, _ = run("solve", small, "--method", "fednl", *words, "--rounds", 9, "--tol", 0, "--out", out,
                             "--checkpoint", kept)  # fmt: skip
    assert status == 0
    history = nf.History.read(out / "history.jsonl")
    assert history.columns[-4:] == tuple(COLUMNS)
    assert f"monitor         distance {history[-1].monitors['distance']:.6g}" in printed
    assert json.loads((out / "result.json").read_text())["monitors"] == history[-1].monitors
    # run.toml does it again, and resume goes on with it.
    assert run("solve", out / "run.toml", "--out", tmp_path / "again")[0] == 0
    assert run("resume", kept, "--rounds", 12, "--out", tmp_path / "more")[0] == 0
    again, more = (nf.History.read(tmp_path / name / "history.jsonl") for name in ("again", "more"))
    assert [r.monitors for r in again] == [r.monitors for r in history] == [r.monitors for r in more[:10]]
    assert len(more) == 13 and list(more[-1].monitors) == COLUMNS
    status, printed, _ = run("plot", out, "--y", "distance")
    assert status == 0 and printed.splitlines() == [str(out / "distance.png"), str(out / "distance.svg")]
    status, _, err = run("plot", out, "--y", "speed")
    assert status == 2 and "column: given 'speed', allowed are round, f, gap" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--monitor", "length"], "--monitor: given 'length', allowed are distance, hessian_error, client_bytes"),
        (["--monitor", "distance", "--monitor", "distance"], "--monitor: given distance twice"),
        (["--monitor", "hessian_error", "--method", "gd"], "gd keeps no estimate of the Hessian"),
        (["--monitor", "distance", "--nonconvex", "0.1"], "convex"),
    ],
)
def test_the_command_line_refuses_in_words(run, small, words, said):
    status, _, err = run("solve", small, *words)
    assert status == 2 and said in err


def test_a_file_may_name_monitors(run, small):
    text = small.read_text()
    small.write_text(text + '\n[run]\nmonitors = ["distance", "client_bytes"]\n')
    assert "monitor         client_bytes_mean" in run("solve", small, "--rounds", 2)[1]
    small.write_text(text + '\n[run]\nmonitors = ["speed"]\n')
    status, _, err = run("solve", small)
    assert status == 2 and "--monitor: given 'speed', allowed are distance, hessian_error, client_bytes" in err


def test_pictures_of_several_runs_and_of_narrow_columns(tmp_path):
    """An accuracy of 0.5 to 1 stands on an even axis."""
    draw = np.random.default_rng(0)
    X = draw.standard_normal((60, 3))
    problem = nf.from_arrays(X, X[:, 0] + draw.standard_normal(60) > 0, l2=0.1)
    for name in ("newton", "gd"):
        (tmp_path / name).mkdir()
        history = nf.solve(problem, name, rounds=5, monitors=[nf.monitors.Accuracy(X, problem_labels(problem))]).history
        (tmp_path / name / "history.jsonl").write_text(history.to_jsonl())
    even = plots.draw({"gd": history}, measure="accuracy").axes[0]
    steep = plots.draw({"gd": history}, measure="gradient_norm").axes[0]
    assert (even.get_yscale(), even.get_ylabel()) == ("linear", "accuracy")
    assert (steep.get_yscale(), steep.get_ylabel()) == ("log", "‖∇f(x)‖₂")
    paths = redraw([tmp_path / "newton", tmp_path / "gd"], look=Look("accuracy"))
    assert {path.name for path in paths} >= {"accuracy-rounds.png", "accuracy-bytes.svg"}
    assert all(path.exists() for path in paths)
    (tmp_path / "mine-rounds.png").write_bytes(b"a picture of the user's own")
    remove_comparison(tmp_path, ["accuracy"])
    assert not any(path.exists() for path in paths) and (tmp_path / "gd").is_dir()
    assert (tmp_path / "mine-rounds.png").exists()


class Signed(nf.monitors.Monitor):
    """Numbers that fall below zero."""

    columns = ("signed", "nothing")

    def measure(self, state):
        return [3.0 - 2.0 * state.round, 0.0]


def test_a_column_that_falls_below_zero_is_drawn_whole():
    histories = [nf.solve(dense_glm(), "gd", rounds=k, tol=0.0, monitors=[Signed()]).history for k in (3, 4)]
    for one in (histories[0], histories):
        axes = plots.draw({"gd": one}, measure="signed").axes[0]
        assert axes.get_yscale() == "linear" and axes.get_lines()[0].get_ydata()[:4].tolist() == [3.0, 1.0, -1.0, -3.0]
    with pytest.raises(ValueError, match="nothing to draw: no record has a finite nothing other than 0"):
        plots.draw({"gd": histories[0]}, measure="nothing")


# ---- comparisons ---------------------------------------------------------------------------------------------------


def test_a_comparison_has_the_columns():
    problem = dense_glm(n=5)
    found = nf.compare(problem, ["newton-3pc", "fednl"], rounds=40, seeds=2, accuracy=1e-9, monitors=of(problem))
    alone = nf.solve(problem, "fednl", rounds=40, tol=0.0, seed=1, monitors=of(problem)).history
    compared = found.repeated["fednl"][1]
    assert [r.monitors for r in compared] == [r.monitors for r in alone][: len(compared)] and len(compared) > 3
    row = next(r for r in found.rows() if (r["method"], r["seed"], r["accuracy"]) == ("fednl", 1, 1e-6))
    assert row["monitor_hessian_error"] == alone[row["rounds"]].monitors["hessian_error"]
    axes = found.plot(y="hessian_error").axes[0]
    assert (axes.get_ylabel(), len(axes.get_lines())) == ("‖H − ∇²f(x*)‖ (Frobenius)", 2)
    middle = np.exp(np.mean([np.log(one.column("hessian_error")[2]) for one in found.repeated["fednl"]]))
    assert axes.get_lines()[1].get_ydata()[2] == pytest.approx(middle, rel=1e-12)
    assert found.plot(y="distance").axes[0].get_yscale() == "log"
    with pytest.raises(ValueError, match=r"column: given 'hessian', allowed are round, f, gap, .*, hessian_error, "):
        found.plot(y="hessian")
    with pytest.raises(ValueError, match=r"method gd: monitors\.HessianError: gd keeps no estimate"):
        nf.compare(problem, ["newton", "gd"], monitors=of(problem))


def test_the_command_line_compares_what_monitors_measure(run, small, tmp_path):
    out = tmp_path / "out"
    words = ["--methods", "newton-3pc", "fednl", "--rounds", 30, "--accuracy", "1e-6", "--quiet"]
    measuring = ["--monitor", "hessian_error", "--monitor", "distance", "--y", "hessian_error"]
    status, printed, err = run("compare", small, *words, *measuring, "--out", out)
    assert status == 0, err
    assert str(out / "hessian_error-rounds.png") in printed and not (out / "rounds.png").exists()
    with (out / "comparison.csv").open(newline="") as file:
        rows = {(row["method"], row["accuracy"]): row for row in csv.DictReader(file)}
    for name in ("newton-3pc", "fednl"):
        history = nf.History.read(out / name / "history.jsonl")
        result = json.loads((out / name / "result.json").read_text())
        assert result["monitors"] == history[-1].monitors and list(result["monitors"]) == ["hessian_error", "distance"]
        row = rows[name, "1e-06"]
        assert float(row["monitor_distance"]) == history[int(float(row["rounds"]))].monitors["distance"]
    again = run("solve", out / "fednl" / "run.toml", "--out", tmp_path / "again")
    assert again[0] == 0 and nf.History.read(tmp_path / "again" / "history.jsonl")[-1].monitors == history[-1].monitors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--y", "hessian_error"], "--y: given 'hessian_error', allowed are round, f, gap, "),
        (["--monitor", "hessian_error", "--y", "distance"], "--y: given 'distance', allowed are round, f, gap, "),
        (["--monitor", "length"], "--monitor: given 'length'"),
        (["--monitor", "hessian_error", "--methods", "fednl", "gd"], "method gd: monitors.HessianError: gd keeps no"),
    ],
)
def test_a_wrong_comparison_is_refused_before_it_runs(run, small, tmp_path, words, said):
    status, out, err = run("compare", small, "--methods", "fednl", *words, "--out", tmp_path / "out")
    assert status == 2 and out == "" and said in err and not (tmp_path / "out").exists()


def problem_labels(problem):
    """The labels as the problem was given them."""
    return np.array(problem.schema.classes)[((problem.host[1] + 1) / 2).astype(int)]
