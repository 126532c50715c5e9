"""Compressor: how much of a vector or matrix is sent."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, TypeAlias

import numpy as np

from newtonfl.comm.messages import FLOAT_BITS, Levels, MatrixMessage, Message, Several, Sparse
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.registry import Part
from newtonfl.registry.text import number


@dataclass(frozen=True)
class Contractive:
    """E‖C(x) - x‖² ≤ (1 - δ)‖x‖² with 0 < δ ≤ 1.

    Parameters
    ----------
    delta : float
        δ.

    Raises
    ------
    ValueError
        If δ is not in (0, 1].
    """

    delta: float

    def __post_init__(self) -> None:
        if not 0 < self.delta <= 1:
            raise ValueError(f"Contractive: given δ = {self.delta}, must be in (0, 1]")


@dataclass(frozen=True)
class Unbiased:
    """E C(x) = x and E‖C(x) - x‖² ≤ ω‖x‖².

    Parameters
    ----------
    omega : float
        ω.

    Raises
    ------
    ValueError
        If ω is negative or not finite.
    """

    omega: float

    def __post_init__(self) -> None:
        if not 0 <= self.omega < math.inf:
            raise ValueError(f"Unbiased: given ω = {self.omega}, must be at least 0 and finite")


@dataclass(frozen=True)
class Bounded:
    """‖C(x) - x‖ ≤ (1 - s)‖x‖ with s = κ·min{1, τ/‖x‖}: C contracts what is bounded, and nothing by a δ for all x.

    Parameters
    ----------
    tau : float
        τ, above 0.
    kappa : float
        κ, above 0 and at most 1: what rounding leaves of a message.

    Raises
    ------
    ValueError
        If τ or κ is outside its interval.
    """

    tau: float
    kappa: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.tau < math.inf and 0 < self.kappa <= 1):
            raise ValueError(f"Bounded: given τ = {self.tau}, κ = {self.kappa}, must be above 0, and κ at most 1")

    def within(self, radius: float) -> Contractive:
        """What holds where ‖x‖ ≤ R = `radius`: δ = s(2 - s) with s = κ·min{1, τ/R}."""
        s = self.kappa * min(1.0, self.tau / radius)
        return Contractive(s * (2.0 - s))


Contract: TypeAlias = Contractive | Unbiased | Bounded
"""What theory may rely on."""


class Compressor(Part, ABC):
    """Turns one client's vector or symmetric matrix into a message. Subclasses are frozen dataclasses.

    Attributes
    ----------
    acts_on : {"vector", "symmetric"}
        Whether :meth:`compress` is handed a client's coordinates, or the matrix that they stand for.
    correlated : bool
        Whether the clients of a round draw together, from ``key.of(SERVER)``, and not each for itself.
    """

    kind = "compressor"
    acts_on: ClassVar[Literal["vector", "symmetric"]] = "vector"
    correlated: ClassVar[bool] = False

    @abstractmethod
    def contract(self, size: int) -> Contract:
        """What theory may rely on.

        Parameters
        ----------
        size : int
            How many coordinates there are; of a symmetric matrix d(d + 1)/2. Of none nothing is lost.

        Returns
        -------
        Contractive, Unbiased or Bounded
            With the δ, ω or τ that holds for every input of that size.
        """

    def mean_constants(self, size: int, n_clients: int) -> tuple[float, float]:
        """(A, B) with E‖mean C(u_i) - ū‖² ≤ A·mean ‖u_i‖² - B‖ū‖² for the vectors u_i of n clients, ū their mean.

        Parameters
        ----------
        size : int
            How many coordinates there are.
        n_clients : int
            n.

        Returns
        -------
        tuple of float
            A and B ≥ 0: (ω/n, 0) of independent draws, which is for all whose draws are not `correlated`.

        Raises
        ------
        ValueError
            If the compressor is biased, or is not for n clients.
        """
        contract = self.contract(size)
        if isinstance(contract, Unbiased):
            return contract.omega / n_clients, 0.0
        if isinstance(contract, Bounded) or contract.delta < 1.0:
            raise ValueError(f"{self} is not unbiased: give one that is, such as randk:0.1d or natural")
        return 0.0, 0.0

    @abstractmethod
    def compress(self, v: Array, key: Key) -> Message:
        """What one client sends.

        Parameters
        ----------
        v : numpy.ndarray of float64, shape (size,) or (d, d)
            The client's coordinates, or their symmetric matrix where :attr:`acts_on` asks for it; not to be changed.
        key : Key
            Where all random draws come from: ``key.generator()``.

        Returns
        -------
        Message
            Such as ``Sparse(indices, values)`` or ``Dense(values)``.
        """

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        """The messages of all clients held here, each about its block of `vectors` with its own of the `keys`.

        A built-in may do it at once, on the device that holds `vectors`.
        """
        host = Blocks(to_host(vectors.values).view(), vectors.offsets)
        host.values.flags.writeable = False  # what is compressed is still needed afterwards
        return [self.checked(self.compress(v, key), len(v)) for v, key in zip(host, keys, strict=True)]

    def checked(self, message: Message, size: int) -> Message:
        """The `message`, if it is one about `size` coordinates.

        Raises
        ------
        TypeError, ValueError
            If it is not; the message names the compressor and what it must return.
        """
        name = type(self).__name__
        if not isinstance(message, Message):
            raise TypeError(f"{name}.compress: returned {type(message).__name__}, must be a Message such as Sparse")
        if isinstance(message, Several):
            for part in message.parts:
                self.checked(part, size)
            return message
        if isinstance(message, MatrixMessage):
            return message
        indices, values = message.coordinates()
        if len(values) != (size if indices is None else len(indices)):
            raise ValueError(f"{name}.compress: returned {len(values)} values for {size} coordinates")
        if isinstance(message, Levels) and len(message.codes) and abs(message.codes).max() > message.s:
            raise ValueError(f"{name}.compress: returned a level above {message.s}, the highest there is")
        if isinstance(message, Sparse | Levels) and message.indices is not None and len(message.indices):
            at = message.indices
            if at[0] < 0 or at[-1] >= size or (at[1:] <= at[:-1]).any():
                raise ValueError(f"{name}.compress: indices must be strictly increasing, from 0 to below {size}")
        return message

    def for_clients(self, n_clients: int) -> Self:
        """This compressor as `n_clients` use it together; ValueError where it is not for so many."""
        return self

    def for_dimension(self, dim: int) -> Self:
        """This compressor with settings like ``"8d"`` made numbers for dimension `dim`; ValueError where none fits."""
        return self


@dataclass(frozen=True)
class KeepsK(Compressor):
    """A compressor that keeps K coordinates.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``, or ``"1r"`` of that of the client's own matrix: in the data
        basis its rank r. A client with fewer coordinates sends them all.

    Raises
    ------
    ValueError
        If K is a text that is neither a number nor a multiple.
    """

    k: int | str

    def __post_init__(self) -> None:
        if isinstance(self.k, str) and number(self.k.removesuffix("d").removesuffix("r")) is None:
            raise ValueError(
                f"{self.name}:{self.k}: given K = {self.k!r}, must be a number or a multiple of d such as 8d, or of r"
            )

    def counted(self, size: int) -> int:
        """K of a client with `size` coordinates, as the papers count it."""
        if isinstance(self.k, str) and self.k.endswith("r"):
            return max(int(float(self.k.removesuffix("r")) * dimension(size)), 1)
        return int(self.k)

    def counts(self, sizes: Array) -> Array:
        """:meth:`counted` of every client with the given `sizes`, shape (n,)."""
        if not isinstance(self.k, str):
            return np.full(len(sizes), int(self.k))
        different, which = np.unique(sizes, return_inverse=True)
        return np.array([self.counted(int(size)) for size in different], np.int64)[which]

    def formula_bits(self, size: int) -> int:
        """The papers' count of one message of `size` coordinates: 32 K."""
        return FLOAT_BITS * self.counted(size)

    def kept(self, size: int) -> int:
        """How many of `size` coordinates are kept."""
        return min(self.counted(size), size)

    def for_dimension(self, dim: int) -> Self:
        """This compressor with K made a number for dimension `dim`.

        Raises
        ------
        ValueError
            If K is neither a number nor a multiple of d or r, less than 1, or a number of more than d(d+1)/2.
        """
        most, multiple = triangle(dim).size, isinstance(self.k, str) and self.k[-1:] in ("d", "r")
        try:
            number = float(str(self.k).removesuffix("d").removesuffix("r")) * (dim if multiple else 1)
        except ValueError:
            raise ValueError(
                f"{self}: given K = {self.k!r}, must be a number or a multiple of d such as 8d, or of r"
            ) from None
        # A small share of d is one entry, and a multiple is meant for every d: where it is more, all entries.
        k = min(max(int(number), 1), most) if multiple and 0 < number < math.inf else number
        if not (k >= 1 and (k == math.inf or k == int(k))):
            raise ValueError(f"{self}: given K = {_plain(k)}, must be a whole number of at least 1")
        if k > most:
            raise ValueError(
                f"{self}: given K = {_plain(k)}, must be at most {most}: the entries d(d+1)/2 of a symmetric "
                f"matrix of dimension d = {dim}"
            )
        # What r is, each client's number of coordinates says.
        return self if str(self.k).endswith("r") else replace(self, k=int(k))


@dataclass(frozen=True)
class KeepsRank(Compressor):
    """A compressor of symmetric matrices that keeps a rank R.

    Parameters
    ----------
    r : int
        R. A client whose matrix is smaller keeps its own dimension.
    """

    r: int
    acts_on = "symmetric"

    def share(self, size: int) -> float:
        """R/d, for a matrix whose triangle has `size` entries."""
        return min(1.0, self.r / dimension(size)) if size else 1.0

    def for_dimension(self, dim: int) -> Self:
        r = whole(self.r)
        if r is None or not 1 <= r <= dim:
            raise ValueError(f"{self}: the rank must be a whole number, at least 1 and at most d = {dim}")
        return replace(self, r=r)


def dimension(size: int) -> int:
    """d of a triangle of `size` = d(d + 1)/2 entries."""
    return (math.isqrt(8 * size + 1) - 1) // 2


def whole(value: object) -> int | None:
    """`value` as Python's whole number, from NumPy's too; None where it is none, as True is."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _plain(k: float) -> str:
    """A number in an error: whole ones with all their digits."""
    return str(int(k)) if math.isfinite(k) and k == int(k) else f"{k:g}"
