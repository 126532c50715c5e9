"""DADAO: accelerated, decentralised and asynchronous; gradients and edges come as they come, in simulated time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Self, cast

import numpy as np
from scipy.linalg import expm
from scipy.sparse import csr_array

from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Message
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.graph import Graph
from newtonfl.components.graph.base import checked_edges
from newtonfl.components.mixed import Mixed
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.step_size import StepSize
from newtonfl.compressors import Identity
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.gossip.base import Gossip, Observer
from newtonfl.methods.local.base import LargestSmoothness
from newtonfl.methods.settings import GOSSIP, GraphForm
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem

_X, _X_FAST, _Y, _Y_FAST, _Z, _Z_FAST = range(6)


@dataclass(frozen=True)
class Events:
    """What happens in a round, as everybody draws it alike.

    Attributes
    ----------
    passed : float
        Seconds until the edge is used.
    edge : numpy.ndarray of int64, shape (2,)
        Whose.
    times : numpy.ndarray, shape (most, n)
        When client i computes its first, second, … gradient, in seconds from the round's beginning; infinite where it
        does not.
    """

    passed: float
    edge: Array
    times: Array


@dataclass(frozen=True)
class Chis:
    """χ₁ = 1/λ of the smallest eigenvalue above 0 of the Laplacian of the edges' probabilities, all alike, and χ₂ the
    largest ½(e_i - e_j)ᵀL⁺(e_i - e_j) over the edges."""

    first: float
    second: float

    @property
    def edges_per_second(self) -> float:
        """√(2χ₁χ₂) edges a second over the whole graph, a client computing one gradient a second."""
        return math.sqrt(2.0 * self.first * self.second)


@lru_cache(maxsize=16)
def chis(graph: Graph, n: int) -> Chis:
    """χ₁ and χ₂ of `graph` with n clients."""
    i, j = checked_edges(graph, n).T
    incidence = np.zeros((len(i), n))
    incidence[np.arange(len(i)), i], incidence[np.arange(len(i)), j] = 1.0, -1.0
    laplacian = incidence.T @ incidence / len(i)
    resistance = np.einsum("en,nm,em->e", incidence, np.linalg.pinv(laplacian, hermitian=True), incidence)
    return Chis(1.0 / float(np.linalg.eigvalsh(laplacian)[1]), 0.5 * float(resistance.max()))


@dataclass
class DadaoClients:
    """What clients remember.

    Attributes
    ----------
    numbers : array, shape (n, 2)
        L and μ.
    vectors : array, shape (n, 6, d)
        x, x̃, y, ỹ, z and z̃ of each client's own last event.
    since : numpy.ndarray, shape (n,)
        How many seconds ago that was, as the round begins.
    """

    numbers: Array
    vectors: Array
    since: Array

    @property
    def x(self) -> Array:
        """x_i, shape (n, d)."""
        return self.vectors[:, _X, :]


@dataclass(frozen=True)
class Dadao(Gossip):
    """See :func:`dadao`."""

    numbers: ClassVar[int] = 2
    whole: ClassVar[bool] = True

    @property
    def shares_draws(self) -> bool:
        return True

    def rule(self) -> LargestSmoothness:
        return LargestSmoothness(0.25, "1/(4 max L_i)")

    def components(self) -> dict[str, str]:
        return {"sends": "y_i + z_i over one edge, both ways", "ridge": "clients"}

    def resolved(self, problem: Problem) -> Self:
        if not problem.strong_convexity:
            raise ValueError("dadao: needs a ridge above 0 on every coordinate: its speeds are made of μ")
        checked_edges(self.graph, problem.n_clients)
        return super().resolved(problem)

    def expected_silent_rounds(self, n_clients: int) -> float:
        return max(chis(self.graph, n_clients).edges_per_second - 1.0, 0.0)  # until a client computes its next gradient

    def contraction_rate(self, server: Observer) -> float:
        L, mu = self.client_constants(server.step_size, server.constants)
        a_second = math.sqrt(0.5 * mu / L) / 8.0  # of this A of the flow between events is made
        return a_second / chis(self.graph, server.constants.n_clients).edges_per_second

    def mixing(self, n_clients: int, key: Key) -> csr_array:
        i, j = _events(self.graph, n_clients, key).edge
        return csr_array(([1.0, -1.0, 1.0, -1.0], ([i, i, j, j], [i, j, j, i])), shape=(n_clients, n_clients))

    def elapsed(self, n_clients: int, seed: int, round: int) -> float:
        clock = _clock(self.graph, n_clients, seed)
        while len(clock) <= round:
            passed = _events(self.graph, n_clients, Key(seed, len(clock))).passed
            clock.append((clock[-1] if clock else 0.0) + passed)
        return clock[round]

    def client_constants(self, step_size: StepSize, constants: ProblemConstants) -> Array:
        L, mu = 0.25 / step_size.stepsize, constants.strong_convexity
        if not mu / L > 1e-300:
            raise ValueError(f"dadao: μ/L = {mu:g}/{L:g} is too small for its speeds, which are made of √(μ/L)")
        return np.array([L, mu])

    def first_state(self, problem: Problem, x: Array, numbers: Array) -> DadaoClients:
        xp = namespace(x)
        vectors = xp.stack([x, x, *(0.0 * x for _ in range(4))], axis=1)
        return DadaoClients(numbers, vectors, np.zeros(len(problem.clients)))

    def encode(
        self, clients: DadaoClients, problem: Problem, key: Key
    ) -> tuple[dict[str, Sequence[Message]], DadaoClients]:
        events = _events(self.graph, problem.n_clients, key)
        vectors, last = clients.vectors, -clients.since  # last events, in seconds from the round's beginning
        L, mu = to_host(clients.numbers)[0].tolist() if len(problem.clients) else (1.0, 1.0)
        for due in events.times[:, problem.clients]:
            chosen = np.flatnonzero(np.isfinite(due))
            if len(chosen):
                some = _flowed(take_clients(vectors, chosen), (due - last)[chosen], L, mu)
                gradient = self.gradient(problem.select(chosen), some[:, _X, :], "full", key)
                vectors = put_clients(vectors, chosen, _stepped(some, gradient, L, mu))
                last[chosen] = due[chosen]
        ends = np.flatnonzero(np.isin(problem.clients, events.edge))
        if not len(ends):
            return {}, replace(clients, vectors=vectors, since=events.passed - last)
        some = _flowed(take_clients(vectors, ends), events.passed - last[ends], L, mu)
        last[ends] = events.passed
        clients = replace(clients, vectors=put_clients(vectors, ends, some), since=events.passed - last)
        sent = some[:, _Y, :] + some[:, _Z, :]
        return {"change": self.compressed(Identity(), sent, problem.select(ends), key)}, clients

    def mix(self, clients: DadaoClients, mixed: Mixed, problem: Problem, key: Key) -> DadaoClients:
        chosen = np.flatnonzero(np.isin(problem.clients, mixed.clients))
        if not len(chosen):
            return clients
        L, mu = to_host(clients.numbers)[0].tolist()
        of = chis(self.graph, problem.n_clients)
        shares = np.zeros(6)
        shares[[_Z, _Z_FAST]] = -0.5, -2.0 * of.first / of.edges_per_second / math.sqrt(0.5 * mu / L)
        some = take_clients(clients.vectors, chosen)
        some = some + to_device(shares, some)[None, :, None] * mixed.mixed["change"][:, None, :]
        return replace(clients, vectors=put_clients(clients.vectors, chosen, some))


def _flowed(vectors: Array, seconds: Array, L: float, mu: float) -> Array:
    """`vectors` (k, 6, d) after so many `seconds` (k,) without an event: v' = Av is solved exactly."""
    nu = 0.5 * mu
    s = math.sqrt(nu / L)
    A = np.zeros((6, 6))
    A[_X, [_X, _X_FAST]] = -s / 8.0, s / 8.0
    A[_X_FAST, [_X, _X_FAST]] = s / 8.0, -s / 8.0
    A[_Y, [_Y, _Y_FAST]] = -s / 4.0, s / 4.0
    A[_Y_FAST, [_X_FAST, _Y, _Z]] = -nu / (2.0 * s), -0.5 / s, -0.5 / s
    A[_Z, [_Z, _Z_FAST]] = -s / 4.0, s / 4.0
    A[_Z_FAST, [_Z, _Z_FAST]] = s / 8.0, -s / 8.0
    return namespace(vectors).matmul(to_device(expm(A * seconds[:, None, None]), vectors), vectors)


def _stepped(vectors: Array, gradient: Array, L: float, mu: float) -> Array:
    """`vectors` after a gradient event: r = ∇f_i(x) - νx - ỹ moves x, x̃ and ỹ."""
    nu = 0.5 * mu
    rest = gradient - nu * vectors[:, _X, :] - vectors[:, _Y_FAST, :]
    shares = np.zeros(6)
    shares[[_X, _X_FAST, _Y_FAST]] = -0.25 / L, -0.25 / math.sqrt(L * nu), 0.25 * math.sqrt(nu / L) + 1.0
    return vectors + to_device(shares, vectors)[None, :, None] * rest[:, None, :]


@lru_cache(maxsize=8)
def _events(graph: Graph, n: int, key: Key) -> Events:
    """What happens in the round of `key`: both processes forget, so that a round needs to know of no other."""
    draws, edges = key.of(SERVER).to("events").generator(), checked_edges(graph, n)
    passed = float(draws.exponential(1.0 / chis(graph, n).edges_per_second))
    edge = edges[draws.integers(len(edges))]
    counts = draws.poisson(passed, n)
    times = passed * draws.random((int(counts.max()), n))
    return Events(passed, edge, np.sort(np.where(np.arange(len(times))[:, None] < counts, times, np.inf), axis=0))


@lru_cache(maxsize=16)
def _clock(graph: Graph, n: int, seed: int) -> list[float]:
    """When rounds have ended, as far as somebody has wanted to know."""
    return []


@method("dadao", GOSSIP)
def dadao(*, graph: GraphForm = "ring", stepsize: float | str = "theory", wire: Precision = "float64") -> Dadao:
    """DADAO (Nabli, Oyallon, ICML 2023, arXiv 2208.00779): accelerated; every client and edge at its own times.

    A client computes gradients at the times of a Poisson process, one a second on average, and edges are used at those
    of another, √(2χ₁χ₂) a second over the whole graph, each as likely as any other: y_i + z_i goes over it both ways.
    In between six vectors of each client obey a linear differential equation, which is solved exactly when an event
    comes. A round is one use of an edge, with the gradients before it; the history's `time` is in those seconds. For
    each digit a client needs of the order of √(L/μ) gradients, and the graph n√(χ₁χ₂)√(L/μ) uses of edges, with χ₁ and
    χ₂ of :class:`newtonfl.methods.gossip.dadao.Chis`. The constants are those of the authors' program. An observer sees
    x_i as of the client's own last event.

    The step is 1/(4L) with L the largest L_i; another one is as if L were another. Events are drawn from the run's
    seed, which the set-up sends, eight bytes.

    What is sent: y_i + z_i, d numbers each way over one edge a round.
    """
    return Dadao(stepsize, cast(Graph, graph), wire, "dadao")
