"""The public checks pass every part of the library, and fail parts that break a promise, saying which."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import BASES, COMPRESSORS, MECHANISMS, METHODS, dense_glm, functions_problem, sparse_glm
from mpi_programs.own_memory import Momentum

import newtonfl as nf
from newtonfl import registry
from newtonfl.bases import Coordinates, TriangleCoordinates
from newtonfl.checks import check_basis, check_compressor, check_mechanism, check_method
from newtonfl.comm.coding import PRECISIONS
from newtonfl.comm.ledger import Tally
from newtonfl.compressors import Rounded
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms import CBAG, CLAG, EF21, Marina, Mechanism, Memory
from newtonfl.methods import Announcement, Method
from newtonfl.registry.lookup import Entry, entries

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_own_compressor():
    """The block runs as it stands, and its compressor solves the problem."""
    block = next(b for b in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S) if "check_comp" in b)
    told: dict[str, Any] = {"__name__": __name__}
    exec(block, told)
    assert told["result"].converged and told["result"].method.curvature.mechanism.compressor == told["Sparsify"]()


# --- compressors


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressors(name):
    check_compressor(COMPRESSORS[name], dim=4, draws=25)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_compressors_at_a_precision(precision):
    check_compressor(Rounded(nf.TopK("1d"), precision), dim=5, draws=50)


@dataclass(frozen=True)
class Keeps(nf.Compressor):
    """Half of the entries, those of the largest magnitude; each subclass breaks one promise."""

    def contract(self, size):
        return nf.Contractive((size + 1) // 2 / size if size else 1.0)

    def compress(self, v, key):
        kept = np.sort(np.argsort(-abs(v), kind="stable")[: (len(v) + 1) // 2])
        return nf.Sparse(kept, v[kept])


class PromisesTooMuch(Keeps):
    def contract(self, size):
        return nf.Contractive(min(1.0, 0.01 + (size + 1) // 2 / max(size, 1)))


class NeedsCoordinates(Keeps):
    def contract(self, size):
        return nf.Contractive((size + 1) // 2 / size)


class PromisesNothing(Keeps):
    def contract(self, size):
        return 0.5


class SaysUnbiased(Keeps):
    def contract(self, size):
        return nf.Unbiased(3.0)


class Overwrites(Keeps):
    def compress(self, v, key):
        message = super().compress(v, key)
        v *= 0
        return message


class ReturnsArrays(Keeps):
    def compress(self, v, key):
        return v


class OutOfOrder(Keeps):
    def compress(self, v, key):
        message = super().compress(v, key)
        return nf.Sparse(message.indices[::-1], message.values[::-1])


class CountsOddly(Keeps):
    def compress(self, v, key):
        return replace(super().compress(v, key), formula_bits=1.5)


class OwnRandomness(Keeps):
    def compress(self, v, key):
        return nf.Dense(v * (1 + 1e-3 * np.random.default_rng().random()))


class NeverZero(Keeps):
    def compress(self, v, key):
        return nf.Dense(v + 1e-200)


class TwoWays(Keeps):
    def compress_all(self, vectors, keys):
        return [nf.Dense(v) for v in vectors]


class LooksAtNeighbours(Keeps):
    def compress_all(self, vectors, keys):
        return [nf.Dense(v / 2) if len(keys) == 3 else self.compress(v, key) for v, key in zip(vectors, keys)]  # noqa: B905


class Misnamed(Keeps):
    def to_spec(self):
        return "topk:1"


@dataclass(frozen=True)
class Grows(Keeps):
    k: int = 1

    def for_dimension(self, dim):
        return replace(self, k=self.k + 1)


class NoSuchInput(Keeps):
    acts_on = "tensor"


class NotFinite(Keeps):
    def compress(self, v, key):
        return nf.Dense(v * np.inf if len(v) == 5 else v)


class TwoPrecisions(Keeps):
    """Numbers that no float32 holds, in a message that says float32."""

    def compress(self, v, key):
        message = nf.Dense(np.asarray(v, np.float32).astype(float), precision="float32")
        object.__setattr__(message, "values", v * (1 + 1e-12))
        return message


@dataclass(frozen=True)
class Drops(nf.Compressor):
    """Each entry with probability 1/2, times `factor`; ω = 1 where that is 2."""

    factor: float = 2.0
    omega: float = 1.0
    slant: float = 0.0

    def contract(self, size):
        return nf.Unbiased(self.omega)

    def compress(self, v, key):
        kept = np.flatnonzero(key.generator().random(len(v)) < 0.5)
        noise = np.zeros(len(v))
        noise[kept] = self.factor * v[kept]
        return nf.Dense(noise + self.slant * np.roll(v, 1) if len(v) > 1 else noise)


@dataclass(frozen=True)
class Contracts(Drops):
    """Drops without a factor: E‖C(x) - x‖² = ‖x‖²/2."""

    factor: float = 1.0
    delta: float = 0.5

    def contract(self, size):
        return nf.Contractive(self.delta)


class Matrix(nf.Compressor):
    acts_on = "symmetric"

    def __eq__(self, other):
        return type(self) is type(other)

    def contract(self, size):
        return nf.Contractive(1.0)

    def compress(self, v, key):
        return nf.Dense(v[np.triu_indices(len(v))])


class HalfTheRank(Matrix):
    """One eigenvector, and the promise of more than 1/d."""

    def contract(self, size):
        return nf.Contractive(0.5 if size > 3 else 0.4)

    def compress(self, v, key):
        return nf.RankR(1).compress(v, key)


@pytest.mark.parametrize(
    "compressor, words",
    [
        (PromisesTooMuch(), r"equal.*promises ‖C\(x\) - x‖² / ‖x‖² of at most 0.[45]\d*, seen 0\.[56]"),
        (NeedsCoordinates(), r"contract\(0\) must say.*ZeroDivisionError"),
        (PromisesNothing(), r"contract\(0\): returned 0.5, must be Contractive"),
        (SaysUnbiased(), r"Unbiased promises E C\(x\) = x, and so a mean of ±"),
        (Overwrites(), "must leave what it is handed as it was"),
        (ReturnsArrays(), "returned ndarray, must be a Message"),
        (OutOfOrder(), "strictly increasing"),
        (CountsOddly(), "formula_bits are 1.5"),
        (OwnRandomness(), r"the same key must give the same message; draw from key.generator\(\)"),
        (NeverZero(), "zeros.*nothing but zeros"),
        (TwoWays(), "together must get the very messages that they get alone"),
        (LooksAtNeighbours(), "must not depend on who shares its process"),
        (Misnamed(), "text 'topk:1' must read as the same compressor"),
        (Grows(), "done twice it gives something else"),
        (NoSuchInput(), "acts_on: 'tensor'"),
        (NotFinite(), "NotFinite|finite"),
        (TwoPrecisions(), "must arrive as it was sent"),
        (Drops(1.0), r"a mean of ±⟨C\(x\) - x, x⟩"),
        (Drops(2.0, 0.7), r"Unbiased\(ω = 0.7\) promises E‖C\(x\) - x‖² / ‖x‖² of at most 0.7, seen"),
        (Drops(2.0, 3.0, 0.9), r"promises E C\(x\) = x"),
        (Contracts(delta=0.7), r"Contractive\(δ = 0.7\) promises"),
        (Matrix(), "a compressor of matrices must return a message about one, not Dense"),
        (HalfTheRank(), r"order 5: Contractive\(δ = 0.5\) promises"),
        (TwoWays, "must be a Compressor"),
    ],
    ids=lambda given: re.sub(r" at 0x\w+", "", str(given)),  # the same on every worker
)
def test_broken_compressors(compressor, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_compressor(compressor, dim=5, draws=100)


@pytest.mark.parametrize("compressor", [Keeps(), Drops(), Drops(2.0, 1.0), Contracts()], ids=str)
def test_what_was_broken_above_passes_when_whole(compressor):
    check_compressor(compressor, dim=5, draws=100)


def test_settings_that_do_not_fit_are_refused_as_ever():
    with pytest.raises(ValueError, match="must be at most 15"):
        check_compressor(nf.TopK(16), dim=5)


# --- bases


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("n", [1, 4])
def test_bases(name, n):
    check_basis(BASES[name], sparse_glm(n=n, seed=3))
    if name != "data":
        check_basis(BASES[name], sparse_glm(n=n, seed=3).with_local_ridge())


@dataclass(frozen=True)
class BrokenBasis(nf.Symmetric):
    """Symmetric, with one thing of its coordinates replaced, at the client's end, the server's or both."""

    replaced: str = ""
    ends: str = "both"

    def of(self, problem):
        return self._made(problem.dim, len(problem.clients), "client")

    def from_setup(self, dim, setup_messages):
        return self._made(dim, len(setup_messages), "server")

    def _made(self, dim, n, end):
        whole = super()._for(dim, n)
        if self.ends not in ("both", end):
            return whole
        return BROKEN[self.replaced](whole.sizes, dim, True)


def breaking(**methods):
    return type("Broken", (TriangleCoordinates,), methods)


class LossyGradients(Coordinates):
    def of_gradients(self, gradients):
        told = super().of_gradients(gradients)
        return told.replaced(told.values * (1 + 1e-6))


def forgetting(self, total, messages, weights, clients=None):
    """The last message's weight is the first's."""
    weights = np.append(weights[:-1], weights[0])
    return TriangleCoordinates.accumulate(self, total, messages, weights, clients)


def changed(blocks):
    return blocks.replaced(blocks.values + 1e-3)


BROKEN: dict[str, type] = {
    "norms": breaking(norms=lambda self, blocks: blocks.norms() * (1 + 1e-6)),
    "spectral": breaking(spectral_norms=lambda self, blocks: blocks.norms()),
    "apply": breaking(apply=lambda self, i, v, x: self.matrix(i, v) @ x * (1 + 1e-6)),
    "coefficients": breaking(
        coefficients=lambda self, point: changed(TriangleCoordinates.coefficients(self, point)),
    ),
    "matrix": breaking(matrix=lambda self, i, v: np.triu(TriangleCoordinates.matrix(self, i, v))),
    "other matrix": breaking(matrix=lambda self, i, v: 2 * TriangleCoordinates.matrix(self, i, v)),
    "diagonal": breaking(
        diagonal_blocks=lambda self, v, like: changed(TriangleCoordinates.diagonal_blocks(self, v, like))
    ),
    "accumulate": breaking(accumulate=forgetting),
    "gradients": breaking(gradients=lambda self: LossyGradients(np.full(len(self.sizes), self.dim))),
    "take": breaking(_take=lambda self, chosen: replace(self, sizes=self.sizes[np.sort(chosen)] + 1)),
    "sizes": breaking(__init__=lambda self, sizes, dim, iso: TriangleCoordinates.__init__(self, sizes + 1, dim, iso)),
    "greeting": breaking(setup_message=lambda self, i: {"subspace": nf.Dense(np.zeros(3))}),
    "total": breaking(total_size=5),
}


@pytest.mark.parametrize(
    "replaced, ends, words",
    [
        ("norms", "both", r"norms\(\) must be the matrix's Frobenius norm"),
        ("spectral", "client", r"spectral_norms\(\) must be the largest eigenvalue"),
        ("apply", "client", r"apply\(i, v, x\) must be the matrix times x"),
        ("coefficients", "client", "the coefficients' matrix must be ∇²f_i"),
        ("matrix", "both", "must be symmetric in every bit"),
        ("other matrix", "server", "must be the same matrix for client and server"),
        ("diagonal", "client", r"diagonal_blocks\(v, …\) must be the coordinates of diag\(v\)"),
        ("accumulate", "server", "must add Σ weight_i H_i"),
        ("gradients", "client", "gradients must tell Σ weight_i ∇f_i without loss"),
        ("take", "both", r"take\(\[3, 1\]\) must give these clients' sizes"),
        ("sizes", "server", "the server understood"),
        ("greeting", "client", "greetings must survive the wire"),
        ("total", "server", "sum has 5 coordinates"),
    ],
)
def test_broken_bases(replaced, ends, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_basis(BrokenBasis(replaced=replaced, ends=ends), dense_glm(n=4))


def test_a_basis_that_misstates_its_sizes():
    class Misstates(nf.Symmetric):
        def sizes(self, dim, part, heard):
            return 3

    with pytest.raises(AssertionError, match="sizes: 3 for client 0's initial Hessian, which has 28"):
        check_basis(Misstates(), dense_glm(n=2))


# --- mechanisms


def pairs():
    """Every mechanism with a compressor that draws nothing and one that does, where they go together."""
    for name, make in MECHANISMS.items():
        for inner in ("topk", "randk"):
            try:
                made = make(COMPRESSORS[inner])
                made.for_dimension(4)
            except ValueError:
                continue
            yield pytest.param(made, id=f"{name}-{inner}")


@pytest.mark.parametrize("mechanism", list(pairs()))
def test_mechanisms(mechanism):
    check_mechanism(mechanism, dim=4, draws=30)


@pytest.mark.parametrize("inner", ["rank", "toplek", "powersgd", "threshold"])
def test_mechanisms_of_other_compressors(inner):
    check_mechanism(CLAG(COMPRESSORS[inner], 0.5), dim=4, draws=40)


@dataclass(frozen=True)
class Better(CLAG):
    """Constants a little better than the truth."""

    a: float = 1.0
    b: float = 1.0

    def constants(self, size):
        a, b = super().constants(size)
        return a * self.a, b * self.b


class BetterMarina(Marina):
    def constants(self, size):
        a, b = super().constants(size)
        return a, 0.8 * b


class LuckyCoin(CBAG):
    """Says heads with p, and keeps still on them."""

    def skips(self, coin):
        return coin


class SendsOther(EF21):
    """Its own end moves twice as far."""

    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        moved = space.add(sent.memory.estimate, sent.messages, self.memory_rates(space.sizes))
        return replace(sent, memory=replace(sent.memory, estimate=moved))


class WrongResidual(EF21):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        return replace(sent, residual=changed(sent.residual))


class WrongMean(EF21):
    """The server drops the last client's message, where there is more than one."""

    def receive(self, mean, messages, space, weights, clients=None):
        if len(messages) == 1:
            return super().receive(mean, messages, space, weights, clients)
        return super().receive(mean, messages[:-1], space, weights[:-1], np.arange(len(messages) - 1))


class Forgets(CLAG):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        return replace(sent, memory=Memory(sent.memory.estimate, memory.target))


class Hoards(EF21):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        return replace(sent, memory=Memory(sent.memory.estimate, target))


class Peeks(CLAG):
    """Looks at the last target and does not say so."""

    needs_previous = False


class NoBeginning(CLAG):
    """Takes 0 for the last target where there was none."""

    def send(self, memory, target, space, clients, key, coin=True):
        if memory.target is None:
            memory = Memory(memory.estimate, target.replaced(0 * target.values))
        return super().send(memory, target, space, clients, key, coin)


class ChangesTargets(EF21):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        target.values[:] = 0
        return sent


class Crowded(EF21):
    """A client tells half where it is alone."""

    def messages(self, seen, encoder, coin):
        half = 0.5 if len(encoder.clients) == 1 else 1.0
        return [message.scaled(half) for message in super().messages(seen, encoder, coin)]


class Boasts(EF21):
    def constants(self, size):
        return 1.5, 0.0


class CountsTogether(Momentum):
    """One average for all clients."""

    def init_own_memory(self, estimate):
        return np.zeros(1)

    def messages(self, points, encoder, coin):
        return encoder.compress(self.compressor, points.error)

    def update_own_memory(self, points, messages, encoder, coin):
        return points.own


class Mixes(Momentum):
    """An average that the neighbours move."""

    def average(self, points):
        own = super().average(points)
        return own.replaced(own.values + 1e-3 * points.target.values.mean())


class Aliases(Momentum):
    """Keeps h itself, which is overwritten."""

    def update_own_memory(self, points, messages, encoder, coin):
        return points.estimate


class InPlace(Momentum):
    def update_own_memory(self, points, messages, encoder, coin):
        points.own.values[:] = self.average(points).values
        return points.own


class ChangesForm(Momentum):
    def update_own_memory(self, points, messages, encoder, coin):
        return np.zeros((len(points.target), 3))


class Draws(Momentum):
    def average(self, points):
        own = super().average(points)
        return own.replaced(own.values + np.random.default_rng().random())


class PromisesWithMomentum(Momentum):
    """EF21's constants, which hold only where the average is the target."""

    def init_own_memory(self, estimate):
        return estimate.replaced(np.full_like(estimate.values, np.nan))

    def average(self, points):
        fresh = np.isnan(points.own.values)
        return points.own.replaced(np.where(fresh, points.target.values, super().average(points).values))

    def constants(self, size):
        return EF21(self.compressor).constants(size)


K5 = nf.TopK(5)


@pytest.mark.parametrize(
    "mechanism, words",
    [
        (Better(K5, 0.5, b=0.98), r"\(A, B\) = .*h - y = -[\d.]+\(x - y\), all entries"),
        (Better(K5, 0.5, a=1.05), r"\(A, B\) = .*h - y = -[\d.]+\(x - y\), all entries"),
        (Better(nf.Identity(), 4.0, b=0.98), r"\(A, B\) = \(1, 3.92\)"),
        (
            Better(nf.RandK(5), 0.0, b=0.8),
            r"promise E‖C\(x\) - x‖².* at most [\d.]+, seen [\d.]+ ± [\d.e-]+ \(\d+ draws\)",
        ),
        (LuckyCoin(K5, 0.9), "promise E"),
        (BetterMarina(nf.RandK(5), 0.3), "promise"),
        (SendsOther(K5), "both ends must hold the same bits of h"),
        (WrongResidual(K5), "residual must be x less the estimate"),
        (WrongMean(K5), "the server's mean is"),
        (Forgets(K5), "must remember the present one"),
        (Hoards(K5), "must not keep it"),
        (Peeks(K5), "says that it needs no last target, and looks at it"),
        (NoBeginning(K5), "y = x must hold"),
        (ChangesTargets(K5), "both ends|residual|the target must stay as it was"),
        (Crowded(K5), "must not depend on who shares its process"),
        (CountsTogether(K5), r"its own memory has shape \(1,\), must have the 3 clients' axis first"),
        (Mixes(K5), "own memory: a client's part must not depend on who shares its process"),
        (Aliases(K5), "own memory is a view of h"),
        (InPlace(K5), "own memory must be left as it was handed in"),
        (ChangesForm(K5), "own memory must keep its form"),
        (Draws(K5), "own memory: the same call must give the same"),
        (PromisesWithMomentum(K5), "its own memory having served other points, at most"),
        (Boasts(K5), "A = 1.5, B = 0.0, must be"),
        ("ef21", "must be a Mechanism"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Mechanism) else "",
)
def test_broken_mechanisms(mechanism, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_mechanism(mechanism, dim=4, draws=100)


def test_marinas_mean_is_checked_apart():
    """Draws that all clients share gain nothing together, though each of them keeps (p, (1-p)ω)."""

    class OneDraw(Marina):
        def messages(self, seen, encoder, coin):
            # Five clients stand together in the check of the mean: they share what they draw.
            shared = replace(encoder, clients=encoder.clients // 5)
            return super().messages(seen, shared, coin)

    with pytest.raises(AssertionError, match="with n = 5 clients"):
        check_mechanism(OneDraw(nf.RandK(2), 0.1), dim=4, draws=40)


# --- methods


PRESETS = METHODS + [(name, {}) for name in registry.METHODS if name not in dict(METHODS)]


FIRST_ORDER = {name for name, make in registry.METHODS.items() if "stepsize" in inspect.signature(make).parameters}
"""Those whose theory takes small steps."""


@pytest.mark.parametrize(
    "name, settings", [case for case in PRESETS if not registry.asks_for_optimum(case[0])], ids=str
)
def test_methods(name, settings):
    patient = {"rounds": 8, "falls": 0.995} if name in FIRST_ORDER else {"rounds": 4, "falls": 0.5}
    check_method(registry.method(name, settings), dense_glm(n=4), **patient)


SAME_SOCKETS = {
    "ef21-pp", "ef21-hb", "ef21-sgd", "ef21-sgdm", "clag", "3pc-v1", "3pc-v3", "3pc-v4", "3pc-v5", "pp-marina", "ef-bv",
}  # fmt: skip
"""First-order presets whose compressors stand in the same sockets as ef21's, 3pc-v2's, marina's and diana's."""
WITH_COMPRESSOR = [
    name
    for name, make in registry.METHODS.items()
    if "compressor" in inspect.signature(make).parameters and name not in SAME_SOCKETS
]
VECTORS = FIRST_ORDER - {"gd", "accelerated-gd"}
UNBIASED = {"marina", "pp-marina", "diana", "artemis", "dore", "adiana"} & set(registry.METHODS)
ROWWISE = ("nl1", "nl2", "cubic-newton-learn")  # compress a number a row: no matrix there


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("name", WITH_COMPRESSOR)
def test_methods_with_every_compressor(name, compressor):
    """Every preset with every compressor that its theory admits; where it does not, it says so."""
    method, problem = registry.METHODS[name](compressor=COMPRESSORS[compressor]), dense_glm(n=3)
    if name in ROWWISE and COMPRESSORS[compressor].acts_on == "symmetric":
        with pytest.raises(ValueError, match="matrices, and"):
            method.resolved(problem)
        return
    if name in VECTORS and COMPRESSORS[compressor].acts_on == "symmetric":
        with pytest.raises(ValueError, match=r"matrices, and these are vectors|is not unbiased"):
            method.resolved(problem)
        return
    if name in UNBIASED and not unbiased(COMPRESSORS[compressor]):
        with pytest.raises(ValueError, match="is not unbiased: give one that is"):
            method.resolved(problem)
        return
    patient = {"rounds": 8, "falls": 0.999} if name in FIRST_ORDER else {"rounds": 3, "falls": 0.9}
    check_method(method, problem, **patient)


def unbiased(compressor):
    contract = compressor.contract(7)
    return isinstance(contract, nf.Unbiased) or contract.delta == 1


def test_methods_on_sparse_rows_and_functions():
    """On a support, with a client without rows; and on a problem that has none."""
    check_method(nf.newton_3pc(), sparse_glm(n=5), rounds=8, falls=0.5)
    check_method(nf.newton_3pc(), functions_problem()[0], rounds=8, falls=0.5)


@dataclass
class OwnState:
    model: Any
    more: Any = None


@dataclass
class OwnServer:
    x: Any


@dataclass(frozen=True)
class Own(Method):
    """Gradient descent in a few lines, which breaks the promise that it is told to break."""

    breaks: str = ""
    name: str = "own"

    def settings(self):
        return {"breaks": self.breaks}

    def setup_sizes(self, dim):
        return lambda part, client, heard: dim

    def init_clients(self, problem, x0, key):
        n = len(problem.clients)
        more = {"list": [0.0] * n, "one row": np.zeros(n + 1), "blocks": Blocks.of([np.zeros(2)]), "number": 3.0}
        return [{} for _ in range(n)], OwnState(np.tile(x0, (n, 1)), more.get(self.breaks))

    def init_server(self, facts, x0, setup_messages):
        return x0 if self.breaks == "no x" else OwnServer(x0 + (self.breaks == "other start"))

    def round(self, server, exchange, key):
        size = 3 if self.breaks == "sizes" else len(server.x)
        told = exchange(Announcement(key.round, {"model": nf.Dense(server.x)}), lambda part, client, heard: size)
        mean = np.mean([message.coordinates()[1] for message in told.messages("gradient")], axis=0)
        noise = 1e-6 * np.random.default_rng().random() if self.breaks == "seed" else 0.0
        step = {"no progress": 0.0, "ascent": -1.0, "infinite": np.inf}.get(self.breaks, 1.0)
        return OwnServer(server.x - step * (mean + 0.1 * server.x) + noise)

    def respond(self, clients, announcement, problem, key):
        x = announcement.to_all["model"].coordinates()[1]
        point = problem.at(x)
        gradient = point.gradient + 0.0
        if self.breaks == "neighbours":
            gradient = gradient + 1e-3 * gradient.mean(axis=0)
        if self.breaks == "hessian":
            assert len(point.hessians)
        replies = [{"gradient": nf.Dense(row)} for row in gradient]
        return replies[1:] if self.breaks == "silence" else replies, clients


@pytest.mark.parametrize(
    "breaks, words",
    [
        ("list", r"clients' state.more is list, must be an array"),
        ("number", r"clients' state.more is float, must be an array"),
        ("one row", r"clients' state.more has shape \(5,\), must have the 4 clients' axis first"),
        ("blocks", "clients' state.more has 1 blocks for 4 clients"),
        ("no x", "must have a field x"),
        ("other start", "x must be the start x0"),
        ("sizes", r"a solve must run: WireError.*gradient"),
        ("seed", "the same seed must give the same bits again"),
        ("neighbours", "clients in groups, as on several ranks, must give the same bits"),
        ("no progress", "the gradient norm must fall to 0.5 times its start"),
        ("ascent", "the gradient norm must fall|diverged"),
        ("infinite", "not finite|NotFinite"),
        ("hessian", "of first order, and each client computed"),
        ("silence", "4 of 4 clients were to speak, and 3 spoke"),
    ],
)
def test_broken_methods(breaks, words):
    with pytest.raises(AssertionError, match=f"(?s)^own.*{words}"):
        check_method(Own(breaks), dense_glm(n=4), rounds=12, falls=0.5, first_order=True)


def test_an_own_method_that_keeps_its_promises():
    check_method(Own(), dense_glm(n=4), rounds=12, falls=0.5, first_order=True)


@pytest.mark.parametrize("way", ["up", "down", "setup"])
def test_a_false_ledger_is_found(monkeypatch, way):
    count = Tally.count

    def generous(self, clients, length, formula_bits, setup):
        wanted = setup if way == "setup" else not setup and np.ndim(clients) and (len(clients) == 1) == (way == "up")
        count(self, clients, length - 1 if wanted else length, formula_bits, setup)

    monkeypatch.setattr(Tally, "count", generous)
    with pytest.raises(AssertionError, match=rf"the ledger has .* bytes {way}.*, the packets"):
        check_method(Own(), dense_glm(n=4), rounds=3)


def test_settings_that_do_not_come_back_are_found(monkeypatch):
    made = registry.METHODS["gd"]
    other = Entry(lambda stepsize="theory": made(stepsize=0.5))
    monkeypatch.setitem(entries("method"), "gd", other)
    with pytest.raises(AssertionError, match=r"gd: its settings .* became"):
        check_method(made(stepsize=0.1), dense_glm(n=4), rounds=3)


def test_a_problem_spread_over_processes_is_refused():
    for check, part in ((check_method, Own()), (check_basis, nf.Symmetric())):
        with pytest.raises(AssertionError, match="must be in this process"):
            check(part, dense_glm(n=4).take(np.array([1, 2])))
