"""i-Scaffnew: Scaffnew with a step size of each client's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from newtonfl.comm.messages import batched
from newtonfl.components.protocol import Exchange
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.methods.local.scaffnew import Scaffnew, ScaffnewServer
from newtonfl.methods.settings import LOCAL, Batch, TheoryOr
from newtonfl.methods.standalone.exact import decoded
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class IScaffnew(Scaffnew):
    """See :func:`i_scaffnew`."""

    def stepsizes(self, server: ScaffnewServer) -> Array:
        """γ_i, shape (n,): by theory as many times larger than γ as L_i is smaller than the largest."""
        gamma, n = server.step_size.stepsize, server.constants.n_clients
        if not StepSizeSetting.of(self.stepsize).theory:
            return np.full(n, gamma)
        smoothness = self.context(server.constants).total
        return gamma * float(smoothness.max()) / smoothness

    def told(self, server: Any) -> Array:
        gammas = self.stepsizes(server)
        return np.column_stack([gammas, server.p / gammas])

    def round(self, server: ScaffnewServer, exchange: Exchange, key: Key) -> ScaffnewServer:
        announcement = self.announced(server, key, steps=np.array([float(self.steps(server, key))]))
        replies = exchange(announcement, lambda part, clients, decoded: len(server.x))
        weights = 1.0 / self.stepsizes(server)
        points = decoded(batched(replies.messages("model")), len(server.x), server.x)
        return replace(server, x=np.sum((weights / weights.sum())[:, None] * points, axis=0))


@method("i-scaffnew", LOCAL)
def i_scaffnew(*, stepsize: float | str = "theory", p: TheoryOr = "theory", batch: Batch = "full") -> IScaffnew:
    """i-Scaffnew (Yi, Condat and Richtárik, arXiv 2305.13170): Scaffnew with γ_i = 1/L_i in place of 1/max L_i.

    x_i ← x_i - γ_i(∇f_i(x_i) - h_i); at an exchange x̄ = γ̄ mean(x_i/γ_i) with 1/γ̄ = mean 1/γ_i, and h_i ← h_i +
    (p/γ_i)(x̄ - x_i). The rate is 1 - min{min γ_iμ, p²} a step: no client's steps are shorter for the sake of another.

    "theory" is γ_i = 1/L_i, a multiple of it that of all, and a number is everybody's γ, which is Scaffnew.

    What is sent: x̄ and the number of steps down, x_i up; γ_i down, once.
    """
    return IScaffnew(stepsize, batch, name="i-scaffnew", p=p)
