"""Every part that is put under test, as plain lists, and tiny problems: a new part is one line here."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from newtonfl.bases import PSD, Basis, Coordinates, DataSubspace, Support, Symmetric
from newtonfl.comm.coding import PRECISIONS, Precision
from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import (
    Choice,
    Dense,
    Factors,
    Indices,
    Integers,
    Lattice,
    Levels,
    LowRank,
    Message,
    Nothing,
    Run,
    Several,
    Sparse,
)
from newtonfl.comm.packets import Packet, decode, encode
from newtonfl.compressors import (
    Compressor,
    RandK,
    RankR,
    Rounded,
    TopK,
)
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms import (
    BAG,
    CBAG,
    CLAG,
    EF21,
    EFBV,
    LAG,
    AdaCGD,
    AdaptiveTopK,
    Dasha,
    Diana,
    EControl,
    Frozen,
    Marina,
    NoisyClip,
    ThreePCv1,
    ThreePCv2,
    ThreePCv3,
    ThreePCv4,
)  # fmt: skip
from newtonfl.methods import All, Arrivals, Independent, Uniform
from newtonfl.objectives.functions import FromFunctions
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Huber, Logistic, Poisson, Squared, SquaredHinge
from newtonfl.registry import coerce_maker, from_spec

DIM = 7
"""The dimension of the tiny problems."""


# --- labels that a loss takes, given a generator and the rows' true margins


def signs(draw: np.random.Generator, margins: np.ndarray) -> np.ndarray:
    return np.where(margins + draw.logistic(size=len(margins)) > 0, 1.0, -1.0)


def reals(draw: np.random.Generator, margins: np.ndarray) -> np.ndarray:
    return margins + draw.standard_normal(len(margins))


def counts(draw: np.random.Generator, margins: np.ndarray) -> np.ndarray:
    return draw.poisson(np.exp(margins)).astype(float)


# --- the parts

LOSSES = [
    ("logistic", Logistic(), signs),
    ("squared", Squared(), reals),
    ("huber", Huber(0.75), reals),
    ("squared-hinge", SquaredHinge(), signs),
    ("poisson", Poisson(), counts),
]

# name: as a text; a new compressor is one line here
COMPRESSORS: dict[str, Compressor] = {
    name: from_spec("compressor", text)
    for name, text in {
        "identity": "identity",
        "topk": "topk:5",
        "randk": "randk:5",
        "rank": "rank:2",
        "threshold": "threshold:0.5",
        "toplek": "toplek:5",
        "randseqk": "randseqk:5",
        "permk": "permk:3",
        "adaptive-random": "adaptive-random",
        "powersgd": "powersgd:2",
        "natural": "natural",
        "dithering": "dithering",
        "natural-dithering": "natural-dithering:4",
        "rounding": "rounding",
        "grid": "grid:0.5",
        "clip": "clip:2",
        "contracted": "contracted(randk:5)",
        "topk+natural": "topk:5+natural",
        "topk+dithering": "topk:5+dithering",
        "rank+natural": "rank:2+natural",
        "rank+dithering": "rank:2+dithering",
    }.items()
}

BASES: dict[str, Basis] = {
    "symmetric": Symmetric(),
    "symmetric-plain": Symmetric(isometric=False),
    "support": Support(),
    "support-diagonal": Support(diagonal=True),
    "data": DataSubspace(),
    "rotation": DataSubspace(complete=True),
    "psd": PSD(),
}

MECHANISMS: dict[str, Any] = {  # name: compressor → mechanism; a new one is one line, as "clag" is
    "ef21": lambda compressor: EF21(compressor),
    "ef21-theory": lambda compressor: EF21(compressor, "theory"),
    "ef21-before": lambda compressor: EF21(compressor, "theory", step_uses="before"),
    "clag": coerce_maker("mechanism", "clag:0.5"),
    "lag": lambda compressor: LAG(0.5),
    "cbag": coerce_maker("mechanism", "cbag:0.6"),
    "bag": lambda compressor: BAG(0.6),
    "v1": ThreePCv1,
    "v2": lambda compressor: ThreePCv2(compressor, RandK(3)),
    "v3": lambda compressor: ThreePCv3(compressor, CLAG(TopK(3), 0.5)),
    "v3-cbag": lambda compressor: ThreePCv3(compressor, CBAG(RandK(3), 0.6)),
    "v4": lambda compressor: ThreePCv4(compressor, TopK(3)),
    "v5": coerce_maker("mechanism", "3pc-v5:0.3"),
    "marina": lambda compressor: Marina(compressor, 0.3),
    "adacgd": lambda compressor: AdaCGD((TopK(1), TopK(3), compressor), 0.5),
    "adaptive-topk": AdaptiveTopK,
    "frozen": lambda compressor: Frozen(),
    "diana": lambda compressor: Diana(RandK(5)),
    "ef-bv": lambda compressor: EFBV(compressor, 0.3, 0.6),
    "ef-bv-theory": EFBV,
    "econtrol": EControl,
    "dasha": lambda compressor: Dasha(RandK(5)),
    "noisy-clip": lambda compressor: NoisyClip(0.5, 0.1, 0.7),
}

METHODS: list[tuple[str, dict[str, Any]]] = [
    ("gd", {}),
    ("newton", {}),
    ("newton-zero", {}),
    ("fednl", {}),
    ("fednl", {"compressor": TopK("1d"), "step": "project", "alpha": "theory"}),
    ("fednl", {"compressor": RandK("1d"), "shift_norm": "spectral"}),
    ("newton-3pc", {}),
    ("newton-3pc", {"compressor": RankR(1), "step_uses": "before"}),
    ("newton-3pc", {"basis": "symmetric-plain", "init": "zero-total"}),
    ("newton-3pc", {"ridge": "clients", "wire": "float32"}),
    ("newton-3pc", {"wire": "natural"}),
    ("dingo", {}),
    ("giant", {}),
    ("fib-ios", {}),
    ("nl1", {}),
    ("nl2", {}),
    ("cubic-newton-learn", {}),
    ("bl3", {}),
    ("gd", {"batch": 3}),
    ("ef21", {"down": TopK(2), "init": "zero", "ridge": "clients"}),
    ("ef21", {"wire": "natural", "batch": 4}),
    ("ef21-pp", {"wire": "float32", "participation": Independent(0.5)}),
    ("clag", {"wire": "float32", "down": RandK(3)}),
    ("adacgd", {"down": AdaCGD((TopK(1), TopK(3)), 1.0), "levels": (TopK(1), RandK(3), TopK(5))}),
    ("artemis", {"down": "exact", "participation": All(), "wire": "float32"}),
    ("m-fac", {"over": "aggregate", "compressor": TopK(3), "algorithm": "static"}),
    ("fedavg", {"batch": 3, "participation": Independent(0.5)}),
    ("scaffold", {"stepsize": "theory*40", "participation": Uniform(2)}),
    ("scallion", {"participation": Uniform(2)}),
    ("tamuna", {"participation": Uniform(3)}),
    ("fednl-pp", {"participation": Arrivals("random")}),
    ("byz-vr-marina-pp", {"aggregator": "geometric-median", "tails": "mean", "batch": 3, "wire": "float32"}),
    ("robust-newton", {"mechanism": "cbag:0.7", "gradient": TopK(3), "ridge": "clients", "wire": "float32"}),
]

# (name, message at full precision, coordinates of its vector); LowRank's size is that of the triangle of dimension 3.
MESSAGES: list[tuple[str, Message, int]] = [
    ("nothing", Nothing(), 9),
    ("dense", Dense(np.array([1.5, -0.1, 0.0, 3e-5, -7e8])), 5),
    ("indices", Indices(np.array([0, 3, 4, 900])), 1000),
    ("integers", Integers.of_many(np.array([3, 0, -1, 0, -90]), np.array([5]), np.array([-7]))[0], 5),
    ("lattice", Lattice(bytes(range(256))), 77),
    ("sparse", Sparse(np.array([2, 3, 77]), np.array([0.3, -2.0, 1e-9])), 100),
    ("run", Run(5, np.array([0.7, -0.6, 0.1]), 7), 7),
    ("lowrank", LowRank(np.array([[1.1, 0.2, -0.3], [0.0, -2.3, 0.4]]), np.array([1.0, -1.0])), 6),
    ("levels", Levels(np.array([3, 0, -1, 0, 0, 1, -2]), np.array([0.7]), 3), 7),
    ("levels-powers", Levels(np.array([9, -1, 0, -8]), np.array([0.3, 4.0]), 9, 2, np.array([2, 50, 51, 98])), 100),
    ("factors", Factors(Dense(np.array([1.1, 0.2, -0.3, 0, 2.3, 4])), Dense(np.array([1, 0.5, -7, 1e3, 0, 1])), 2), 6),
    (
        "factors-levels",
        Factors(
            Levels(np.array([2, 0, -1, 0, 1, 2]), np.array([1.5, 0.1]), 2),
            Levels(np.array([5, -4, 0, 0, 1, 5]), np.array([2.0, 8.0]), 5, 2),
            2,
        ),
        6,
    ),
    ("choice", Choice(3, Sparse(np.array([2, 7]), np.array([0.3, -2.0]))), 9),
    ("several", Several((Sparse(np.array([1, 4]), np.array([0.3, -2.0])), Run(3, np.array([0.7, 0.1]), 5))), 5),
]


# --- tiny problems


def glm(rows: Any, labels: np.ndarray, sizes: Any, loss: Any, weights: np.ndarray | None = None, **rest: Any) -> GLM:
    """A GLM that holds all its clients, with ridge 0.1 unless another is given."""
    total = len(labels) if weights is None else weights.sum()
    settings = {"n_clients": len(sizes), "ridge": 0.1, "objective": "a test"} | rest
    return GLM(rows, labels, sizes, loss, total, weights, **settings)


def labelled(name: str, rows: np.ndarray, draw: np.random.Generator) -> tuple[Any, np.ndarray]:
    """The loss `name`, and labels that it takes for `rows`."""
    loss, maker = next((loss, maker) for known, loss, maker in LOSSES if known == name)
    return loss, maker(draw, rows @ draw.standard_normal(rows.shape[1]))


def dense_glm(loss: str = "logistic", n: int = 4, seed: int = 0, dim: int = DIM, **rest: Any) -> GLM:
    """Dense rows on `n` clients of unequal size."""
    draw = np.random.default_rng(seed)
    sizes = [6 + 5 * i % 7 for i in range(n)]
    rows = 0.6 * draw.standard_normal((sum(sizes), dim))
    kind, labels = labelled(loss, rows, draw)
    return glm(rows, labels, sizes, kind, **rest)


def sparse_glm(loss: str = "logistic", n: int = 4, seed: int = 0, dim: int = DIM, **rest: Any) -> GLM:
    """CSR rows on `n` clients of unequal size; one row in four is empty, and so are all those of client 1."""
    draw = np.random.default_rng(seed)
    sizes = [6 + 5 * i % 7 for i in range(n)]
    rows = draw.standard_normal((sum(sizes), dim)) * (draw.random((sum(sizes), dim)) < 0.3)
    rows[::4] = 0.0
    rows[sizes[0] : sum(sizes[:2])] = 0.0
    kind, labels = labelled(loss, rows, draw)
    return glm(scipy.sparse.csr_array(rows), labels, sizes, kind, **rest)


def unlike_clients(n: int = 8, rows: int = 30, dim: int = 10) -> GLM:
    """Logistic regression, ridge 0.1, whose clients' rows grow and whose labels follow coefficients of their own."""
    draw = np.random.default_rng(0)
    clients = [(0.3 + 0.35 * i) * draw.standard_normal((rows, dim)) for i in range(n)]
    common, own = draw.standard_normal(dim), draw.standard_normal((n, dim))
    margins = np.concatenate([a @ (common + 0.7 * w) for a, w in zip(clients, own, strict=True)])
    labels = np.where(margins + draw.logistic(size=n * rows) > 0, 1.0, -1.0)
    return glm(np.concatenate(clients), labels, [rows] * n, Logistic())


def like_clients(n: int = 10, rows: int = 30, dim: int = 10) -> GLM:
    """Logistic regression, ridge 0.1, whose clients all hold the same rows."""
    draw = np.random.default_rng(0)
    own = draw.standard_normal((rows, dim))
    labels = np.where(own @ draw.standard_normal(dim) + draw.logistic(size=rows) > 0, 1.0, -1.0)
    return glm(np.tile(own, (n, 1)), np.tile(labels, n), [rows] * n, Logistic())


def as_dense(problem: GLM) -> GLM:
    """The same problem with its rows as a dense array."""
    rows, labels, weights = problem.host
    return glm(rows.toarray(), labels, problem.rows.offsets[1:] - problem.rows.offsets[:-1], problem.loss, weights)


def functions_problem(n: int = 3, seed: int = 0) -> tuple[FromFunctions, np.ndarray]:
    """f_i = ½ xᵀA_i x - b_iᵀx, and its minimiser (Σ A_i)⁻¹ Σ b_i."""
    draw = np.random.default_rng(seed)
    factors = draw.standard_normal((n, DIM, DIM))
    a = factors @ factors.transpose(0, 2, 1) / DIM + 0.5 * np.eye(DIM)
    a = (a + a.transpose(0, 2, 1)) / 2
    b = draw.standard_normal((n, DIM))
    problem = FromFunctions(
        n, DIM, lambda i, x: 0.5 * x @ a[i] @ x - b[i] @ x, lambda i, x: a[i] @ x - b[i], lambda i, x: a[i]
    )
    return problem, np.linalg.solve(a.sum(axis=0), b.sum(axis=0))


# --- what several test files need


def on_wire(name: str, precision: Precision, dim: int = DIM) -> Compressor | None:
    """The compressor `name` at a precision, or None where the library refuses that pair."""
    try:
        return Rounded(COMPRESSORS[name], precision).for_dimension(dim)
    except ValueError:
        return None


def wired() -> list[tuple[str, Precision]]:
    """Every compressor with every precision that it can have."""
    return [(name, precision) for name in COMPRESSORS for precision in PRECISIONS if on_wire(name, precision)]


def carried(message: Message, size: int) -> Message:
    """The `message` after a journey: encoded into a packet and decoded from its bytes."""
    sent = encode(Packet(Kind.REPLY, 0, 0, 0, {"curvature": message}))
    packet, _ = decode(memoryview(sent), lambda part, client, heard: size)
    return packet.parts["curvature"]


def same_message(a: Message, b: Message) -> bool:
    """Whether two messages are one form at one precision and tell the same bits."""
    if type(a) is not type(b) or a.precision != b.precision:
        return False
    if isinstance(a, Factors) and isinstance(b, Factors):
        return a.rank == b.rank and same_message(a.left, b.left) and same_message(a.right, b.right)
    if isinstance(a, Choice) and isinstance(b, Choice):
        return a.level == b.level and same_message(a.message, b.message)
    if isinstance(a, Several) and isinstance(b, Several):
        return len(a.parts) == len(b.parts) and all(map(same_message, a.parts, b.parts))
    fields = ("indices", "values", "first", "size", "vectors", "signs", "codes", "scales", "s", "base")
    fields += ("exponent", "code")
    return all(np.array_equal(getattr(a, name, None), getattr(b, name, None)) for name in fields)


def vectors(coordinates: Coordinates, draw: np.random.Generator) -> Blocks:
    """A random vector for each client of `coordinates`."""
    return Blocks.of([draw.standard_normal(int(size)) for size in coordinates.sizes])


def points(problem: Any, count: int, seed: int = 0) -> list[np.ndarray]:
    """Random places to look at `problem`."""
    return list(0.5 * np.random.default_rng(seed).standard_normal((count, problem.dim)))
