"""GradSkip: Scaffnew in which clients with easier functions stop computing gradients earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.protocol import Announcement
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.methods.local.scaffnew import Scaffnew, ScaffnewClients
from newtonfl.methods.settings import LOCAL, TheoryOr
from newtonfl.methods.standalone.exact import for_each, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class GradSkip(Scaffnew):
    """See :func:`gradskip`."""

    q: TheoryOr = "theory"
    _numbers: ClassVar[dict[str, int]] = {"steps": 1, "stepsize": 3}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.q, str) and not (is_number(self.q) and 0 <= self.q <= 1):
            raise ValueError(f"q: given {self.q!r}, must be 'theory' or a probability from 0 to 1")

    def components(self) -> dict[str, str]:
        return {"sends": "the mean and how many steps down; x_i - (γ/p)h_i up", "ridge": "clients"}

    def probabilities(self, server: Any) -> Array:
        """q_i, shape (n,): (1 - 1/κ_i)/(1 - 1/max κ_i) in theory; 1 where all are perfectly conditioned."""
        n = server.constants.n_clients
        if not isinstance(self.q, str):
            return np.full(n, float(self.q))
        smoothness = self.context(server.constants).total
        easy = 1.0 - server.constants.strong_convexity / smoothness
        return easy / easy.max() if easy.max() > 0.0 else np.ones(n)

    def client_constants(self, server: Any) -> Array:
        q = self.probabilities(server)
        return np.column_stack([np.tile(super().client_constants(server), (len(q), 1)), q])

    def local(
        self, clients: ScaffnewClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        weight = numbers[:, 1:2]
        y = for_each(received(announcement.to_all["model"], problem), problem)
        state = ScaffnewClients(numbers, clients.h + weight * (y - clients.y), y)
        steps = self.steps_in(announcement)
        owners = zip(to_host(numbers)[:, 2].tolist(), problem.clients, strict=True)
        stops = np.array([_first_tails(q, key.of(client)) for q, client in owners], np.int64)
        moving, some = np.arange(len(stops)), problem
        for step in range(1, min(steps, int(stops.max(initial=0))) + 1):
            if np.count_nonzero(stops >= step) < len(moving):
                moving = np.flatnonzero(stops >= step)
                some = problem.select(moving)
            own = take_clients(state, moving)
            gradient = self.gradient(some, own.y, key, step)
            # ĥ_i: on tails ∇f_i(x_i), so that the client does not move now, nor until the exchange.
            h = namespace(y).where(to_device((stops[moving] == step)[:, None], y), gradient, own.h)
            after = ScaffnewClients(own.numbers, h, own.y - own.numbers[:, :1] * (gradient - h))
            state = put_clients(state, moving, after)
        return ManyParts({"model": messages(state.y - state.h / weight)}, len(problem.clients)), state


def _first_tails(q: float, key: Key) -> int:
    """At which step the coin of a client with the probability `q` of heads first falls on tails."""
    never = 2**62
    return never if q >= 1.0 else int(min(key.to("skip").generator().geometric(1.0 - q), never))


@method("gradskip", LOCAL)
def gradskip(*, stepsize: float | str = "theory", p: TheoryOr = "theory", q: TheoryOr = "theory") -> GradSkip:
    """GradSkip (Maranjyan, Safaryan and Richtárik, arXiv 2210.16402): Scaffnew with fewer gradients at easy clients.

    At each step client i throws a coin of its own, of probability q_i: ĥ_i = h_i on heads, ∇f_i(x_i) on tails; x_i ←
    x_i - γ(∇f_i(x_i) - ĥ_i), so that after tails it stands still and computes nothing until the exchange. Then x̄ =
    mean(x_i - (γ/p)ĥ_i) and h_i = ĥ_i + (p/γ)(x̄ - x_i).

    With q_i = (1 - 1/κ_i)/(1 - 1/max κ_i) and p = 1/√max κ_i the steps may be as long as Scaffnew's and the exchanges
    are as few; client i computes about min{κ_i, √max κ_i} gradients between two of them (the column `gradients`),
    Scaffnew's √max κ_i. q = 1 is Scaffnew.

    What is sent: x̄ and the number of steps down, x_i - (γ/p)ĥ_i up; γ, p/γ and q_i down, once.

    Parameters
    ----------
    q : float or "theory"
        q_i of all clients, from 0 to 1; "theory" is the above.
    """
    return GradSkip(stepsize, name="gradskip", p=p, q=q)
