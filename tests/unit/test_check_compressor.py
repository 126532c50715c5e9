"""check_compressor passes every compressor of the library, and fails those that break a promise, saying which."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import COMPRESSORS

import newtonfl as nf
from newtonfl.checks import check_compressor
from newtonfl.comm.coding import PRECISIONS
from newtonfl.compressors import Rounded

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_own_compressor():
    """The block runs as it stands, and its compressor solves the problem."""
    block = next(b for b in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S) if "check_comp" in b)
    told: dict[str, Any] = {"__name__": __name__}
    exec(block, told)
    assert told["result"].converged and told["result"].method.curvature.mechanism.compressor == told["Sparsify"]()


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressors(name):
    check_compressor(COMPRESSORS[name], dim=4, draws=25)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_compressors_at_a_precision(precision):
    check_compressor(Rounded(nf.TopK("1d"), precision), dim=5, draws=50)


@pytest.mark.parametrize("tau", [0.3, 100.0])
def test_what_contracts_bounded_vectors_at_a_precision(tau):
    """κ = 1 - 2⁻²⁴: what rounding may leave of a message."""
    rounded = Rounded(nf.Clip(tau), "float32")
    check_compressor(rounded, dim=5)
    assert rounded.contract(5) == nf.Bounded(tau, 1.0 - 2.0**-24)


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


class ClipsTooShort(nf.Clip):
    """To 0.9τ."""

    def compress_all(self, vectors, keys):
        return nf.Clip(0.9 * self.tau).compress_all(vectors, keys)


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
        (ClipsTooShort(0.5), r"promises ‖C\(x\) - x‖² / ‖x‖² of at most"),
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
