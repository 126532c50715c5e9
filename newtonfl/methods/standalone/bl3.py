"""BL3 (Qian, Islamov, Safaryan, Richtárik, arXiv 2111.01847, Algorithm 3): Basis Learn with a bound instead of l."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.bases import PSD, Coordinates, TriangleCoordinates, equal_blocks
from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.curvature.base import CurvatureRound, ErrorRequest
from newtonfl.components.curvature.learned import ClientHessianState, LearnedHessian, ServerHessianState
from newtonfl.components.gradient.invariant import InvariantGradient, moved_on, own_coin
from newtonfl.components.model.base import Model
from newtonfl.components.model.sent import ServerModelState
from newtonfl.components.participation import AmongAvailable, Participation, Uniform
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants, Replies, silent_rounds
from newtonfl.components.step.base import SingularStep
from newtonfl.components.step.newton import diagonal
from newtonfl.compressors import TopK
from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import SERVER, Key
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.mechanisms import Alpha, Memory
from newtonfl.methods.second_order.settings import SecondOrder
from newtonfl.methods.settings import SECOND_ORDER, CompressorForm, HessianInit, ParticipationForm, VectorForm
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Point, Problem

_LEAST = 1e-3  # c


@dataclass
class BL3Server:
    """What the server remembers: O(d²) numbers, and w_i (and z_i where the model is compressed) of every client.

    Attributes
    ----------
    x : array, shape (d,)
    model : ServerModelState
        z_i, what the clients see of x.
    learned : ServerHessianState
        The mean of the L_i.
    gamma, beta : numpy.ndarray, shape (n,)
        γ_i and β_i as they were sent last.
    g : array, shape (2d,)
        g_1 = (1/n) Σ A_i w_i, and behind it g_2 = (1/n) Σ C_i w_i + ∇f_i(w_i).
    points : array, shape (n, d)
        w_i.
    constants : ProblemConstants
    """

    x: Array
    model: ServerModelState
    learned: ServerHessianState
    gamma: Array
    beta: Array
    g: Array
    points: Array
    constants: ProblemConstants


@dataclass
class BL3Clients:
    """What clients remember; every field has the clients' axis first.

    Attributes
    ----------
    model, points, gradient : arrays, shape (n, d)
        z_i, w_i and ∇f_i(w_i).
    learner : ClientHessianState
        L_i.
    gamma : numpy.ndarray, shape (n,)
        γ_i.
    g : Memory
        g_{i,1} and behind it g_{i,2}, 2d numbers, as the server knows them.
    """

    model: Array
    points: Array
    gradient: Array
    learner: ClientHessianState
    gamma: Array
    g: Memory


@dataclass(frozen=True)
class BL3(Method):
    """See :func:`bl3`."""

    curvature: LearnedHessian
    gradient: InvariantGradient
    model: Model[ServerModelState, Array]
    participation: Participation
    c: float
    wire: Precision
    name: str = "bl3"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True)
        self.participation.check(problem.n_clients)
        self.participation.check_prompt(self.name)
        curvature, model = self.curvature.resolved(problem), self.model.for_dimension(problem.dim)
        return replace(self, curvature=curvature, model=model)

    def among_available(self, availability: Participation) -> Self:
        return replace(self, participation=AmongAvailable(self.participation, availability))

    def parameters(self) -> dict[str, str | float]:
        named = {**self.curvature.parameters(), **self.gradient.parameters(), **self.model.parameters()}
        return {**named, "c": self.c, "participation": str(self.participation), "wire": self.wire}

    def components(self) -> dict[str, str]:
        return {
            "model": self.model.to_spec(),
            "participation": str(self.participation),
            "gradient": "A_i w_i and C_i w_i + ∇f_i(w_i)",
            "curvature": "βA - C with " + ", ".join(f"{k}={v}" for k, v in self.curvature.parameters().items()),
            "sends": f"{self.curvature.sends}; A_i w_i and C_i w_i + ∇f_i(w_i); β_i",
        }

    @property
    def shares_draws(self) -> bool:
        return self.curvature.shares_draws

    def expected_silent_rounds(self, n_clients: int) -> float:
        return silent_rounds(self.participation.rarest(n_clients), self.model.chance, self.gradient.p)

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: self.curvature.setup_sizes(dim, part, decoded)

    # -- set-up

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], BL3Clients]:
        setup_messages, learner = self.curvature.init_clients(problem, x0, key)
        n = len(problem.clients)
        model = namespace(x0).broadcast_to(x0, (n, problem.dim)) + 0.0
        g = self.gradient.mechanism.init_memory(equal_blocks(zeros((n, 2 * problem.dim), x0)))
        return setup_messages, BL3Clients(model, model, 0.0 * model, learner, np.zeros(n), g)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> BL3Server:
        n, d = constants.n_clients, constants.dim
        learned = self.curvature.init_server(constants, setup_messages, np.full(n, 1.0 / n))
        model = self.model.init_server(x0, n if self.participation.partial else 0, None)
        points = namespace(x0).broadcast_to(x0, (n, d)) + 0.0
        return BL3Server(x0, model, learned, np.zeros(n), np.zeros(n), zeros(2 * d, constants.like), points, constants)

    # -- the server's side

    @property
    def estimates_hessian(self) -> bool:
        return True

    def hessian_estimate(self, server: BL3Server) -> Array:
        return self.curvature.hessian_estimate(server.learned, server.constants)

    def round(self, server: BL3Server, exchange: Exchange, key: Key) -> BL3Server:
        constants, mine = server.constants, key.of(SERVER)
        # Round 0 tells the server where everyone stands.
        part = None if key.round == 0 else self.participation.drawn(constants.n_clients, mine.to("participation"))
        model, to_all, to_one = self.model.announce(server.model, server.x, part, mine.to("model"))
        replies = exchange(Announcement(key.round, to_all, to_one, part, part), self._reply_sizes(server))
        server = self._aggregate(replace(server, model=model), replies, mine)
        beta, gamma = float(server.beta.max()), float(np.sum(server.gamma) / constants.n_clients)
        coordinates = server.learned.coordinates
        # βA - C with A = L + 2γΣB and C = 2γΣB.
        h = coordinates.square(beta * server.learned.mean + 2.0 * gamma * (beta - 1.0))
        factor = cholesky(h + diagonal(constants.ridge, constants))
        if factor is None:
            raise SingularStep("the matrix of the step is not positive definite")
        x = cholesky_solve(factor, beta * server.g[: constants.dim] - server.g[constants.dim :])
        return replace(server, x=x)

    def _aggregate(self, server: BL3Server, replies: Replies, key: Key) -> BL3Server:
        n, d = server.constants.n_clients, server.constants.dim
        weights, space = np.full(len(replies.clients), 1.0 / n), Coordinates(np.full(n, 2 * d))
        learned, _ = self.curvature.aggregate(server.learned, replies, weights, key.to("curvature"))
        g, gamma, beta = server.g, server.gamma.copy(), server.beta.copy()
        points = [server.points[i, :] for i in range(n)]
        z, scales = self.model.points(server.model, replies.clients), replies.scalars("scale")
        for j, (client, parts) in enumerate(zip(replies.clients, replies.parts, strict=True)):
            if "gradient" in parts:
                points[client], one = z[j, :], np.array([client])
                g, _ = self.gradient.mechanism.receive(g, [parts["gradient"]], space, weights[j : j + 1], one)
            else:
                change, w = float(scales[j] - gamma[client]), points[client]
                g = g + float(weights[j]) * self._change(server.learned.coordinates, int(client), parts, change, w)
        gamma[replies.clients], beta[replies.clients] = scales, replies.scalars("bound")
        return replace(server, learned=learned, gamma=gamma, beta=beta, g=g, points=namespace(server.x).stack(points))

    def _change(self, coordinates: TriangleCoordinates, i: int, parts: Parts, gamma: float, w: Array) -> Array:
        """What a round adds to A_i w and C_i w, `gamma` being γ_i's change: both ends work it out alike."""
        ones = 2.0 * gamma * _ones(w)
        learned = self.curvature.message_product(coordinates, i, parts.get("curvature"), 0.0, w)
        return namespace(w).concat([learned + ones, ones])

    def _reply_sizes(self, server: BL3Server) -> Sizes:
        own = {"scale": 1, "bound": 1, "gradient": 2 * server.constants.dim}
        return lambda part, clients, decoded: (
            own[part] if part in own else self.curvature.reply_sizes(server.learned, part, clients)
        )

    # -- the clients' side

    def respond(
        self, clients: BL3Clients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], BL3Clients]:
        if announcement.recipients is None:
            return self._reply(clients, announcement, problem, problem, None, key)
        chosen = np.flatnonzero(np.isin(problem.clients, announcement.recipients))
        if len(chosen) == 0:
            return [], clients
        part = take_clients(clients, chosen)
        replies, part = self._reply(part, announcement, problem.select(chosen), problem, chosen, key)
        return replies, put_clients(clients, chosen, part)

    def _reply(
        self, clients: BL3Clients, announcement: Announcement, problem: Problem, whole: Problem,
        chosen: Array | None, key: Key,
    ) -> tuple[Sequence[Parts], BL3Clients]:  # fmt: skip
        xp = namespace(problem.like)
        model, z = self.model.receive(clients.model, announcement, problem.clients)
        # Who takes part computes anew, whoever else is in the process.
        point = problem.at_uncached(z) if announcement.round > 0 else problem.at(z)
        about = CurvatureRound(
            announcement.round, point, whole, chosen, ErrorRequest(None, False), {}, key.to("curvature")
        )  # fmt: skip
        parts, learner = self.curvature.encode(clients.learner, about)
        coordinates, learned = self.curvature.coordinates(whole, chosen), learner.memory.estimate
        gamma, beta = self._bounds(learned, coordinates, point)
        heads = [
            announcement.round == 0 or own_coin(key.to("gradient").of(client), self.gradient.p)
            for client in problem.clients
        ]
        moves = to_device(np.array(heads)[:, None], model)
        points = xp.where(moves, model, clients.points)
        gradient = xp.where(moves, point.gradient, clients.gradient) if any(heads) else clients.gradient
        # Who keeps w_i moves its g_i as the server will: by the message.
        known, goals = list(clients.g.estimate), []
        for i, head in enumerate(heads):
            w = points[i, :]
            if head:
                ones = 2.0 * float(gamma[i]) * _ones(w)
                goals.append(xp.concat([coordinates.apply(i, learned[i], w) + ones, ones + gradient[i, :]]))
            else:
                known[i] = known[i] + self._change(coordinates, i, parts[i], float(gamma[i] - clients.gamma[i]), w)
                goals.append(known[i])
        space, before = Coordinates(clients.g.estimate.sizes), replace(clients.g, estimate=Blocks.of(known))
        sent = self.gradient.mechanism.send(before, Blocks.of(goals), space, problem.clients, key.to("g"))
        own = zip(gamma[:, None], beta[:, None], sent.messages, heads, strict=True)
        replies = [
            {**part, "scale": Dense(scale), "bound": Dense(bound), **({"gradient": g} if head else {})}
            for part, (scale, bound, g, head) in zip(parts, own, strict=True)
        ]
        memory = replace(sent.memory, own=moved_on(clients.g.own, sent.memory.own, heads))
        return replies, BL3Clients(model, points, gradient, learner, gamma, memory)

    def _bounds(self, learned: Blocks, coordinates: TriangleCoordinates, point: Point) -> tuple[Array, Array]:
        """γ_i = max{c, max abs(L_i)} and β_i = max (h̃_i + 2γ_i)/(L_i + 2γ_i), shape (n,) each, on the host."""
        xp = namespace(learned.values)
        floor = zeros(1, learned.values) + self.c
        gamma = [xp.max(xp.concat([floor, xp.abs(block)])) for block in learned]
        pairs = zip(gamma, learned, coordinates.coefficients(point), strict=True)
        beta = [xp.max((h + 2.0 * g) / (block + 2.0 * g)) for g, block, h in pairs]
        return to_host(xp.stack(gamma)), to_host(xp.stack(beta))


def _ones(w: Array) -> Array:
    """(Σ B) w over the whole basis: Σ B has d on its diagonal and 1 beside it."""
    return (w.shape[0] - 1.0) * w + namespace(w).sum(w)


@method("bl3", SECOND_ORDER)
def bl3(
    *,
    compressor: CompressorForm = TopK("1d"),
    alpha: Alpha = "auto",
    init: HessianInit = "hessian",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    participation: ParticipationForm = Uniform(0.5),
    wire: Precision = "float64",
    c: float = _LEAST,
) -> BL3:
    """BL3: Basis Learn in a basis of positive semidefinite matrices (arXiv 2111.01847, Algorithm 3).

    L_i learns the coefficients h̃_i(∇²f_i(z_i)) in the basis {e_j e_jᵀ, (e_j + e_l)(e_j + e_l)ᵀ} of matrices B ⪰ 0, as
    in BL2. With γ_i = max{c, max abs(L_i)} and β_i = max (h̃_i + 2γ_i)/(L_i + 2γ_i) client i knows that
    β_i A_i - C_i ⪰ ∇²f_i(z_i), A_i = Σ (L_i + 2γ_i)B and C_i = Σ 2γ_i B; the server takes β = max β_i, so that
    βA - C ⪰ ∇²f without an l, and x⁺ = (βA - C + λI)⁻¹(βg_1 - g_2) with g_{i,1} = A_i w_i and g_{i,2} = C_i w_i +
    ∇f_i(w_i). τ clients receive a compressed model each, learn at z_i, send γ_i and β_i, and with probability p move
    w_i to z_i and send the changes of both g_i; else the server works them out. It keeps z_i and w_i (2nd numbers).

    Conditions: every f_i μ-strongly convex with Lipschitz Hessians; local, as BL2; rate 1 - τ min{p, A_M}/(2n).

    Parameters
    ----------
    c : float
        c > 0, the least γ_i.
    """
    keywords = dict(locals())
    least = keywords.pop("c")
    if isinstance(least, (str, bool)) or not 0 < least < np.inf:
        raise ValueError(f"c: given {least!r}, must be a positive number")
    common = SecondOrder("bl3", **keywords, basis=PSD(), gradient="invariant")
    common.refuse_unused()
    return BL3(common.to_curvature(), common.to_invariant(), common.to_model(), common.participation, float(c), wire)
