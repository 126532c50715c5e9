"""Whether a compressor keeps its contract, and its messages survive the wire."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from newtonfl.checks.trials import (
    FEW,
    MANY,
    ROUNDING,
    all_same,
    at_most,
    carried,
    decoded,
    matrices,
    no_error,
    promise,
    reads_back,
    same,
    vectors,
)
from newtonfl.comm.messages import MatrixMessage, Message, Nothing, Several
from newtonfl.compressors import Bounded, Compressor, Contract, Contractive, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

_FAR = ("tiny entries", "huge entries")


def check_compressor(compressor: Compressor, *, dim: int = 8, draws: int = 200, seed: int = 0) -> None:
    """Check a compressor, yours or the library's, on random vectors (or matrices) and on those that are hard.

    - The contract holds: ‖C(x) - x‖² ≤ (1 - δ)‖x‖² exactly where nothing is drawn at random, on average within four
      standard errors where something is; E C(x) = x and E‖C(x) - x‖² ≤ ω‖x‖² for an unbiased one;
      Bounded(τ) is held to the δ of vectors as long as x. Compressors of matrices (``acts_on = "symmetric"``) are
      handed symmetric matrices, and the norm is Frobenius'.
    - The same key gives the same message; what was handed in stays as it was; zeros are sent as zeros.
    - A message has the right size, arrives over the wire in the same bits, and has ``formula_bits``.
    - Clients compressed together get the messages that they get alone.
    - Where clients draw together (``correlated = True``), E‖mean C(u_i) - ū‖² ≤ A·mean ‖u_i‖² - B‖ū‖² holds with its
      ``mean_constants``, for the number of clients that it is for: where A = B, equal vectors have exactly their mean.
    - ``for_dimension`` works, and so does a client without coordinates; ``to_spec`` reads back as the same compressor
      where it has a name.

    Parameters
    ----------
    compressor : Compressor
        What is checked.
    dim : int
        d. Vectors have 0, 1, 2, d and d(d + 1)/2 coordinates; matrices are of order 1, 2 and d.
    draws : int
        How many messages an average is taken over, where they are random.
    seed : int
        Seeds the inputs and the keys.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, what was found, and for which input.
    ValueError
        Where the compressor's settings do not go with `dim`.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_compressor
    >>> check_compressor(nf.TopK("1d"))
    """
    promise(isinstance(compressor, Compressor), f"given {compressor!r}, must be a Compressor")
    name = type(compressor).__name__
    made = _settled(compressor, name, dim)
    whole = made.acts_on == "symmetric"
    draw, key = np.random.default_rng(seed), Key(seed, 0, 0, "/check")
    trial = made.compress(np.eye(dim) if whole else np.ones(dim), key)
    far = 30 if isinstance(trial, Message) and trial.precision == "float32" else 140  # what the numbers' format holds
    for order in (1, 2, dim) if whole else (0, 1, 2, dim, dim * (dim + 1) // 2):
        size = order * (order + 1) // 2 if whole else order
        with no_error(f"{name}.contract({size}) must say what theory may rely on"):
            contract = made.contract(size)
        promise(
            isinstance(contract, Contractive | Unbiased | Bounded),
            f"{name}.contract({size}): returned {contract!r}, must be Contractive(δ), Unbiased(ω) or Bounded(τ)",
        )
        for what, v in (matrices if whole else vectors)(order, draw, far).items():
            where = f"{name}, {what}, {f'order {order}' if whole else f'{size} coordinates'}"
            _check_message(made, v, size, key, where)
            _check_contract(made, contract, v, draws if what not in _FAR else FEW, key, where)
    if not whole:
        for sizes in ([dim, 1, 0, dim * (dim + 1) // 2, dim, 2, 3], [dim] * 7):
            _check_together(made, name, sizes, draw, key)
    if made.correlated:
        _check_mean(made, name, dim, draws, draw, key)


def _settled(compressor: Compressor, name: str, dim: int) -> Compressor:
    """The compressor with its settings made numbers."""
    promise(
        compressor.acts_on in ("vector", "symmetric"),
        f"{name}.acts_on: {compressor.acts_on!r}, must be 'vector' or 'symmetric'",
    )
    made = compressor.for_dimension(dim)
    promise(isinstance(made, Compressor), f"{name}.for_dimension({dim}): returned {made!r}, must be a Compressor")
    promise(
        made.for_dimension(dim) == made,
        f"{name}.for_dimension({dim}): done twice it gives something else than done once; is it a frozen dataclass?",
    )
    reads_back(made)
    return made


def _check_message(compressor: Compressor, v: Array, size: int, key: Key, where: str) -> None:
    """One message: made twice, checked, carried."""
    vector = v.copy()
    with no_error(f"{where}: compress must return a Message"):
        message = compressor.checked(compressor.compress(vector, key), size)
        again = compressor.compress(v.copy(), key)
    promise(np.array_equal(vector, v), f"{where}: compress must leave what it is handed as it was, and changed it")
    promise(same(message, again), f"{where}: the same key must give the same message; draw from key.generator() alone")
    if compressor.acts_on == "symmetric":
        for part in message.parts if isinstance(message, Several) else [message]:
            promise(
                isinstance(part, MatrixMessage | Nothing),
                f"{where}: a compressor of matrices must return a message about one, not {type(part).__name__}",
            )
    bits: object = message.formula_bits
    promise(
        isinstance(bits, int | np.integer) and bits >= 0,
        f"{where}: the message's formula_bits are {bits!r}, must be a whole number of at least 0",
    )
    with no_error(f"{where}: the message must survive the wire"):
        arrived = carried({"curvature": message}, lambda part, clients, known: size)["curvature"]
    sent = decoded(message, v.shape)
    promise(np.isfinite(sent).all(), f"{where}: every number sent must be finite")
    promise(
        same(message, arrived) and np.array_equal(decoded(arrived, v.shape), sent),
        f"{where}: the message must arrive as it was sent; are its numbers already those of its precision?",
    )


def _check_contract(compressor: Compressor, contract: Contract, v: Array, draws: int, key: Key, where: str) -> None:
    """What is lost of v, against what the contract allows."""
    largest = float(np.abs(v).max()) if v.size else 0.0
    if largest == 0:
        promise(
            not decoded(compressor.compress(v, key), v.shape).any(), f"{where}: of zeros nothing but zeros may be sent"
        )
        return
    # Divided by the largest entry, so that no square leaves the range of float64.
    unit = v / largest
    energy = float(np.sum(unit * unit))

    @cache  # the promises share their draws
    def off(count: int) -> Array:
        """C(v) - v for that many keys, a row each, where ‖v‖² is `energy`."""
        # A client's draws of many rounds: in one round clients may draw together.
        messages = [compressor.compress(v, key.at(i)) for i in range(count)]
        return np.stack([(decoded(message, v.shape) / largest - unit).ravel() for message in messages])

    def lost(count: int) -> Array:
        rows = off(count)
        return np.sum(rows * rows, axis=1) / energy

    rounding = ROUNDING[compressor.compress(v, key).precision]
    if isinstance(contract, Bounded):
        contract = contract.within(largest * float(np.sqrt(energy)))
    if isinstance(contract, Contractive):
        words = f"{where}: Contractive(δ = {contract.delta:.6g}) promises ‖C(x) - x‖² / ‖x‖² of"
        at_most(1.0 - contract.delta, lost, draws, 1e-13, words)
        return
    words = f"{where}: Unbiased(ω = {contract.omega:.6g}) promises E‖C(x) - x‖² / ‖x‖² of"
    at_most(contract.omega, lost, draws, rounding, words)
    if draws <= FEW:
        return

    def along(count: int, sign: float) -> Array:
        """How much more of x is sent than there is, along x itself: the sharpest test of a wrong factor."""
        return sign * (off(count) @ unit.ravel()) / energy

    words = f"{where}: Unbiased promises E C(x) = x, and so a mean of ±⟨C(x) - x, x⟩ / ‖x‖² of"
    for sign in (1.0, -1.0):
        at_most(0.0, lambda count, sign=sign: along(count, sign), draws, rounding, words)  # type: ignore[misc]
    for count in (draws, MANY * draws):
        rows = off(count)
        bias = float(np.linalg.norm(rows.mean(axis=0)))
        allowed = 4.0 * float(np.sqrt(np.mean(np.sum(rows * rows, axis=1)) / count)) + rounding * np.sqrt(energy)
        if bias <= allowed:
            return
    promise(False, f"{where}: Unbiased promises E C(x) = x; the mean of {count} messages is {bias:.3g} away from x")


def _check_together(compressor: Compressor, name: str, sizes: list[int], draw: np.random.Generator, key: Key) -> None:
    """Seven clients at once, in two groups, and one by one."""
    together = Blocks.of([draw.standard_normal(size) for size in sizes])
    keys = [key.of(3 * i + 1) for i in range(len(sizes))]
    before = together.values.copy()
    with no_error(f"{name}.compress_all must serve every client"):
        every = compressor.compress_all(together, keys)
        alone = [compressor.compress(v.copy(), own) for v, own in zip(together, keys, strict=True)]
        groups = [np.array([5, 0, 3]), np.array([1, 2, 4, 6])]
        parts = [compressor.compress_all(together.select(group), [keys[i] for i in group]) for group in groups]
    promise(np.array_equal(together.values, before), f"{name}.compress_all must leave the vectors as they were")
    promise(
        all_same(every, alone), f"{name}.compress_all: clients together must get the very messages that they get alone"
    )
    for group, part in zip(groups, parts, strict=True):
        promise(
            all_same(part, [every[i] for i in group]),
            f"{name}.compress_all: a client's message must not depend on who shares its process",
        )


def _check_mean(compressor: Compressor, name: str, dim: int, draws: int, draw: np.random.Generator, key: Key) -> None:
    """The mean of the messages of clients that draw together."""
    numbers = [n for n in range(1, MANY * dim) if _is_for(compressor, n)]
    promise(numbers, f"{name}.mean_constants must know the number of clients that draw together")
    n = numbers[0]
    for size in (dim, 1, n, 2 * n + 1):
        a, b = compressor.mean_constants(size, n)
        alike = np.tile(draw.standard_normal(size), (n, 1))
        apart = draw.standard_normal((n, size))
        for what, rows in {"alike": alike, "nearly alike": alike + 0.1 * apart, "random": apart}.items():
            unit = rows / np.sqrt(np.mean(np.sum(rows**2, axis=1)))
            at_most(
                a - b * float(np.sum(unit.mean(axis=0) ** 2)),
                partial(_lost_of_the_mean, compressor, unit, key),
                draws,
                ROUNDING[compressor.compress(alike[0], key).precision],
                f"{name}, {n} clients whose vectors are {what}, {size} coordinates: mean_constants (A = {a:.6g}, "
                f"B = {b:.6g}) promise ‖mean C(u_i) - ū‖² of",
            )


def _lost_of_the_mean(compressor: Compressor, rows: Array, key: Key, count: int) -> Array:
    """‖mean C(u_i) - ū‖² of clients whose vectors are `rows` (n, size), in that many rounds."""
    together, found = Blocks.of(list(rows)), np.empty(count)
    for k in range(count):
        messages = compressor.compress_all(together, [key.at(k).of(i) for i in range(len(rows))])
        sent = np.mean([decoded(message, rows[0].shape) for message in messages], axis=0)
        found[k] = np.sum((sent - rows.mean(axis=0)) ** 2)
    return found


def _is_for(compressor: Compressor, n: int) -> bool:
    """Whether the compressor is one for `n` clients."""
    try:
        compressor.mean_constants(1, n)
    except ValueError:
        return False
    return True
