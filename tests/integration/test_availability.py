"""Clients that are away: waited for, done without where theory allows it, or said; and the problem of the others."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from cases import dense_glm
from command_line import caller, small_problem
from cut_off import in_pieces, same
from mpi_launch import launch
from mpi_programs import availability as program

import newtonfl as nf

AWAY = program.AWAY
EF21_PP = "ef21-pp,compressor=topk:15,stepsize=theory*16"


@pytest.fixture(scope="module")
def problem():
    return nf.load("breast_cancer", clients=16)


@pytest.mark.parametrize(
    ("method", "l2"), [("fednl-pp", 1e-3), ("bl2", 1e-3), ("newton-3pc-bc-pp", 1e-3), (EF21_PP, 0.1)]
)
def test_partial_participation_reaches_the_optimum_without_those_who_are_away(method, l2):
    problem = nf.load("breast_cancer", clients=16, l2=l2)
    least = nf.optimum(problem)[1]
    result = nf.solve(problem, method, availability=AWAY, on_missing="skip", tol=1e-7, rounds=2000)
    assert result.converged and result.history[-1].f - least <= 1e-9
    away = [record.missing for record in result.history]
    assert away[:2] == [None, ()] and 0.2 < np.mean([len(missing) for missing in away[2:]]) / 16 < 0.4


def test_who_is_away_neither_hears_nor_answers(problem):
    """A client that is there in round 0 alone has what it got and sent then."""
    trace = nf.Trace((tuple(range(1, 16)),))
    once = nf.solve(problem, "fednl-pp", rounds=1, tol=0.0)
    long = nf.solve(problem, "fednl-pp", rounds=9, tol=0.0, availability=trace, on_missing="skip")
    for tally, first in ((long.ledger.up, once.ledger.up), (long.ledger.down, once.ledger.down)):
        assert tally.bytes[0] == first.bytes[0] and (tally.bytes[1:] > first.bytes[1:]).all()


def test_a_draw_among_those_who_are_there(problem):
    """S^k is what it would have been, less who is away; the chance of both stands in the step sizes of theory."""
    drawn, there = nf.Uniform(8), nf.Independent(0.7)
    method = nf.fednl_pp(participation=drawn).among_available(there)
    for k in range(1, 5):
        key = nf.Key(0, k)
        both = method.participation.drawn(16, key)
        present = there.drawn(16, key.to("availability"))
        assert both.tolist() == sorted(set(drawn.drawn(16, key).tolist()) & set(present.tolist()))
    assert method.participation.share(16) == pytest.approx(0.35)
    assert method.parameters()["participation"] == "uniform:8"  # the method's own


def test_the_server_waits_until_all_have_been_there(problem):
    """Same bits as without waits, for any method; one client that comes every third time costs two waits a round."""
    whole = nf.solve(problem, "newton-3pc", rounds=8, tol=0.0)
    everyone, most = tuple(range(16)), tuple(range(15))
    trace = nf.Trace((most, most, everyone))
    waited = nf.solve(problem, "newton-3pc", rounds=8, tol=0.0, availability=trace, on_missing="wait")
    assert waited.x_sha256 == whole.x_sha256
    assert waited.ledger.totals() == whole.ledger.totals()
    assert [record.waits for record in waited.history] == [0, 0, 2, 4, 6, 8, 10, 12, 14]
    assert [record.missing for record in waited.history[1:4]] == [(), (15,), (15,)]


def test_what_is_missing_is_said_and_nothing_is_lost(problem):
    trace = nf.Trace((tuple(range(16)), tuple(range(16)), (0, 2, 4)))
    with pytest.raises(nf.MissingClients, match=r"away in round 3: clients 1, 3, 5, 6, 7, 8, 9, 10, …") as caught:
        nf.solve(problem, "newton-3pc", availability=trace)
    kept = caught.value.result
    assert kept.reason is nf.Reason.MISSING and kept.rounds == 3 and not kept.converged
    assert np.array_equal(kept.x, nf.solve(problem, "newton-3pc", rounds=3, tol=0.0).x)


@pytest.mark.parametrize("on_missing", ["wait", "skip"])
def test_clients_that_are_lost_and_the_answer_of_the_others(on_missing, problem):
    """A third of them: the solve says who, and the others' problem is that of their rows alone."""
    lost = nf.solve(problem, "fednl-pp", availability="lost:0.3:5", on_missing=on_missing, tol=1e-10)
    gone = nf.Lost(0.3, after=5).lost(16, nf.Key(0, 9).to("participation").to("availability")).tolist()
    assert lost.reason is nf.Reason.MISSING and lost.rounds == 6 and len(gone) == 5
    assert lost.detail == (
        f"lost for good since round 6: clients {', '.join(map(str, gone))}; the problem of the others is "
        f"problem.without({gone})"
    )
    others = nf.solve(problem.without(gone), "fednl-pp", x0=lost.x, tol=1e-11)
    rows, labels, _ = problem.host
    owner = np.repeat(np.arange(16), problem.rows_per_client)
    stay = ~np.isin(owner, gone)
    pooled = nf.from_arrays(rows[stay], labels[stay], l2=1e-3, clients=owner[stay])
    assert others.converged
    assert others.history[-1].f - nf.optimum(pooled)[1] <= 1e-12
    assert others.history[-1].f != pytest.approx(nf.optimum(problem)[1], rel=1e-3)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("newton-3pc", r"availability=independent:0.7 with on_missing=skip needs gradients that stay true"),
        ("gd", r"availability=independent:0.7 with on_missing=skip needs gradients that stay true"),
        ("newton-3pc-bc", r"availability=independent:0.7 with on_missing=skip needs gradients that stay true"),
        ("pp-marina", r"every client must hear every round"),
        ("lattice-newton", r"every client that it asks must answer, so on_missing='skip' cannot be"),
        ("dingo", r"every client that it asks must answer"),
    ],
)
def test_skipping_is_refused_where_theory_needs_everyone(method, words, problem):
    with pytest.raises(ValueError, match=words):
        nf.solve(problem, method, availability=AWAY, on_missing="skip")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"availability": "lost:16"}, ValueError, "some of the 16 clients must stay"),
        ({"availability": "lost:-1"}, ValueError, "must be a number of clients, or a share"),
        ({"availability": "lost:2:-1"}, ValueError, "must be a whole number of at least 0"),
        ({"availability": nf.Trace(((3, 17),))}, ValueError, "names client 17, and there are 16"),
        ({"availability": 0.7}, TypeError, "must be a Participation"),
        ({"availability": "topk:3"}, ValueError, "topk"),
        (
            {"availability": AWAY, "on_missing": "ignore"},
            ValueError,
            "given 'ignore', must be one of raise",
        ),
    ],
)
def test_what_is_no_availability_is_refused(arguments, error, words, problem):
    with pytest.raises(error, match=words):
        nf.solve(problem, "fednl-pp", **arguments)


def test_one_who_never_comes_is_not_waited_for_without_end(problem, monkeypatch):
    monkeypatch.setattr("newtonfl.solver.attendance._LONGEST", 50)
    never = nf.solve(problem, "newton-3pc", availability=nf.Trace((tuple(range(15)),)), on_missing="wait")
    assert never.reason is nf.Reason.MISSING and "away for 50 waits of round 1: client 15" in never.detail
    assert never.rounds == 1


@pytest.mark.parametrize(("method", "on_missing"), [("bl2", "skip"), ("newton-3pc", "wait")])
def test_it_goes_on_from_a_checkpoint_in_every_round(method, on_missing, tmp_path):
    how = {"availability": AWAY, "on_missing": on_missing}
    whole = nf.solve(dense_glm(n=5), method, rounds=4, tol=0.0, **how)
    same(whole, in_pieces(dense_glm(n=5), method, tmp_path, **how))
    assert whole.history[-1].missing is not None
    with pytest.raises(ValueError, match="checkpoint of another solve"):
        nf.solve(dense_glm(n=5), method, rounds=4, checkpoint=tmp_path)


@pytest.mark.mpi
@pytest.mark.slow
def test_the_same_on_three_ranks():
    ended = launch(3, Path(program.__file__))
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == json.loads(json.dumps(program.solved()))


def test_the_command_line(capsys, monkeypatch, tmp_path):
    call, file, out = caller(capsys, monkeypatch), small_problem(tmp_path), tmp_path / "run"
    words = ("--method", "bl2", "--availability", AWAY, "--on-missing", "skip", "--rounds", "8", "--tol", "0")
    status, printed, _ = call("solve", file, *words, "--out", out, "--quiet")
    assert status == 0
    run = tomllib.loads((out / "run.toml").read_text())["run"]
    assert run["availability"] == AWAY and run["on_missing"] == "skip"
    history = nf.History.read(out / "history.jsonl")
    assert any(record.missing for record in history)
    again = call("solve", out / "run.toml", "--quiet")[1]  # run.toml does it again
    digest = [line for line in printed.splitlines() if line.startswith("x_sha256")]
    assert digest == [line for line in again.splitlines() if line.startswith("x_sha256")]
    status, _, err = call("solve", file, "--availability", AWAY, "--quiet")
    assert status == 1 and "away in round 1: client" in err
    status, printed, _ = call("solve", file, "--availability", "lost:1:2", "--on-missing", "wait", "--quiet")
    assert status == 3 and "clients that a round wants are missing" in printed
    status, _, err = call("solve", file, "--on-missing", "skip")
    assert status == 2 and "--on-missing: given skip without --availability" in err


# --- a problem without some of its clients


def built(sparse=False, weighted=False, classes=2, keep=None):
    """A problem of 60 rows on 6 unequal clients, or of the rows of those to `keep` alone."""
    draw = np.random.Generator(np.random.Philox(3))
    rows, owner = draw.standard_normal((60, 4)), np.sort(draw.integers(0, 6, 60))
    labels, weights = draw.integers(0, classes, 60), draw.random(60) if weighted else None
    if sparse:
        import scipy.sparse

        rows = scipy.sparse.csr_array(np.where(rows > 0.5, rows, 0.0))
    chosen = np.ones(60, bool) if keep is None else np.isin(owner, keep)
    return nf.from_arrays(
        rows[chosen], labels[chosen], "multinomial" if classes > 2 else "logistic", l2=0.1, clients=owner[chosen],
        sample_weight=None if weights is None else weights[chosen], intercept=True,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [{}, {"sparse": True}, {"weighted": True}, {"classes": 3}], ids=str)
def test_without_is_the_problem_of_the_others_rows(kind):
    x = np.linspace(-1.0, 1.0, built(**kind).dim)
    whole, alone = built(**kind), built(**kind, keep=[0, 2, 3, 5])
    whole.client_smoothness  # noqa: B018 - remembered, and not to be taken over
    other = whole.without([4, 1])
    assert other.objective == alone.objective and other.clients.tolist() == [0, 1, 2, 3]
    for one, two in (
        (other.at(x).value, alone.at(x).value), (other.at(x).gradient, alone.at(x).gradient),
        (other.client_smoothness, alone.client_smoothness), (other.at(x).hessians.values, alone.at(x).hessians.values),
    ):  # fmt: skip
        np.testing.assert_allclose(one, two, rtol=1e-14)
    before = nf.solve(built(**kind), "newton", tol=1e-10).x
    assert np.array_equal(nf.solve(whole, "newton", tol=1e-10).x, before)  # the whole is as it was


def test_functions_of_ones_own_keep_their_numbers():
    targets = np.array([1.0, 5.0, 2.0, 9.0])
    problem = nf.FromFunctions(
        4, 1, lambda i, x: 0.5 * float((x[0] - targets[i]) ** 2), lambda i, x: x - targets[i], lambda i, x: np.eye(1),
        smoothness=np.eye(1), client_smoothness=[1.0, 2.0, 3.0, 4.0],
    )  # fmt: skip
    others = problem.without([1, 3])
    assert nf.solve(others, "newton", tol=1e-12).x == pytest.approx([1.5])
    assert others.client_smoothness.tolist() == [1.0, 3.0]
    assert nf.solve(others.without([0]), "gd", tol=1e-9, rounds=500).x == pytest.approx([2.0])


@pytest.mark.parametrize(
    ("clients", "words"), [([6], "from 0 to 5"), ([-1], "from 0 to 5"), (range(6), "somebody must stay")]
)
def test_whom_a_problem_cannot_be_without(clients, words):
    with pytest.raises(ValueError, match=words):
        built().without(clients)
