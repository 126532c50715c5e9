"""lattice-newton's server: the grids and the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.comm.heads import EVERYONE
from newtonfl.comm.messages import Indices, Lattice
from newtonfl.comm.parts import Parts, column
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants, Replies
from newtonfl.components.step.base import SingularStep
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.kernels import cholesky, cholesky_solve, damped_bfgs
from newtonfl.methods.standalone import lattice_messages as lattice
from newtonfl.methods.standalone.lattice_clients import CURVATURE, FIRST, STAY, TRY
from newtonfl.methods.standalone.lattice_curvature import Sampling, sampled_curvature

_MODEL_NOISE, _MODEL_CAP = 0.3, 0.4
_GRADIENT_NOISE, _GRADIENT_CAP = 0.25, 0.3
_TRIES = 3  # how often the start is halved
_PAIRS = 6  # that are kept where curvature comes anew
_GROWTH = 2.0
_STALLED = 4  # rounds in which ν should have halved
_MOST = 8
_FINER = 32.0
_GAIN = 0.1  # the share of the rounds to come that curvature saves, about


@dataclass
class LatticeServer:
    """What the server remembers, on the host.

    Attributes
    ----------
    x, z, g : numpy.ndarray, shape (d,)
        The answer so far, z - P⁻¹g; the anchor; and the gradient that has arrived there, ridge included.
    gradients, changes, levels : numpy.ndarray, shape (n, d)
        As the clients hold them.
    support : numpy.ndarray of bool, shape (n, d)
    P, scales : numpy.ndarray, shapes (d, d) and (d,)
        The estimate of ∇²f, and σ_j = (P⁻¹)_jj^(-1/2) in half octaves.
    integers : numpy.ndarray of int64, shape (d,)
        The model's last.
    pairs : list of (s, y)
        The last steps, and what the gradient changed by.
    starts : list of bytes, or None
        The clients' minimisers, until they are read.
    floor : float
        No noise need be less.
    rejected : numpy.ndarray, shape (d,), or None
        Where the last trial went too far, the step to try next.
    nu, rho, slow_rho : float
        ν as the last round had it, ν⁺/ν, and a slower mean of that.
    round, last_curvature, curvatures : int
        Rounds so far, when curvature came last, and how often anew.
    bytes_sent, curvature_bytes : float
        A client's bytes, of the rounds without curvature and of the last curvature.
    best_nu, best_round, level
        For the guard: ν and the round in which it had halved last, and how often it has not for long.
    """

    x: Array
    z: Array
    g: Array
    gradients: Array
    changes: Array
    levels: Array
    support: Array
    P: Array
    scales: Array
    integers: Array
    pairs: list[tuple[Array, Array]]
    starts: list[bytes] | None
    constants: ProblemConstants
    floor: float
    rejected: Array | None = None
    nu: float = math.inf
    rho: float = 0.5
    slow_rho: float = 0.7
    round: int = 0
    last_curvature: int = 0
    curvatures: int = 0
    bytes_sent: float = 0.0
    curvature_bytes: float = 0.0
    best_nu: float = math.inf
    best_round: int = 0
    level: int = 0


def init_server(constants: ProblemConstants, x0: Array, messages: Sequence[Parts], accuracy: float) -> LatticeServer:
    """Nothing known but the supports; where x⁰ is zero, the clients' minimisers are yet to be read."""
    n, dim, z = constants.n_clients, constants.dim, to_host(x0)
    support, zeros = np.zeros((n, dim), bool), np.zeros((n, dim))
    for row, message in zip(support, column(messages, "support"), strict=True):
        if not isinstance(message, Indices):
            raise WireError(f"round 0, support: a {type(message).__name__} message where a set was to come")
        row[message.indices] = True
    starts = None if z.any() else lattice.codes_of(column(messages, "start"))
    return LatticeServer(
        z, z, z, zeros, zeros, zeros, support, np.eye(dim), np.ones(dim), np.zeros(dim, np.int64), [], starts,
        constants, 0.35 * math.sqrt(2.0 * accuracy),
    )  # fmt: skip


def first_point(server: LatticeServer, exchange: Exchange, key: Key, sampling: Sampling) -> None:
    """The mean of the clients' minimisers, halved until ⟨∇f(z), z⟩ promises f(z) ≤ f(0) or nearly; curvature there."""
    n, ridge = server.constants.n_clients, server.constants.ridge
    grid, integers = lattice.start_grid(n), None
    if server.starts is not None:
        u = lattice.dither(key.at(-1), np.arange(n), len(ridge), "start")
        with lattice.reading(0, "start", np.arange(n)):
            points = lattice.decode_starts(server.starts, u, server.support)
        integers, server.starts = np.rint(np.mean(points, axis=0) / grid).astype(np.int64), None
    for tried in range(_TRIES + 1):
        parts: Parts = {}
        if integers is not None:
            server.z, parts = integers * grid, {"model": Lattice(lattice.encode_point(integers))}
        coins = FIRST | CURVATURE | tried << TRY
        replies = exchange(Announcement(key.round, parts, coins=coins), lattice.sizes(server.constants.dim))
        with lattice.reading(key.round, "gradient", replies.clients):
            codes = lattice.codes_of(replies.messages("gradient"))
            server.changes = lattice.decode_first_changes(codes, server.support)
        server.gradients = server.gradients + server.changes
        _learn(server, replies, exchange, key.to(f"try {tried}"), sampling)
        server.g = np.mean(server.gradients, axis=0) + ridge * server.z
        if integers is None or float(server.g @ server.z) <= 0.5 * float(server.z @ (server.P @ server.z)):
            break
        integers = np.rint(integers / 2.0).astype(np.int64)
    server.scales = lattice.of_half_octaves(np.rint(-np.log2(np.diag(np.linalg.inv(server.P)))))
    server.curvatures = 0  # anew
    aim(server)


def trial(server: LatticeServer, exchange: Exchange, key: Key, sampling: Sampling) -> None:
    """A trial, the gradients there, what P learns of them, and the anchor moved unless it went too far."""
    ridge = server.constants.ridge
    server.round += 1
    nu = server.nu = _norm(server, server.g)
    learns = sampling.count(server.constants.n_clients, 0) > 0  # else P learns from steps alone, as long as it takes
    stalled = learns and _guard(server, nu)
    exponents = _exponents(server, nu)
    grids = lattice.of_half_octaves(exponents)
    unit, grid = grids[0] / server.scales, grids[1] * server.scales
    integers = lattice.integers_of((server.x - server.z) / unit)
    lattice.check_codes(integers)
    parts: Parts = {"model": Lattice(lattice.encode_step(integers, server.integers, exponents))}
    if server.round == 1:
        parts["scale"] = Lattice(lattice.encode_scales(np.rint(2.0 * np.log2(server.scales)).astype(np.int64)))
    fresh = stalled or (learns and _is_worth_it(server, nu, sampling))
    coins = CURVATURE * fresh | STAY * (server.rejected is not None)
    replies = exchange(Announcement(key.round, parts, coins=coins), lattice.sizes(server.constants.dim))
    predicted = lattice.predicted_changes(server.changes, server.levels, grid, server.scales, server.support)
    messages = replies.messages("gradient")
    with lattice.reading(key.round, "gradient", replies.clients):
        server.changes = lattice.decode_table(lattice.codes_of(messages), server.support, predicted) * grid
    server.gradients = server.gradients + server.changes
    server.integers = integers
    said = {part: [message] for part, message in parts.items()}
    server.bytes_sent += lattice.mean_bytes(key.round, np.array([EVERYONE]), said)
    server.bytes_sent += lattice.mean_bytes(key.round, replies.clients, {"gradient": messages})
    s = integers * unit
    z = server.z + s
    g = np.mean(server.gradients, axis=0) + ridge * z
    after = _norm(server, g)
    server.pairs = [*server.pairs[1 - _PAIRS :], (s, g - server.g)]
    if fresh:
        _learn(server, replies, exchange, key.to("try 0"), sampling)
    for pair in server.pairs if fresh else server.pairs[-1:]:
        server.P = damped_bfgs(server.P, *pair)
    before, ahead = abs(float(server.g @ s)), float(g @ s)
    if ahead > before:  # too far: the secant's point on the same line comes next, on finer grids
        server.rejected = s * max(0.1, before / (before + ahead))
        server.rho, server.slow_rho = 0.7 * min(server.rho, 0.5), 0.7
    else:
        server.slow_rho = float(np.clip(math.sqrt(server.rho * after / nu), 0.02, 0.95)) if nu else 0.02
        server.rho = float(np.clip(after / nu, 0.04, 1.0)) if nu else 0.04
        server.z, server.g, server.rejected = z, g, None
    aim(server)


def aim(server: LatticeServer) -> None:
    """The answer so far, which is where the next trial goes: no farther in P's norm than twice the last ν."""
    if server.rejected is None:
        step = -_solved(server, server.g)
        nu = math.sqrt(max(-float(server.g @ step), 0.0))
        server.x = server.z + step * (min(1.0, _GROWTH * server.nu / nu) if nu else 1.0)
    else:
        server.x = server.z + server.rejected


def _exponents(server: LatticeServer, nu: float) -> Array:
    """Both grids in half octaves: noises of 0.3 min(ρ, 0.4) ν, and once averaged of 0.25 min(ρ, 0.3)² ν."""
    n, dim = server.constants.n_clients, server.constants.dim
    while nu and nu < 2.8 * server.floor:
        server.floor /= _FINER
    model = max(_MODEL_NOISE * min(server.rho, _MODEL_CAP) * nu, server.floor) * math.sqrt(12 / dim)
    noise = _GRADIENT_NOISE * min(server.rho, _GRADIENT_CAP) ** 2 * nu
    gradient = max(noise, server.floor) * math.sqrt(12 * n / dim)
    sizes = (math.ldexp(size, -server.level) for size in (model, gradient))
    return np.array([lattice.half_octaves(size) for size in sizes])


def _guard(server: LatticeServer, nu: float) -> bool:
    """Whether ν has not halved for so many rounds that grids get finer, and curvature comes anew of more clients."""
    if nu <= 0.5 * server.best_nu:
        server.best_nu, server.best_round = nu, server.round
    if server.round - server.best_round < _STALLED:
        return False
    server.level, server.best_nu, server.best_round = min(server.level + 1, _MOST), nu, server.round
    return True


def _is_worth_it(server: LatticeServer, nu: float, sampling: Sampling) -> bool:
    """Whether curvature saves a tenth of the rounds to come for less than their bytes."""
    if server.round - server.last_curvature < 2 or server.curvatures >= sampling.refreshes:
        return False
    a_round = server.bytes_sent / max(server.round - 1, 1)
    to_come = math.log(max(nu / (2.8 * server.floor), 1.01)) / math.log(1.0 / server.slow_rho)
    return _GAIN * a_round * to_come > server.curvature_bytes


def _learn(server: LatticeServer, replies: Replies, exchange: Exchange, key: Key, sampling: Sampling) -> None:
    """P anew, where the `replies` have diagonals."""
    found = sampled_curvature(replies, exchange, key, server.support, server.constants, sampling, server.level)
    server.P, server.levels, server.curvature_bytes = found
    server.last_curvature, server.curvatures = server.round, server.curvatures + 1


def _solved(server: LatticeServer, g: Array) -> Array:
    factor = cholesky(server.P)
    if factor is None:
        raise SingularStep("lattice-newton's estimate of the Hessian is not positive definite")
    return cholesky_solve(factor, g)


def _norm(server: LatticeServer, g: Array) -> float:
    """√(gᵀP⁻¹g)."""
    return math.sqrt(max(float(g @ _solved(server, g)), 0.0))
