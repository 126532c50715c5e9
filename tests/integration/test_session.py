"""The conversation itself: who hears, who speaks, what is counted, and replies that were not asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from cases import functions_problem
from packet_lengths import packet

import newtonfl as nf
from newtonfl.comm.packets import WireError
from newtonfl.comm.transport import InProcess
from newtonfl.methods import Announcement, Method
from newtonfl.solver.session import Session

SPEAKERS, HEARERS = np.array([0, 3]), np.array([0, 1, 3])


@dataclass(frozen=True)
class Selective(Method):
    """Clients 0, 1 and 3 hear, 0 and 3 speak, 1 alone gets a vector of its own; a coin is on."""

    name = "selective"

    def parameters(self):
        return {}

    def setup_sizes(self, dim):
        return lambda part, client, heard: dim

    def init_clients(self, problem, x0, key):
        return [{} for _ in problem.clients], None

    def init_server(self, facts, x0, setup_messages):
        return x0

    def round(self, server, exchange, key):
        announcement = Announcement(
            key.round, {"model": nf.Dense(server)}, {1: {"gradient": nf.Dense(2 * server)}}, HEARERS, SPEAKERS, coins=5
        )
        return exchange(announcement, lambda part, client, heard: len(server))

    def respond(self, clients, announcement, problem, key):
        told = announcement.to_one[1]["gradient"].values - announcement.to_all["model"].values
        assert announcement.coins == 5 and announcement.round == 7
        return [{"gradient": nf.Dense(told + client)} for client in SPEAKERS], clients


def test_who_hears_who_speaks_and_what_it_costs():
    problem, x_star = functions_problem(4)
    with Session(problem, Selective()) as session:
        session.init_clients(np.zeros(problem.dim))
        replies = session.method.round(x_star, session.exchange, nf.Key(0, 7))
        session.end({})
    assert replies.clients.tolist() == [0, 3]
    for client, message in zip(SPEAKERS, replies.messages("gradient"), strict=True):
        assert np.array_equal(message.values, (2 * x_star - x_star) + client)
    d = problem.dim
    up, to_all, to_one = packet(gradient=d), packet(coins=5, model=d), packet(coins=5, gradient=d)
    assert session.ledger.up.bytes.tolist() == [up, 0, 0, up]
    assert session.ledger.down.bytes.tolist() == [to_all, to_all + to_one, 0, to_all]
    assert session.ledger.down.formula_bits.tolist() == [32 * problem.dim * times for times in (1, 2, 0, 1)]


@dataclass(frozen=True)
class Silent(Selective):
    """Client 3 does not reply."""

    def respond(self, clients, announcement, problem, key):
        return super().respond(clients, announcement, problem, key)[0][:1], clients


@dataclass(frozen=True)
class TooLong(Selective):
    """Client 0 sends a vector that is too long."""

    def respond(self, clients, announcement, problem, key):
        replies = super().respond(clients, announcement, problem, key)[0]
        return [{"gradient": nf.Dense(np.zeros(problem.dim + 1))}, *replies[1:]], clients


@pytest.mark.parametrize(("method", "told"), [(Silent(), "round 7"), (TooLong(), "round 7, client 0, gradient")])
def test_a_wrong_reply_is_named(method, told):
    problem, x_star = functions_problem(4)
    with pytest.raises((WireError, ValueError)) as caught, Session(problem, method) as session:
        session.init_clients(np.zeros(problem.dim))
        session.method.round(x_star, session.exchange, nf.Key(0, 7))
    assert told in str(caught.value) + str(caught.value.__notes__)


class LaidOut(InProcess):
    """In process, with every packet laid out and read."""

    lays_out_all = True


def test_an_announcement_of_an_earlier_round_is_refused():
    """One that is played again: clients never go back."""
    problem, x_star = functions_problem(4)
    problem.transport = LaidOut()
    with (
        pytest.raises(WireError, match="round 6, the announcement: it comes after one of round 7"),
        Session(problem, Selective()) as session,
    ):
        session.init_clients(np.zeros(problem.dim))
        for round in (7, 7, 6):
            session.method.round(x_star, session.exchange, nf.Key(0, round))
