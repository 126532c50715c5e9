"""The model of clients that work at different speeds: each answers about the iterate of its job's round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts
from newtonfl.components.model.sent import ExactModel, ServerModelState, equal_memory
from newtonfl.components.step.step_size import StepSize
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import Key


class Jobs(Protocol):
    """What a participation says of its clients' jobs."""

    def given_at(self, n_clients: int, key: Key) -> tuple[int, int]:
        """The rounds of the iterates that this round's answer, and the job that is assigned after it, are about."""


@dataclass
class ServerDelayedState(ServerModelState):
    """The server's account of the jobs that are under way.

    Attributes
    ----------
    jobs : numpy.ndarray of int64, shape (jobs,)
        The rounds of the iterates that they are about.
    rounds : numpy.ndarray of int64, shape (k,)
        The rounds whose iterates are kept: the jobs', and the last that jobs were assigned with.
    points : array, shape (k, d)
        These iterates.
    """

    jobs: Array | None = None
    rounds: Array | None = None
    points: Array | None = None


@dataclass(frozen=True)
class DelayedModel(ExactModel):
    """x of the round in which a client's job was assigned goes down to it; the simulation lets it know that only now.

    What is sent, and what the client makes of it, is what it would be if it had got x at once and worked till now: so
    no client keeps a queue, and bytes and bits are those of an asynchronous run.

    Parameters
    ----------
    arrivals : Jobs
        Whose jobs are about which rounds.
    """

    arrivals: Jobs

    def init_server(self, x0: Array, apart: int, step_size: StepSize | None) -> ServerDelayedState:
        nothing = np.zeros(0, np.int64)
        return ServerDelayedState(equal_memory(x0), jobs=np.full(apart, 1), rounds=nothing, points=x0[None, :][:0, :])

    def announce(
        self, state: ServerModelState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[ServerModelState, Parts, dict[int, Parts]]:
        assert isinstance(state, ServerDelayedState)
        assert state.jobs is not None and state.rounds is not None and state.points is not None
        if recipients is None:  # all together
            after = ServerDelayedState(equal_memory(x), jobs=state.jobs, rounds=state.rounds, points=state.points)
            return after, {"model": Dense(to_host(x))}, {}
        xp, k = namespace(x), key.round
        rounds, points = np.append(state.rounds, k), xp.concat([state.points, x[None, :]])
        past, assigned = self.arrivals.given_at(len(state.jobs), key)
        z = points[int(np.searchsorted(rounds, past)), :]
        jobs = np.append(np.delete(state.jobs, int(np.argmax(state.jobs == past))), assigned)
        kept = np.flatnonzero(np.isin(rounds, np.append(jobs, min(assigned, k))))
        points = xp.take(points, to_device(kept, points), axis=0)
        after = ServerDelayedState(equal_memory(z), jobs=jobs, rounds=rounds[kept], points=points)
        return after, {"model": Dense(to_host(z))}, {}
