"""Where time goes: the clock's arithmetic, a solve's phases, and that it costs nothing that can be seen."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cases import dense_glm
from mpi_launch import launch

import newtonfl as nf
from newtonfl.core import timing
from newtonfl.core.timing import PHASES, Timings, timed, timed_as, untimed

PROGRAM = Path(__file__).parents[1] / "support" / "mpi_programs" / "profiled.py"


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves where it is told to."""
    now = [100.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def found(timings):
    """(calls, seconds, bytes) of the phases that were entered or took time."""
    table = timings.so_far()
    return {phase: tuple(row) for phase, row in zip(PHASES, table.tolist(), strict=True) if any(row)}


def test_a_phase_within_another_counts_once(clock):
    timings = Timings()
    clock(0.5)
    with timings.running(), timed("server"):
        clock(1.0)
        for _ in range(3):
            with timed("packing") as timer:
                clock(2.0)
                timer.add_bytes(7)
                with timed("transport"):
                    clock(0.25)
        clock(4.0)
    clock(0.125)
    assert found(timings) == {
        "server": (1, 5.0, 0), "packing": (3, 6.0, 21), "transport": (3, 0.75, 0), "other": (0, 0.625, 0)
    }  # fmt: skip


def test_a_phase_within_itself_is_part_of_it(clock):
    timings = Timings()

    @timed_as("gradients")
    def value():
        clock(1.0)

    @timed_as("gradients")
    def gradient():
        value()
        with timed("gradients") as timer:
            timer.add_bytes(5)
        clock(2.0)

    with timings.running():
        gradient()
    gradient()  # nobody asks any more
    assert found(timings)["gradients"] == (1, 3.0, 0)


def test_what_fails_is_counted_and_left(clock):
    timings = Timings()
    with timings.running():
        with pytest.raises(KeyError), timed("server"), timed("packing"):
            clock(1.0)
            raise KeyError
        with timed("server"), untimed(), timed("packing"):
            clock(2.0)
    assert found(timings) == {"packing": (1, 1.0, 0), "server": (2, 2.0, 0)}


def test_threads_share_a_solves_clock():
    timings = Timings()

    def work():
        with timed("Hessians"):
            time.sleep(0.05)

    with timings.running(), ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(copy_context().run, work) for _ in range(8)]
        assert [task.result() for task in tasks] == [None] * 8
    calls, seconds, _ = found(timings)["Hessians"]
    assert calls == 8 and seconds >= 0.4


def slow_problem(n=2, d=3):
    """Functions that sleep: 2 ms for gradients, 6 ms for Hessians."""
    targets = np.arange(n * d, dtype=float).reshape(n, d)

    def gradient(i, x):
        time.sleep(0.002)
        return x - targets[i]

    def hessian(i, x):
        time.sleep(0.006)
        return np.eye(d)

    return nf.FromFunctions(n, d, lambda i, x: 0.5 * np.sum((x - targets[i]) ** 2), gradient, hessian)


@dataclass(frozen=True)
class Slow(nf.Compressor):
    """Keeps all, after 4 ms."""

    def contract(self, size):
        return nf.Contractive(1.0)

    def compress(self, v, key):
        time.sleep(0.004)
        return nf.Dense(v)


def test_seconds_stand_where_they_were_spent():
    problem, method = slow_problem(), nf.fednl(compressor=Slow())
    begun = time.perf_counter()
    result = nf.solve(problem, method, rounds=6, tol=0.0, profile=True, callback=lambda record: time.sleep(0.003))
    whole = time.perf_counter() - begun
    spent = {row["phase"]: row for row in result.profile.rows()}
    rounds = result.rounds
    hessians = 2 * result.history[-1].hessians
    assert spent["Hessians"]["mean"] >= 0.006 * hessians
    assert spent["compression"]["mean"] >= 0.004 * 2 * rounds
    assert spent["gradients"]["mean"] >= 0.002 * 2 * (rounds + 1)
    assert spent["diagnostics"]["mean"] >= 0.003 * (rounds + 1)
    assert spent["server"]["calls"] == rounds
    assert sum(row["mean"] for row in spent.values()) == pytest.approx(float(result.profile.total[0]))
    assert result.profile.total[0] <= whole  # nothing counts twice


def test_a_profile_changes_nothing_and_is_not_there_unasked():
    plain = nf.solve(dense_glm(), "newton-3pc-bc-pp", rounds=15, tol=0.0)
    profiled = nf.solve(dense_glm(), "newton-3pc-bc-pp", rounds=15, tol=0.0, profile=True)
    assert plain.profile is None and profiled.x_sha256 == plain.x_sha256
    assert plain.ledger.totals() == profiled.ledger.totals()


def test_unasked_nothing_is_timed(monkeypatch):
    """Within a profiled solve's callback too."""
    monkeypatch.setattr(Timings, "timer", lambda timings, phase: pytest.fail(f"{phase} is timed"))
    with Timings().running():
        assert nf.solve(dense_glm(), "fednl", rounds=3).profile is None


def test_checkpoints_are_a_phase_where_there_are_some(tmp_path):
    phases = [
        {row["phase"] for row in nf.solve(dense_glm(), "gd", rounds=2, profile=True, checkpoint=folder).profile.rows()}
        for folder in (None, tmp_path)
    ]
    assert phases[1] - phases[0] == {"checkpoints"}


def test_solves_at_once_keep_their_times_apart():
    """In threads, and one within another's callback."""
    profiles = {}

    def solve(name, rounds):
        profiles[name] = nf.solve(dense_glm(), "gd", rounds=rounds, tol=0.0, profile=True).profile

    threads = [threading.Thread(target=solve, args=(k, k)) for k in (5, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server = PHASES.index("server")
    assert {name: profile.calls[0, server] for name, profile in profiles.items()} == {5: 5, 20: 20, 40: 40}
    inner = []

    def look(record):
        how = {"profile": True} if record.round == 2 else {}
        inner.append(nf.solve(dense_glm(), "gd", rounds=7, tol=0.0, **how).profile)

    outer = nf.solve(dense_glm(), "gd", rounds=3, tol=0.0, profile=True, callback=look).profile
    assert outer.calls[0, server] == 3 and inner[2].calls[0, server] == 7 and inner[1] is None


def test_a_table_is_its_numbers():
    times = np.zeros((2, len(PHASES), 3))
    times[:, PHASES.index("server")] = [(5, 3.0, 0), (0, 0.0, 0)]
    times[:, PHASES.index("transport")] = [(9, 1.0, 10**6), (7, 2.0, 500)]
    profile = nf.Profile.of(times)
    assert profile.total.tolist() == [4.0, 2.0]
    lines = str(profile).splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["transport", "9", "1.5000", "2.0000", "1.33", "50.0", "1,000,500"],
        ["server", "5", "1.5000", "3.0000", "2.00", "50.0"],
    ]
    assert lines[3].split()[-4:] == ["3.0000", "4.0000", "1.33", "100.0"] and len(lines) == 4
    assert profile.to_json()["phases"]["transport"]["bytes"] == [10**6, 500]
    assert nf.Profile.of(profile.to_array()).to_json() == profile.to_json()


@pytest.mark.parametrize("value", [1, "yes", None])
def test_what_is_no_truth_value_is_refused(value):
    with pytest.raises(TypeError, match=r"profile: given .*, must be True or False"):
        nf.solve(dense_glm(), "gd", profile=value)


def test_the_command_line_prints_the_table_and_keeps_it(run, small, tmp_path):
    status, printed, _ = run("solve", small, "--profile", "--out", tmp_path / "out", "--quiet")
    assert status == 0 and "where time goes" in printed
    kept = json.loads((tmp_path / "out" / "result.json").read_text())["profile"]
    assert {"reading", "set-up", "gradients", "Hessians", "compression", "server", "other"} <= set(kept["phases"])
    assert kept["seconds"][0] == pytest.approx(sum(row["mean"] for row in kept["phases"].values()))
    assert run("solve", small, "--out", tmp_path / "plain")[0] == 0
    assert json.loads((tmp_path / "plain" / "result.json").read_text())["profile"] is None


@pytest.mark.mpi
@pytest.mark.data
def test_every_rank_has_every_ranks_times():
    ended = launch(3, PROGRAM)
    assert ended.status == 0, ended.err
    profile, same, same_bits = json.loads(ended.out)
    assert same and same_bits and profile["ranks"] == 3
    phases = profile["phases"]
    assert phases["server"]["calls"] == [10, 0, 0] and phases["diagnostics"]["seconds"][0] >= 0.11
    assert min(phases["waiting"]["seconds"][1:]) >= 0.1  # for rank 0's callback
    assert min(phases["gradients"]["calls"]) > 0 and min(phases["transport"]["bytes"]) > 1000
    assert min(profile["seconds"]) >= 0.11


@pytest.mark.mpi
@pytest.mark.data
def test_ranks_of_which_only_some_profile_are_refused():
    ended = launch(3, PROGRAM, "apart")
    assert ended.status != 0 and "rank 2 was given another solve than rank 0" in ended.err
