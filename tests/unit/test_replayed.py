"""Clients that step themselves hold the server's x in every bit, however it is told and whoever was away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import dense_glm

import newtonfl as nf
from newtonfl.core.random import Key
from newtonfl.mechanisms import (
    BAG,
    CBAG,
    CLAG,
    EFBV,
    LAG,
    AdaCGD,
    Diana,
    Marina,
    ThreePCv1,
    ThreePCv2,
    ThreePCv3,
    ThreePCv4,
    ThreePCv5,
)
from newtonfl.methods import Method, ProblemConstants
from newtonfl.solver.session import Session

K3, R3 = nf.TopK(3), nf.RandK(3)
DOWN: dict[str, Any] = {
    "ef21": K3, "ef21 of an unbiased": R3, "clag": CLAG(K3, 0.5), "lag": LAG(0.5), "cbag": CBAG(K3, 0.5),
    "bag": BAG(0.5), "v1": ThreePCv1(K3), "v2": ThreePCv2(K3, R3), "v3": ThreePCv3(K3, CLAG(nf.TopK(1), 0.5)),
    "v4": ThreePCv4(K3, nf.TopK(1)),
    "v5": ThreePCv5(K3, 0.5), "marina": Marina(R3, 0.5), "adacgd": AdaCGD((nf.TopK(1), K3), 0.5), "diana": Diana(R3),
    "ef-bv": EFBV(K3, 0.4, 0.7), "memoryless": Diana(nf.Natural(), 0.0),
}  # fmt: skip


def strays(problem: nf.Problem, method: Method, rounds: int) -> int:
    """In how many rounds a client that has heard sees another x than the server believes; and that x moves."""
    method, strayed, seen = method.resolved(problem), 0, set()
    with Session(problem, method, 5) as session:
        facts = ProblemConstants(problem.n_clients, problem.dim, problem.ridge, lambda: 1.0, problem.like)
        server = method.init_server(facts, np.zeros(problem.dim), session.init_clients(np.zeros(problem.dim)))
        for k in range(rounds):
            heard: list[Any] = []

            def exchange(announcement: Any, sizes: Any, heard: list[Any] = heard) -> Any:
                heard.append(announcement.recipients)
                return session.exchange(announcement, sizes)

            x = server.x + 0.0
            server = method.round(server, exchange, Key(5, k))
            who = np.arange(problem.n_clients) if heard[0] is None else heard[0]
            rows = method.model.client_points(session.local.states[0].model)[who]
            strayed += not np.array_equal(rows, method.model.points(server.model, who))
            strayed += method.model.replays and not (rows == x).all()
            seen.add(x.tobytes())
    assert len(seen) > rounds // 3
    return strayed


@pytest.mark.parametrize("wire", ["float64", "float32"])
@pytest.mark.parametrize("init", ["gradient", "zero"])
@pytest.mark.parametrize("name", DOWN)
def test_both_ends_hold_the_same_x(name, init, wire):
    method = nf.ef21(compressor=nf.TopK(2), down=DOWN[name], init=init, wire=wire, stepsize=0.3)
    assert strays(dense_glm(), method, 15) == 0


@pytest.mark.parametrize("part", [nf.Uniform(1), nf.Independent(0.3)], ids=["uniform", "independent"])
@pytest.mark.parametrize("init", ["gradient", "zero"])
def test_also_those_who_were_away(init, part):
    """A direction told whole in round 0 is forgotten with the others where the mechanism forgets."""
    method = nf.ef21_pp(
        compressor=nf.TopK(2), down=Diana(nf.Natural(), 0.0), init=init, participation=part, stepsize=0.1
    )
    assert strays(dense_glm(), method, 60) == 0


@pytest.mark.parametrize(
    "method",
    [
        nf.artemis(participation=nf.Independent(0.4), stepsize=0.1),
        nf.ef21_pp(participation=nf.Independent(0.4), stepsize=0.1, wire="float32", compressor=nf.TopK(2)),
    ],
    ids=["artemis", "float32"],
)
def test_a_single_client_may_be_away_too(method):
    assert strays(dense_glm(n=1), method, 60) == 0


@pytest.mark.parametrize("down", [BAG(0.05), CBAG(nf.TopK(5), 0.05), ThreePCv5(K3, 0.05), Marina(R3, 0.05)])
@pytest.mark.parametrize("init", ["gradient", "zero"])
def test_the_server_speaks_in_round_0_whatever_its_coin(down, init):
    result = nf.solve(dense_glm(), nf.ef21(compressor=K3, init=init, down=down, stepsize=0.1), rounds=150, tol=0.0)
    assert result.rounds == 150 and result.history[1].step > 0


def test_a_long_silence_of_the_server_is_no_stall():
    """One direction for some 250 rounds leads past the minimum, and f rises for long before the next is told."""
    method = nf.ef21(compressor=K3, down=BAG(0.004), stepsize=0.1)
    result = nf.solve(dense_glm(), method, rounds=300, tol=0.0)
    values = [record.f for record in result.history]
    assert result.rounds == 300 and int(np.argmin(values)) < 190


def test_down_with_a_share_that_stands_for_the_dimension():
    """Multiples of d are made numbers before the sockets are compared."""
    with pytest.raises(ValueError, match="who was away would hold another estimate"):
        nf.ef21_bc(participation=nf.Uniform(2)).resolved(dense_glm())
