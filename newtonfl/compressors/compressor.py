"""Compressor: how much of a vector or matrix is sent."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from newtonfl.backend import Array, to_host
from newtonfl.blocks import Blocks
from newtonfl.keys import Key
from newtonfl.messages import Message
from newtonfl.triangle import triangle


@dataclass(frozen=True)
class Contractive:
    """E‖C(x) - x‖² ≤ (1 - δ)‖x‖² with 0 < δ ≤ 1."""

    delta: float


@dataclass(frozen=True)
class Unbiased:
    """E C(x) = x and E‖C(x) - x‖² ≤ ω‖x‖²."""

    omega: float


class Compressor(ABC):
    """Turns one client's vector or symmetric matrix into a message. Subclasses are frozen dataclasses.

    Attributes
    ----------
    acts_on : {"vector", "symmetric"}
        Whether :meth:`compress` is handed a client's coordinates, or the matrix that they stand for.
    """

    acts_on: ClassVar[Literal["vector", "symmetric"]] = "vector"

    @abstractmethod
    def contract(self, size: int) -> Contractive | Unbiased:
        """What theory may rely on for `size` coordinates."""

    @abstractmethod
    def compress(self, v: Array, key: Key) -> Message:
        """The message for one client's `v`: NumPy, shape (size,) or (d, d). Random draws come from `key` alone."""

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> list[Message]:
        """The messages of all clients held here. A built-in may do it at once, on the device that holds `vectors`."""
        host = Blocks(to_host(vectors.values), vectors.offsets)
        return [self.compress(v, key) for v, key in zip(host, keys, strict=True)]

    def settings(self) -> dict[str, str | float]:
        """How the command line names this compressor, and its precision."""
        return {"compressor": self.text, "wire": "float64"}

    @property
    def text(self) -> str:
        """``name:setting`` as the command line writes it."""
        return type(self).__name__

    def for_dimension(self, dim: int) -> Self:
        """This compressor with settings like ``"8d"`` made numbers for dimension `dim`."""
        return self


@dataclass(frozen=True)
class KeepsK(Compressor):
    """A compressor that keeps K coordinates.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``. A client with fewer coordinates sends them all.
    """

    k: int | str
    label: ClassVar[str]

    @property
    def text(self) -> str:
        return f"{self.label}:{self.k}"

    def kept(self, size: int) -> int:
        """How many of `size` coordinates are kept."""
        return min(int(self.k), size)

    def for_dimension(self, dim: int) -> Self:
        """With K made a number.

        Raises
        ------
        ValueError
            If K is neither a number nor a multiple of d, less than 1, or more than d(d+1)/2.
        """
        most, multiple = triangle(dim).size, isinstance(self.k, str) and self.k.endswith("d")
        try:
            number = float(str(self.k).removesuffix("d")) * (dim if multiple else 1)
        except ValueError:
            raise ValueError(
                f"{self.text}: given K = {self.k!r}, must be a number or a multiple of d such as 8d"
            ) from None
        k = int(number) if multiple and 0 <= number <= most else number
        if not (k >= 1 and (k == math.inf or k == int(k))):
            raise ValueError(f"{self.text}: given K = {k:g}, must be a whole number of at least 1")
        if k > most:
            raise ValueError(
                f"{self.text}: given K = {k:g}, must be at most {most}: the entries d(d+1)/2 of a symmetric matrix of "
                f"dimension d = {dim}"
            )
        return replace(self, k=int(k))
