"""Comparisons: the same start, costs that a recount finds, refusals before anything runs, and the folder they leave."""

from __future__ import annotations

import csv
import json
import re
import sys

import numpy as np
import pytest
from mpi_launch import launch

import newtonfl as nf
from newtonfl import registry
from newtonfl.cli.compare import folder_names
from newtonfl.methods.round import Descent
from newtonfl.results import figures
from newtonfl.results.costs import ACCURACIES, Cost
from newtonfl.results.history import History
from newtonfl.results.record import Record


@pytest.fixture(scope="module")
def problem():
    """Its f* is not told by a file."""
    return nf.load("breast_cancer", clients=4, l2=2e-3)


@pytest.fixture(scope="module")
def compared(problem):
    return nf.compare(problem, ["newton-3pc,compressor=topk:60", "newton", "gd"], rounds=60)


# --- the table


def test_costs_are_those_of_solves_by_hand(problem, compared):
    """Each row against a recount: a solve of its own, and the ledger's totals after exactly that many rounds."""
    _, f_star = nf.optimum(problem)
    rows = {(row["method"], row["accuracy"]): row for row in compared.rows()}
    for label, name, settings in (("newton-3pc,compressor=topk:60", "newton-3pc", {"compressor": "topk:60"}),
                                  ("newton", "newton", {})):  # fmt: skip
        for accuracy in (1e-3, 1e-9):
            row = rows[label, accuracy]
            done = nf.solve(problem, registry.method(name, settings), tol=0.0, rounds=row["rounds"])
            gaps = [record.f - f_star for record in done.history]
            assert gaps[-1] <= accuracy < min(gaps[:-1])
            totals = done.ledger.totals()
            for way in ("up", "down"):
                for kind in ("bytes", "formula_bits"):
                    counted = totals[kind][way]["mean"] + totals[kind][f"setup_{way}"]["mean"]
                    assert row[f"{kind}_{way}"] == pytest.approx(counted, rel=1e-12)
            assert row["hessians"] == done.history[-1].hessians and row["seconds"] > 0


def test_costs_by_label_are_those_of_the_rows(compared):
    told = {row["method"]: row for row in compared.rows("1Mbps/10ms") if row["accuracy"] == 1e-6}
    for over in ("rounds", "bytes_up", "hessians", "seconds"):
        assert compared.costs(over, 1e-6) == {label: row[over] for label, row in told.items()}
    both = {label: row["rounds"] and row["bytes_up"] + row["bytes_down"] for label, row in told.items()}
    assert compared.costs("bytes", 1e-6) == both and None in both.values() and any(both.values())
    waited = compared.costs("seconds", 1e-6, "1Mbps/10ms")
    assert waited == {label: row["network_seconds"] for label, row in told.items()}
    with pytest.raises(ValueError, match="over: given 'bits', allowed are rounds"):
        compared.costs("bits", 1e-6)


def test_what_was_not_reached_is_not_told(compared):
    assert [row["rounds"] for row in compared.rows() if row["method"] == "gd"] == [None] * 4
    last = compared.results["gd"].history[-1]
    assert last.round == 60 and last.gap > 1e-3
    blocks = compared.table().split("\n\n")
    for block, accuracy in zip(blocks, ACCURACIES, strict=False):
        assert f"f(x) − f* ≤ {accuracy:g}" in block
        (line,) = (line for line in block.splitlines() if line.startswith("gd "))
        assert line.split() == ["gd"] + ["–"] * 7
    assert "the round limit was reached" in str(compared) and "1e-12 is reached" in str(compared)


def test_every_run_begins_at_the_same_start_and_stops_at_the_last_accuracy(problem):
    x_star, f_star = nf.optimum(problem)
    found = nf.compare(problem, ["newton", "fednl"], rounds=60, x0=x_star + 0.1)
    first = {label: result.history[0] for label, result in found.results.items()}
    assert first["newton"].f == first["fednl"].f > f_star
    for result in found.results.values():
        assert result.history[-1].gap <= 1e-12 < result.history[-2].gap
        assert result.history[-1].gap == result.history[-1].f - f_star
    assert problem.f_star is None  # as it was


def test_a_method_that_needs_the_optimum_gets_it(problem):
    found = nf.compare(problem, {"ideal": "newton-star", "own": nf.newton()}, rounds=3, x0=nf.optimum(problem)[0])
    assert list(found.results) == ["ideal", "own"] and found.rows()[0]["rounds"] == 0


def test_without_convexity_the_gradient_norm_is_told():
    problem = nf.load("breast_cancer", clients=4, nonconvex=0.1)
    found = nf.compare(problem, ["gd,stepsize=theory*4"], rounds=300)
    assert found.measure == "gradient_norm" and "‖∇f(x)‖₂ ≤ 0.001" in str(found)
    norms = [record.gradient_norm for record in found.results["gd,stepsize=theory*4"].history]
    told = found.rows()[0]["rounds"]
    assert norms[told] <= 1e-3 < min(norms[:told])


def test_the_table_as_csv(compared, tmp_path):
    compared.to_csv(tmp_path / "table.csv", "10Mbps/50ms")
    with (tmp_path / "table.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    told = compared.rows("10Mbps/50ms")
    assert len(read) == len(told) == 12 and list(read[0]) == list(told[0])
    for line, row in zip(read, told, strict=True):
        assert line == {key: "" if value is None else str(value) for key, value in row.items()}


# --- refusals


class Late(Descent):
    """A gradient descent whose server cannot begin."""

    def init_server(self, facts, x0, setup_messages):
        raise ValueError("no such constant")


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        (["gd", "fednl,compressor=topk:999"], ["method fednl,compressor=topk:999", "999", "at most 465"]),
        (["gd", "fedln"], ["method fedln", "did you mean fednl"]),
        (["gd", "newton,step"], ["'newton,step'", "KEY=VALUE"]),
        (["gd", "gd"], ["'gd' twice", "mapping"]),
        ([nf.gd(), nf.gd(stepsize=1.0)], ["'gd' twice", "mapping"]),
        ({"one": "gd", "two": Late(**vars(nf.gd()))}, ["method two", "no such constant"]),
        (["newton-star,optimum=0"], ["newton-star,optimum=0", "by itself"]),
        ([], ["at least one"]),
    ],
)
def test_a_refusal_names_the_method_and_comes_before_a_round(problem, monkeypatch, methods, told):
    rounds = []
    monkeypatch.setattr(Descent, "round", lambda *given: rounds.append(given))
    with pytest.raises(ValueError) as caught:
        nf.compare(problem, methods)
    for word in told:
        assert word in str(caught.value)
    assert rounds == []


@pytest.mark.parametrize("methods", ["gd", [3]])
def test_what_is_no_method_is_refused(problem, methods):
    with pytest.raises(TypeError, match=r"methods?: given"):
        nf.compare(problem, methods)


# --- the network


def record(k, seconds, up, down, exchanges, **setup):
    return Record(k, 1.0, 0.5, 1.0, 0.0, up, down, 0.0, 0.0, 0.0, seconds, exchanges, **setup)


def test_seconds_on_a_network():
    """At 8 kbit/s a byte takes a millisecond; a round trip takes two seconds, one for the join."""
    setup = {"setup_bytes_up": 100.0, "setup_bytes_down": 50.0}
    counted = History([record(0, 0.25, 0, 0, 0, **setup), record(1, 0.5, 40, 10, 3), record(2, 0.75, 80, 20, 6)])
    network = nf.Network.parse("8kbps/2s")
    assert network.seconds(counted) == pytest.approx([0.25 + 0.15 + 2, 0.5 + 0.2 + 8, 0.75 + 0.25 + 14])
    older = History([record(k, each.seconds, each.bytes_up, each.bytes_down, None) for k, each in enumerate(counted)])
    assert network.seconds(older) == pytest.approx([0.25 + 2, 0.5 + 0.05 + 4, 0.75 + 0.1 + 6])
    cost = Cost.to(0.5, counted, network=network)
    assert cost.network_seconds == pytest.approx(0.25 + 0.15 + 2) and cost.seconds == 0.25


def test_the_old_name_of_a_networks_bandwidth_warns():
    with pytest.warns(DeprecationWarning, match="Network.bandwidth"):
        assert nf.Network(1e6).rate == 1e6
    with pytest.raises(AttributeError, match="Network has no attribute 'speed'"):
        _ = nf.Network(1e6).speed


@pytest.mark.parametrize(
    ("text", "rate", "trip"), [("10Mbps/50ms", 1e7, 0.05), ("1.5Gbps/200us", 1.5e9, 2e-4), ("64kbps/0s", 64e3, 0)]
)
def test_a_network_in_words(text, rate, trip):
    network = nf.Network.parse(text)
    assert (network.bandwidth, network.round_trip) == pytest.approx((rate, trip))


@pytest.mark.parametrize(
    "text", ["10Mbps", "10MBps/50ms", "0Mbps/50ms", "fast/50ms", "1e999Mbps/1s", "1..2Mbps/1s", ""]
)
def test_a_network_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="network: given"):
        nf.Network.parse(text)


def test_exchanges_are_counted():
    """Newton's round is one, GIANT's three; DINGO's two, and a third where its first direction would not do."""
    problem = nf.load("breast_cancer", clients=4)
    for method, least, most in ((nf.newton(), 1, 1), (nf.giant(), 3, 3), (nf.dingo(), 2, 3)):
        told = [record.exchanges for record in nf.solve(problem, method, rounds=4, tol=0.0).history]
        assert told[0] == 0 and set(np.diff(told)) <= set(range(least, most + 1))


# --- the history's files


def test_a_history_as_csv_and_as_a_frame(tmp_path, problem):
    ladder = nf.adacgd(levels=[nf.TopK(1), nf.TopK(4)])
    history = nf.solve(problem, ladder, rounds=3, tol=0.0).history
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    frame = history.to_pandas()
    assert len(read) == len(frame) == 4
    for k, kept in enumerate(history):
        assert float(read[k]["f"]) == frame["f"][k] == kept.f
        assert read[k]["gap"] == "" and int(read[k]["exchanges"]) == k
        told = tuple(map(int, read[k]["levels_up"].split())) or None
        assert told == frame["levels_up"][k] == kept.levels_up
    assert float(read[0]["setup_bytes_up"]) == history[0].setup_bytes_up and read[1]["setup_bytes_up"] == ""
    assert list(frame.columns) == list(read[0])


def test_without_pandas_it_is_told_plainly(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RuntimeError, match="pip install pandas"):
        History().to_pandas()


def test_an_older_history_is_read(tmp_path):
    line = json.loads(record(0, 0.5, 1, 1, 7).to_json())
    assert line.pop("exchanges") == 7
    (tmp_path / "history.jsonl").write_text(json.dumps(line) + "\n")
    assert History.read(tmp_path / "history.jsonl")[0].exchanges is None


# --- the command


METHODS = ["newton", "newton-3pc", "newton-3pc,compressor=topk:2", "gd"]


def test_the_command_leaves_a_folder_a_method(run, small, tmp_path):
    out = tmp_path / "out"
    status, told, err = run(
        "compare", small, "--methods", *METHODS, "--rounds", 30, "--out", out, "--network", "1Mbps/1ms"
    )
    assert status == 0 and err == ""  # a progress line is for a terminal, or for a run of ten seconds
    assert "Small" in told and "on network" in told and "–" in told and str(out) in told
    folders = {json.loads(path.read_text())["comparison"]["label"]: path.parent for path in out.glob("*/result.json")}
    assert set(folders) == set(METHODS) and len(set(folders.values())) == 4
    assert (out / "comparison.txt").read_text().rstrip() in told
    with (out / "comparison.csv").open(newline="") as file:
        assert [row["method"] for row in csv.DictReader(file)] == [label for label in METHODS for _ in ACCURACIES]
    for over in ("rounds", "bytes_up", "bytes", "formula_bits", "seconds"):
        assert (out / f"{over}.png").read_bytes()[:4] == b"\x89PNG" and "<svg" in (out / f"{over}.svg").read_text()
    for label, folder in folders.items():
        history, result = History.read(folder / "history.jsonl"), json.loads((folder / "result.json").read_text())
        assert (history[-1].gap <= 1e-12) == (label != "gd") and result["rounds"] == history[-1].round
        assert result["reason"] == ("the round limit was reached" if label == "gd" else "1e-12 is reached")
        assert result["converged"] == (label != "gd") and result["reason"] in told
        if label != "newton":
            status, *_ = run("solve", folder / "run.toml", "--quiet", "--out", tmp_path / "again", "--force")
            assert status == 0
            assert json.loads((tmp_path / "again" / "result.json").read_text())["x_sha256"] == result["x_sha256"]


def test_a_result_is_kept_unless_forced(run, small, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "compared", lambda *given: [])
    words = ("compare", small, "--rounds", 2, "--quiet", "--out", tmp_path / "out")
    assert run(*words, "--methods", "gd")[0] == 0
    before = (tmp_path / "out" / "gd" / "result.json").read_bytes()
    status, _, err = run(*words, "--methods", "newton", "gd")
    assert status == 2 and "--force" in err and not (tmp_path / "out" / "newton").exists()
    assert (tmp_path / "out" / "gd" / "result.json").read_bytes() == before
    assert run(*words, "--methods", "newton", "gd", "--force")[0] == 0


def test_folders_have_names_of_their_own():
    labels = ["gd,stepsize=theory*2", "gd,stepsize=theory/2", "GD,stepsize=theory_2", "../..", "newton"]
    found = folder_names(labels)
    assert len({name.lower() for name in found.values()}) == 5 and found["newton"] == "newton"
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.=+_-]*", name) for name in found.values())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--methods", "gd", "fednl,compressor=topk:9"], ["method fednl,compressor=topk:9", "at most 6"]),
        (["--methods", "gd", "gd"], ["'gd' twice"]),
        (["--methods", "gd", "--network", "10"], ["'10'", "10Mbps/50ms"]),
        (["--methods", "gd", "--rounds", "-1"], ["--rounds", "-1"]),
        (["--methods", "gd", "--x0", "ones"], ["'ones'", "optimum+C"]),
    ],
)
def test_a_wrong_word_is_refused(run, small, tmp_path, words, told):
    status, out, err = run("compare", small, *words, "--out", tmp_path / "out")
    assert status == 2 and out == "" and not (tmp_path / "out").exists()
    for word in told:
        assert word in err


def test_without_out_the_table_alone(run, small, tmp_path):
    before = sorted(tmp_path.iterdir())
    status, out, err = run("compare", small, "--methods", "gd", "--x0", "optimum+0.5", "--rounds", 3, "--quiet")
    assert status == 0 and err == "" and "optimum+0.5" in out and sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
@pytest.mark.mpi
def test_ranks_give_the_same_table(tmp_path, problem):
    """All but the seconds, in the CSV and in the histories."""
    methods = ["newton-3pc", "dingo", "diana"]
    words = ["compare", "breast_cancer", "--clients", 4, "--l2", 2e-3, "--rounds", 8, "--quiet", "--methods", *methods]
    ended = launch(2, "-m", "newtonfl", *words, "--out", tmp_path / "out", timeout=120.0)
    assert ended.status == 0, ended.err
    assert "on 2 ranks" in ended.out and ended.out.count("f(x) − f* ≤ 0.001") == 1
    here = nf.compare(problem, methods, rounds=8)
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        for line, row in zip(csv.DictReader(file), here.rows(), strict=True):
            del line["seconds"], row["seconds"]
            assert line == {key: "" if value is None else str(value) for key, value in row.items()}
    for label, result in here.results.items():
        there = History.read(tmp_path / "out" / label / "history.jsonl")
        assert [record.f for record in there] == [record.f for record in result.history]
        assert [record.exchanges for record in there] == [record.exchanges for record in result.history]
