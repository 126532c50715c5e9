"""Fib-IOS, also Fib-SHED (Dal Fabbro, Dey, Rossi and Schenato, arXiv 2202.05800): eigenvectors sent a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.laws import powers
from newtonfl.comm.messages import Dense, Integers, Message, Nothing
from newtonfl.comm.parts import Parts, Sizes
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants, Replies
from newtonfl.components.step.backtracking import MOST_TRIALS
from newtonfl.components.step.base import NoStep, SingularStep
from newtonfl.components.step.trials import falls, finite
from newtonfl.compressors.grid import Grid, half_octaves
from newtonfl.core.arguments import a_factor, whole, within
from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.kernels import cholesky, cholesky_solve, eigh
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem

_SHORTEST = 1e-6  # the line search gives up below this step


@method("fib-ios")
def fib_ios(*, eigenvectors: int = 1, alpha: float = 0.5, beta: float = 0.9, grid: float = 0.0) -> FibIOS:
    """Fib-IOS: Newton's method on Hessians whose eigenvectors arrive a few a round (SHED, arXiv 2202.05800).

    Client i decomposes ∇²f_i = Σ λ_j v_j v_jᵀ, λ_1 ≥ … ≥ λ_d, at its last renewal only, and sends the largest pairs
    first. Of the first q the server makes, with ρ_i = λ_{q+1} sent anew each round,

        Ĥ_i = Σ_{j≤q} (λ_j - ρ_i) v_j v_jᵀ + ρ_i I ⪰ ∇²f_i(x at the renewal),    x⁺ = x - t (mean Ĥ_i)⁻¹∇f(x),

    t the first of 1, β, β², … with f(x⁺) ≤ f(x) - αt⟨∇f(x), (mean Ĥ_i)⁻¹∇f(x)⟩; below 1e-6 the run ends
    (NoStep). Hessians are renewed, and q is 0 again, in the rounds 1, 2, 4, 7, 12, 20, … counted from one, the
    sums of Fibonacci's numbers 1, 1, 2, 3, 5, …. d - 1 pairs and ρ_i tell all of a Hessian; nothing follows them.

    The ridge is the server's: the data parts' eigenvectors are those of the whole where it is λI, and Ĥ the same.

    With `grid` the vectors are quantised, the more coarsely the smaller their eigenvalue is: what is sent is λ_j v_j,
    each coordinate rounded to the same grid, of the power of √2 at or below grid·λ_1/√d, and entropy coded. A vector of
    a half of λ_1 then has a bit less a coordinate. All vectors so have the same share in the error of Ĥ_i, for which a
    number of bits goes farthest (ours; Q-SHED, arXiv 2305.10852, allots bits to vectors, by a rule that was not at
    hand). Ĥ_i need not be above ∇²f_i then; the line search looks after that.

    What is sent: x down, f_i, ∇f_i, ρ_i and q' pairs of d + 1 numbers up; then the direction down once, and an exchange
    a trial step with one number up. The server keeps every client's pairs of the running renewal, n·q·(d + 1) numbers,
    because each ρ_i gives old ones new weights; a client keeps its decomposition, d² numbers.

    Parameters
    ----------
    eigenvectors : int
        q', how many pairs each client sends a round.
    alpha : float
        α of the line search, between 0 and 1: the share of the predicted fall that a step must reach.
    beta : float
        β of the line search, between 0 and 1: a trial step is β times the one before.
    grid : float
        How coarse the grid is, below 2; 0 sends vectors whole. The error is a share of λ_1, in which curvature much
        smaller than λ_1 drowns: on data of very unlike scales take a finer grid, or scale the columns.
    """
    made = whole("eigenvectors", eigenvectors), within("alpha", alpha, 0.0, 1.0), within("beta", beta, 0.0, 1.0)
    if a_factor("grid", grid):
        Grid(float(grid))  # says what it refuses
    return FibIOS(*made, float(grid))


@dataclass
class FibIOSServer:
    """What the server remembers.

    Attributes
    ----------
    x, rho : numpy.ndarray, shapes (d,) and (n,)
        The iterate and every client's ρ_i.
    values, vectors : arrays, shapes (n, q) and (n, q, d)
        The eigenpairs that each client has sent since its renewal, where the problem's data is.
    facts : ProblemConstants
    """

    x: Array
    rho: Array
    values: Array
    vectors: Array
    constants: ProblemConstants


@dataclass
class FibIOSClients:
    """What clients remember; every field has the clients' axis first.

    Attributes
    ----------
    model, direction : arrays, shape (n, d)
        The iterate and the line search's direction, as last received.
    tried : numpy.ndarray of int64, shape (n,)
        How many steps along it have been tried.
    values, vectors : arrays, shapes (n, d) and (n, d, d)
        Each client's eigenpairs at its renewal, the largest first, a vector a row.
    sent : numpy.ndarray of int64, shape (n,)
        How many of them have been sent.
    """

    model: Array
    direction: Array
    tried: Array
    values: Array
    vectors: Array
    sent: Array


@dataclass(frozen=True)
class FibIOS(Method):
    """See :func:`fib_ios`."""

    eigenvectors: int
    alpha: float
    beta: float
    grid: float = 0.0
    name: str = "fib-ios"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True)
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"eigenvectors": self.eigenvectors, "alpha": self.alpha, "beta": self.beta, "grid": self.grid}

    def components(self) -> dict[str, str]:
        return {"sends": "f_i, ∇f_i, eigenpairs and ρ_i; f_i at a trial, each", "ridge": "server"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], FibIOSClients]:
        n, dim, x = len(problem.clients), problem.dim, for_each(x0, problem)
        none = np.zeros(n, np.int64)
        pairs = zeros((n, dim), problem.like), zeros((n, dim, dim), problem.like)
        return [{} for _ in range(n)], FibIOSClients(x, 0.0 * x, none, *pairs, none)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> FibIOSServer:
        n, dim = constants.n_clients, constants.dim
        return FibIOSServer(to_host(x0), np.zeros(n), *_no_pairs(n, dim, constants.like), constants)

    @property
    def estimates_hessian(self) -> bool:
        return True

    def hessian_estimate(self, server: FibIOSServer) -> Array:
        return to_host(self._matrix(server))

    def round(self, server: FibIOSServer, exchange: Exchange, key: Key) -> FibIOSServer:
        constants, x = server.constants, server.x
        if renews(key.round):
            empty = _no_pairs(constants.n_clients, constants.dim, constants.like)
            server = replace(server, values=empty[0], vectors=empty[1])
        more = self._more(server.values.shape[1], constants.dim)
        size = {"value": 1, "constant": 1, "eigenpairs": more * (constants.dim + 1)}
        if self.grid:
            size |= {"eigenpairs": more, "subspace": more * constants.dim}

        def sizes(part: str, clients: Array, decoded: Sequence[Parts]) -> int:
            return size.get(part, constants.dim)

        replies = exchange(Announcement(key.round, {"model": Dense(x)}), sizes)
        server = self._learn(server, replies, more)
        g = mean(replies, "gradient") + constants.ridge * x
        factor = cholesky(self._matrix(server))
        if factor is None:
            raise SingularStep("the mean of the clients' Ĥ_i is not positive definite")
        p = -to_host(cholesky_solve(factor, to_device(g, constants.like)))
        slope = float(g @ p)

        def whole_value(replies: Replies, x: Array) -> float:
            return float(mean(replies, "value")[0]) + 0.5 * float(constants.ridge @ x**2)

        f, step, tried = whole_value(replies, x), 1.0, 0
        replies = exchange(Announcement(key.round, {"direction": Dense(p)}), sizes)
        while not falls(f, whole_value(replies, x + step * p), self.alpha * step * slope):
            step *= self.beta
            tried += 1
            if step < _SHORTEST or tried > MOST_TRIALS:
                raise NoStep(f"no step of {_SHORTEST:g} or more along Fib-IOS's direction makes f fall enough")
            replies = exchange(Announcement(key.round, {"trials": Nothing()}), sizes)
        return replace(server, x=x + step * p)

    def _learn(self, server: FibIOSServer, replies: Replies, more: int) -> FibIOSServer:
        """The server after `more` eigenpairs of each client and its new ρ_i."""
        if "constant" not in replies.parts[0]:
            return server
        xp, like, dim = namespace(server.values), server.constants.like, server.constants.dim
        news = np.stack([message.coordinates()[1] for message in replies.messages("eigenpairs")])
        if self.grid:
            values, scaled = news, [_whole(message, more * dim) for message in replies.messages("subspace")]
            vectors = np.stack(scaled).reshape(len(news), more, dim) / np.where(values > 0.0, values, 1.0)[:, :, None]
        else:
            pairs = news.reshape(len(news), more, dim + 1)
            values, vectors = pairs[:, :, 0].copy(), pairs[:, :, 1:].copy()
        return replace(
            server,
            values=xp.concat([server.values, to_device(values, like)], axis=1),
            vectors=xp.concat([server.vectors, to_device(vectors, like)], axis=1),
            rho=replies.scalars("constant"),
        )

    def _matrix(self, server: FibIOSServer) -> Array:
        """(1/n) Σ Ĥ_i and the ridge, shape (d, d)."""
        xp, (n, q, dim), like = namespace(server.vectors), server.vectors.shape, server.constants.like
        rows = xp.reshape(server.vectors, (n * q, dim))
        weights = xp.reshape(server.values - to_device(server.rho, like)[:, None], (n * q, 1)) / n
        return (weights * rows).T @ rows + to_device(np.diag(server.rho.mean() + server.constants.ridge), like)

    def respond(
        self, clients: FibIOSClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], FibIOSClients]:
        parts = announcement.to_all
        if "model" in parts:
            return self._tell(clients, received(parts["model"], problem), announcement.round, problem)
        if "direction" in parts:
            p = for_each(received(parts["direction"], problem), problem)
            clients = replace(clients, direction=p, tried=0 * clients.tried)
        step = 1.0
        for _ in range(int(clients.tried[0])):  # as the server shortens it, to the bit
            step *= self.beta
        values = problem.at(clients.model[0, :]).value_along(clients.direction[0, :], [step])
        replies: list[Parts] = [{"value": message} for message in messages(finite(values))]
        return replies, replace(clients, tried=clients.tried + 1)

    def _tell(
        self, clients: FibIOSClients, x: Array, round: int, problem: Problem
    ) -> tuple[Sequence[Parts], FibIOSClients]:
        """f_i, ∇f_i and the next eigenpairs with ρ_i, the eigenvalue that comes after them."""
        xp, point = namespace(x), problem.at(x)
        clients = replace(clients, model=for_each(x, problem))
        if renews(round):
            pairs = [eigh(point.hessian(i)) for i in range(len(problem.clients))]
            clients.values = xp.stack([xp.flip(values) for values, _ in pairs])
            clients.vectors = xp.stack([xp.flip(vectors.T, axis=0) for _, vectors in pairs])
            clients.sent = 0 * clients.sent
        done = int(clients.sent[0])
        more = self._more(done, problem.dim)
        both = zip(messages(point.value[:, None]), messages(point.gradient), strict=True)
        replies: list[Parts] = [{"value": value, "gradient": gradient} for value, gradient in both]
        if more or renews(round):
            until = done + more
            values, vectors = clients.values[:, done:until], clients.vectors[:, done:until, :]
            rho = messages(clients.values[:, until : until + 1])
            if self.grid:
                columns = {"eigenpairs": messages(values), "subspace": self._rounded(values, vectors, clients.values)}
            else:
                columns = {"eigenpairs": messages(xp.concat([values[:, :, None], vectors], axis=2))}
            for i, reply in enumerate(replies):
                reply |= {part: sent[i] for part, sent in columns.items()} | {"constant": rho[i]}
            clients.sent = clients.sent + more
        return replies, clients

    def _rounded(self, values: Array, vectors: Array, spectra: Array) -> Sequence[Message]:
        """Every client's λ_j v_j, end to end, on the grid of its λ_1."""
        scaled = to_host(values)[:, :, None] * to_host(vectors)
        n, size = len(scaled), scaled.shape[1] * scaled.shape[2]
        first = to_host(spectra)[:, 0]
        usable = np.isfinite(scaled).all(axis=(1, 2)) & (first > 0.0) & (size > 0)
        exponents = half_octaves(self.grid * np.where(usable, first, 1.0) / np.sqrt(vectors.shape[2]))[usable]
        codes = np.rint(scaled[usable].reshape(len(exponents), size) / powers(8 * exponents)[:, None]).astype(np.int64)
        coded = iter(Integers.of_many(codes.ravel(), np.full(len(codes), size), exponents))
        # Of a Hessian that is zero, or a number, nothing is to be said; and what is not finite is refused as it is.
        curved = (first != 0.0) & (size > 0)
        return [next(coded) if usable[i] else Dense(scaled[i].ravel()) if curved[i] else Nothing() for i in range(n)]

    def _more(self, done: int, dim: int) -> int:
        """How many eigenpairs a client sends after `done`: with d - 1 of them and ρ_i all is sent."""
        return min(self.eigenvectors, dim - 1 - done)


def renews(round: int) -> bool:
    """Whether Hessians are computed anew in `round`, counted from zero: at sums of Fibonacci numbers less 1."""
    renewal, gap, following = 0, 1, 2
    while renewal < round:
        renewal, gap, following = renewal + gap, following, gap + following
    return renewal == round


def _whole(message: Message, size: int) -> Array:
    """The vector of a message, zeros of one that says nothing."""
    return message.coordinates()[1] if message.count else np.zeros(size)


def _no_pairs(n: int, dim: int, like: Array) -> tuple[Array, Array]:
    return zeros((n, 0), like), zeros((n, 0, dim), like)
