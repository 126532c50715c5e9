"""What mechanisms share: constants of their theory, and refusals of what they cannot be made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.compressors import Bounded, Compressor, Contracted, Contractive, Rounded, Unbiased
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array


def of_contraction(delta: float) -> tuple[float, float]:
    """(A, B) of h + C(x - h) where C contracts by δ, with the s of Young's inequality that makes A largest."""
    root = float(np.sqrt(1.0 - delta))
    return 1.0 - root, (1.0 - delta) / (1.0 - root)


def contraction(compressor: Compressor, size: int) -> float:
    """δ of a compressor, or 1/(ω + 1) of an unbiased one, which is what it contracts by when scaled by that."""
    contract = compressor.contract(size)
    return 1.0 / (contract.omega + 1.0) if isinstance(contract, Unbiased) else _contractive(compressor, contract).delta


def _contractive(compressor: Compressor, contract: Contractive | Bounded) -> Contractive:
    """The contract, if it is one for vectors of any length."""
    if isinstance(contract, Bounded):
        raise ValueError(f"{compressor} contracts bounded vectors alone, and this theory needs one δ for all")
    return contract


def bias_and_variance(compressor: Compressor, size: int) -> tuple[float, float]:
    """(η, ω): ‖E C(x) - x‖ ≤ η‖x‖ and E‖C(x) - E C(x)‖² ≤ ω‖x‖²; of a contractive one (√(1-δ), 0), which is the worst.

    A contractive compressor that draws at random has less bias and some variance, which its δ does not tell apart:
    E‖C(x) - x‖² = ‖bias‖² + variance ≤ (1-δ)‖x‖², and (√(1-δ), 0) then stands for both where draws are not averaged.
    """
    contract = compressor.contract(size)
    if isinstance(contract, Unbiased):
        return 0.0, contract.omega
    return float(np.sqrt(1.0 - _contractive(compressor, contract).delta)), 0.0


def omega(compressor: Compressor, size: int) -> float:
    """ω of an unbiased compressor whose clients draw each for itself; the identity's is 0.

    Raises
    ------
    ValueError
        If it is biased, or clients draw together.
    """
    draws_apart(compressor)
    contract = compressor.contract(size)
    if isinstance(contract, Unbiased):
        return contract.omega
    if isinstance(contract, Bounded) or contract.delta < 1.0:
        raise ValueError(f"{compressor} is not unbiased: give one that is, such as randk:0.1d or natural")
    return 0.0


def draws_apart(compressor: Compressor) -> None:
    """Refuse a compressor whose clients draw together, where theory averages what each drew for itself."""
    if compressor.correlated:
        raise ValueError(
            f"{compressor}: its clients draw together, and theory here has each draw for itself: marina can use it, "
            "elsewhere randk:0.1d is like it"
        )


def made_contractive(compressor: Compressor) -> Compressor:
    """The compressor itself, or an unbiased one scaled by 1/(ω + 1)."""
    return Contracted(compressor) if isinstance(compressor.contract(1), Unbiased) else compressor


def per_size(value: Callable[[int], float], sizes: Array) -> Array:
    """`value` of every size, worked out once for each size that there is; shape (n,)."""
    known = {size: value(size) for size in set(map(int, sizes))}
    return np.array([known[int(size)] for size in sizes], dtype=np.float64)


def a_compressor(key: str, value: object) -> None:
    """Refuse what is no compressor."""
    if not isinstance(value, Compressor):
        raise TypeError(f"{key}: given {value!r}, must be a Compressor such as TopK(30)")


def a_probability(key: str, value: float) -> None:
    """Refuse what is no probability above 0."""
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"{key}: given {value!r}, must be a probability in (0, 1]")


def sends_whole(name: str, compressor: Compressor) -> None:
    """Refuse a wire on which a vector that is sent whole arrives as another."""
    if isinstance(compressor, Rounded) and compressor.precision == "natural":
        raise ValueError(
            f"wire=natural: {name} sends whole vectors, and its theory bears no powers of two: use float32"
        )
