"""Compressor: how much of a vector or matrix is sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from newtonfl.backend import Array, to_host
from newtonfl.blocks import Blocks
from newtonfl.keys import Key
from newtonfl.messages import Message


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


def count(k: int | str, dim: int, most: int, where: str) -> int:
    """Resolve `k`, a number or a multiple of the dimension such as ``"8d"`` or ``"0.5d"``.

    Raises
    ------
    ValueError
        If it is neither, less than 1, or more than `most`.
    """
    try:
        number = float(k[:-1]) * dim if isinstance(k, str) and k.endswith("d") else float(k)
    except ValueError:
        raise ValueError(f"{where}: given K = {k!r}, must be a number or a multiple of d such as 8d") from None
    rounded = int(number) if isinstance(k, str) and k.endswith("d") else number
    if rounded != int(rounded) or rounded < 1:
        raise ValueError(f"{where}: given K = {k}, must be a whole number of at least 1")
    if rounded > most:
        raise ValueError(
            f"{where}: given K = {int(rounded)}, must be at most {most}: the entries d(d+1)/2 of a symmetric matrix of "
            f"dimension d = {dim}"
        )
    return int(rounded)
