"""One rate for what is remembered, another for what is used: DIANA, EF-BV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, TypeAlias

import numpy as np

from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array
from newtonfl.mechanisms.constants import a_compressor, bias_and_variance, draws_apart, omega, per_size
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints

Rate: TypeAlias = float | Literal["theory"]


@dataclass(frozen=True)
class EFBV(Mechanism):
    """h ← h + λ C(x - h), and the estimate in use is h_before + ν C(x - h).

    EF-BV (Condat, Yi, Richtárik, arXiv 2205.04180). λ = ν = 1 is EF21, λ = 1/(1+ω) with ν = 1 is DIANA (Mishchenko et
    al., arXiv 1901.09269), λ = 0 with ν = 1 is the compressor alone, without memory. With bias η and variance ω of the
    compressor (‖E C(x) - x‖ ≤ η‖x‖, E‖C(x) - E C(x)‖² ≤ ω‖x‖²), and ω/n in the place of ω for the mean of n clients
    with draws of their own, theory takes λ = (1-η)/((1-η)² + ω) and ν = (1-η)/((1-η)² + ω/n), each at most 1.
    No three-point mechanism: the estimate is another vector than the one that is remembered.

    Parameters
    ----------
    compressor : Compressor
        C.
    lam, nu : float or "theory"
        λ in [0, 1] and ν in (0, 1].
    n_clients : int
        n, whose draws are averaged; a solve sets it.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If a rate is another word, or a number outside its interval.

    Examples
    --------
    >>> import newtonfl as nf
    >>> shifts = nf.EFBV(nf.RandK(1), n_clients=3)
    >>> shifts.memory_rates([4]), shifts.estimate_rates([4])
    (array([0.25]), array([0.5]))
    """

    compressor: Compressor
    lam: Rate = "theory"
    nu: Rate = "theory"
    n_clients: int = 1
    averages_over_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        for key, number, least in (("lam", self.lam, "at least 0"), ("nu", self.nu, "above 0")):
            if isinstance(number, str):
                right = number == "theory"
            else:
                right = is_number(number) and 0 <= number <= 1 and (number > 0 or key == "lam")
            if not right:
                raise ValueError(f"{key}: given {number!r}, must be 'theory', or a number {least} and at most 1")

    name = "ef-bv"
    shorthand: ClassVar[tuple[str, ...] | None] = ("lam", "nu")

    def memory_rates(self, sizes: Array) -> Array:
        return per_size(lambda size: self._rate(self.lam, size, 1), sizes)

    def estimate_rates(self, sizes: Array) -> Array:
        if self.step_uses == "before":
            return np.zeros(len(sizes))
        return per_size(lambda size: self._rate(self.nu, size, self.n_clients), sizes)

    def _rate(self, number: Rate, size: int, n: int) -> float:
        if number != "theory":
            return float(number)
        bias, variance = bias_and_variance(self.compressor, size)
        return min((1.0 - bias) / ((1.0 - bias) ** 2 + variance / n), 1.0)

    def constants(self, size: int) -> tuple[float, float]:
        raise ValueError(f"{self} uses another estimate than it remembers: there are no (A, B)")

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        return encoder.compress(self.compressor, points.error)

    def for_dimension(self, dim: int) -> Self:
        return self._mapped(lambda compressor: compressor.for_dimension(dim))

    def for_clients(self, n_clients: int) -> Self:
        if self.nu == "theory":  # which has ω/n
            draws_apart(self.compressor)
        return replace(self, n_clients=n_clients)

    def unwrapped(self) -> Self:
        return replace(super().unwrapped(), n_clients=1)


@dataclass(frozen=True)
class Diana(EFBV):
    """h ← h + α Q(x - h) with the estimate h_before + Q(x - h), Q unbiased (DIANA, arXiv 1901.09269).

    Parameters
    ----------
    compressor : Compressor
        Q.
    lam : float or "theory"
        α; ``theory`` is 1/(1+ω).

    Examples
    --------
    >>> import newtonfl as nf
    >>> shifts = nf.Diana(nf.RandK(1))
    >>> shifts.memory_rates([4]), shifts.estimate_rates([4])
    (array([0.25]), array([1.]))
    """

    nu: Rate = 1.0

    name = "diana"
    shorthand = ("lam",)

    def for_dimension(self, dim: int) -> Self:
        made = super().for_dimension(dim)
        omega(made.compressor, dim)  # says so where it is biased
        return made
