"""Exact diffusion: gradient steps and mixing, without the bias that mixing gradient steps alone would have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Message
from newtonfl.components.graph import Graph
from newtonfl.components.mixed import Mixed
from newtonfl.compressors import Identity
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.methods.gossip.base import Gossip
from newtonfl.methods.local.base import LargestSmoothness
from newtonfl.methods.settings import GOSSIP, GraphForm
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class DiffusionClients:
    """What clients remember: η, shape (n, 1); x_i and ψ_i, shape (n, d)."""

    numbers: Array
    x: Array
    psi: Array


@dataclass(frozen=True)
class ExactDiffusion(Gossip):
    """See :func:`exact_diffusion`."""

    whole: ClassVar[bool] = True

    def rule(self) -> LargestSmoothness:
        return LargestSmoothness()

    def components(self) -> dict[str, str]:
        return {"sends": "φ_i to the neighbours", "ridge": "clients"}

    def first_state(self, problem: Problem, x: Array, numbers: Array) -> DiffusionClients:
        return DiffusionClients(numbers, x, x + 0.0)

    def encode(
        self, clients: DiffusionClients, problem: Problem, key: Key
    ) -> tuple[dict[str, Sequence[Message]], DiffusionClients]:
        psi = clients.x - clients.numbers * self.gradient(problem, clients.x, "full", key)
        phi = psi + clients.x - clients.psi
        return {"model": self.compressed(Identity(), phi, problem, key)}, replace(clients, x=phi, psi=psi)

    def mix(self, clients: DiffusionClients, mixed: Mixed, problem: Problem, key: Key) -> DiffusionClients:
        # X⁺ = W̃Φ with W̃ = (I + W)/2, from each client's own φ_i: where the wire rounds, the mean is not rounded.
        return replace(clients, x=clients.x - 0.5 * (mixed.sent["model"] - mixed.mixed["model"]))


@method("exact-diffusion", GOSSIP)
def exact_diffusion(
    *, graph: GraphForm = "ring", stepsize: float | str = "theory", wire: Precision = "float64"
) -> ExactDiffusion:
    """Exact diffusion (Yuan, Ying, Zhao, Sayed, arXiv 1702.05122): whole vectors to the neighbours, no server.

    Ψ⁺ = X - η∇F(X), Φ = Ψ⁺ + X - Ψ, X⁺ = ½(I + W)Φ, a row a client, from Ψ⁰ = X⁰. Mixing X - η∇F(X) itself would stop
    at a distance of the order of η from the minimiser; the correction X - Ψ has every client reach it. NIDS (Li, Shi,
    Yan, arXiv 1704.07807) is the same recursion with a first step that is not mixed. Both are from memory. The step is
    1/max L_i.

    What is sent: φ_i, d numbers to every neighbour.
    """
    return ExactDiffusion(stepsize, cast(Graph, graph), wire, "exact-diffusion")
