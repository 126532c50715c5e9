"""Lattice-Newton: second-order optimisation in a few kilobytes a client. Ours, in no paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.parts import Parts, Sizes
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.core.arguments import within
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.methods.standalone.lattice_clients import LatticeClients, init_clients, respond
from newtonfl.methods.standalone.lattice_curvature import Sampling
from newtonfl.methods.standalone.lattice_messages import sizes
from newtonfl.methods.standalone.lattice_server import LatticeServer, first_point, init_server, trial
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@method("lattice-newton")
def lattice_newton(
    *, accuracy: float = 1e-12, share: float = 0.15, least: int = 8, refreshes: int = 3
) -> LatticeNewton:
    """Lattice-Newton: Newton's method in integers, on grids as coarse as every round can bear. Ours, in no paper.

    Let ν² = ∇f(z)ᵀP⁻¹∇f(z), the server's own measure of twice the gap f - f*, and ρ = ν⁺/ν as the last round had it.

    Set-up: every client sends its own minimiser on the grid ½, and the server takes the mean z, halved until
    ⟨∇f(z), z⟩ ≤ ½zᵀPz: where it is below 0, f(z) ≤ f(0) is sure.
    Curvature: everyone's diagonal of ∇²f_i in half octaves, and ∇²f_i itself of the clients with the largest leverage
    Σ_j h_i,jj/(h_jj + λ_j); P has the sample's correlations and everyone's diagonal. It comes anew where a tenth of the
    rounds to come would cost more bytes.
    A round: x = z - P⁻¹∇f(z) is the answer so far. The server sends its step on a grid whose noise is 0.3 min(ρ, 0.4) ν
    in the norm of P; clients reply with their gradients' changes, on one whose noise is 0.25 min(ρ, 0.3)² ν in that of
    P⁻¹ once it is averaged. P learns by damped BFGS. A trial that went too far, ⟨∇f(z⁺), s⟩ > abs ⟨∇f(z), s⟩, is
    learned from, and the secant's point on the same line comes next. No value of f is sent.

    Integers are coded by a range coder under Laplace's laws of predicted magnitudes: both ends predict them from what
    has been sent before. Nothing is proved of it globally; where grids are fine it is BFGS from a good P.

    What is sent: each client's support and minimiser; then the step's integers and two exponents down, the changes'
    integers up; with curvature also d half octaves, and of the clients that are asked about d²/2 integers.

    Parameters
    ----------
    accuracy : float
        The f - f* that is wanted, about: no grid is finer than it needs. Beyond it they get finer again, by 32 at a
        time.
    share : float
        The share of the clients whose Hessians are asked for, from 0 to 1.
    least : int
        How many of them at least; with ``share=0,least=0`` no Hessian is ever formed, and P begins as a diagonal.
    refreshes : int
        How often curvature may come anew.
    """
    for name, number in (("least", least), ("refreshes", refreshes)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise ValueError(f"{name}: given {number!r}, must be a whole number of at least 0")
    sampling = Sampling(within("share", share, -1e-12, 1.0 + 1e-12), int(least), int(refreshes))
    return LatticeNewton(within("accuracy", accuracy, 0.0, 1.0), sampling)


@dataclass(frozen=True)
class LatticeNewton(Method):
    """See :func:`lattice_newton`."""

    accuracy: float
    sampling: Sampling
    name: str = "lattice-newton"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name)
        return self

    def parameters(self) -> dict[str, str | float]:
        sampling = self.sampling
        return {
            "accuracy": self.accuracy, "share": sampling.share, "least": sampling.least,
            "refreshes": sampling.refreshes,
        }  # fmt: skip

    def components(self) -> dict[str, str]:
        sends = (
            "∇f_i's change on a grid; some clients' ∇²f_i, and at times diagonals; at the start which columns its rows "
            "have, and its own minimiser in halves"
        )
        return {"sends": sends, "ridge": "server"}

    def numbers_per_client(self, problem: Problem) -> float:
        return problem.hessian_entries

    def setup_sizes(self, dim: int) -> Sizes:
        return sizes(dim)

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], LatticeClients]:
        return init_clients(problem, x0, key)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> LatticeServer:
        return init_server(constants, x0, setup_messages, self.accuracy)

    @property
    def estimates_hessian(self) -> bool:
        return True

    def hessian_estimate(self, server: LatticeServer) -> Array | None:
        return np.array(server.P) if server.curvature_bytes else None  # before that nobody has sent any

    def round(self, server: LatticeServer, exchange: Exchange, key: Key) -> LatticeServer:
        server = replace(server)  # what it holds is never changed in place
        if key.round == 0:
            first_point(server, exchange, key, self.sampling)
        else:
            trial(server, exchange, key, self.sampling)
        return server

    def respond(
        self, clients: LatticeClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], LatticeClients]:
        return respond(clients, announcement, problem, key)
