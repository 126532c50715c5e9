"""Whether a rule of aggregation does what every rule should."""

from __future__ import annotations

import numpy as np

from newtonfl.checks.trials import close, no_error, promise, reads_back
from newtonfl.components.aggregation import Aggregator
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


def check_aggregator(aggregator: Aggregator, *, size: int = 7, more: int = 12, seed: int = 0) -> None:
    """Check a rule of aggregation, yours or the library's.

    With as many vectors as ``least`` asks for, and with more:

    - The aggregate has the shape of a vector, is finite where the vectors are (entries up to 1e140), and leaves them as
      they were.
    - The same key gives the same aggregate.
    - Equal vectors have that vector.
    - It moves with the vectors: Agg{v_i + u} = Agg{v_i} + u, so that it does not matter where the ridge is added.

    And ``to_spec`` reads back as the same rule, where it has a name. How many Byzantine clients a rule bears is not
    tried: the mean bears none.

    Parameters
    ----------
    aggregator : Aggregator
        What is checked.
    size : int
        How many coordinates a vector has.
    more : int
        How many vectors above ``least`` to try as well.
    seed : int
        Seeds the vectors and keys.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, and what came.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_aggregator
    >>> check_aggregator(nf.Bucketed("krum:1"))
    """
    promise(isinstance(aggregator, Aggregator), f"given {aggregator!r}, must be an Aggregator")
    reads_back(aggregator)
    least = aggregator.least
    promise(isinstance(least, int) and least >= 0, f"least: {least!r}, must be a whole number of at least 0")
    for k in (max(least, 1), max(least, 1) + 1, least + more):
        with no_error(f"{type(aggregator).__name__}: it must aggregate {k} vectors"):
            _check(aggregator, np.random.default_rng(seed).standard_normal((k, size)), Key(seed, k))


def _check(aggregator: Aggregator, vectors: Array, key: Key) -> None:
    name, (k, size) = type(aggregator).__name__, vectors.shape
    before = vectors.copy()
    found = aggregator.of(vectors, key)
    promise(np.array_equal(vectors, before), f"{name}: it must leave its vectors as they are")
    promise(np.shape(found) == (size,), f"{name}: of {k} vectors, shape {np.shape(found)}, must be ({size},)")
    again = aggregator.of(vectors, key)
    promise(np.array_equal(found, again), f"{name}: the same key must give the same; draw from key.generator() alone")
    close(aggregator.of(np.tile(vectors[0], (k, 1)), key), vectors[0], f"{name}: {k} equal vectors have that vector")
    shift = np.arange(size) - 2.5
    close(aggregator.of(vectors + shift, key), found + shift, f"{name}: Agg{{v_i + u}} = Agg{{v_i}} + u", 1e-9)
    for scale in (1e-140, 1e140):
        large = vectors.copy()
        large[: (k + 1) // 2] *= scale
        promise(np.isfinite(aggregator.of(large, key)).all(), f"{name}: finite vectors have a finite aggregate")
    promise(np.isfinite(aggregator.of(0.0 * vectors, key)).all(), f"{name}: of zeros, a finite aggregate")
