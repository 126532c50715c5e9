"""Every client its own part of one random permutation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Batch, Message, Sparse
from newtonfl.compressors.compressor import Compressor, Unbiased, whole
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks, offsets_of, selected
from newtonfl.core.random import SERVER, Key


@dataclass(frozen=True)
class PermK(Compressor):
    """Perm-K: the coordinates are dealt out to n clients at random, each to one of them (arXiv 2110.03300).

    All clients draw the same two permutations in a round: π of the size coordinates, σ of the n clients. Coordinate
    π(t mod size) goes to client σ(t mod n), t = 0, 1, … below max(size, n): where size ≥ n every coordinate has one
    client, times n; where size < n every client has one coordinate, times n over the number of those who have it too.
    A client alone is unbiased with ω = n/q - 1, q = max(1, ⌊n/size⌋). Equal vectors of n clients have exactly their
    mean, and of any others (A = B = (n - q)/(q(n - 1)), which is 1 where size ≥ n)

        E‖mean C_i(u_i) - ū‖² ≤ A·mean ‖u_i‖² - B‖ū‖².

    The paper has sizes that n divides, or that divide n; dealing out serves all, and the inequality for it is derived
    here. Positions travel with the numbers, about log₂(e·n) bits each, so that the receiver needs no key; that the
    clients may draw alike the run's seed travels once, in the set-up.

    Parameters
    ----------
    n_clients : int
        n. 0 takes the problem's in methods that average such messages (marina); elsewhere a number must be given.
        Client i has the part of i mod n.

    Raises
    ------
    ValueError
        If n is no whole number of at least 0.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> v, key = np.arange(1.0, 6.0), nf.Key(seed=0)
    >>> [nf.PermK(2).compress(v, key.of(i)).coordinates() for i in (0, 1)]
    [(array([0, 3]), array([2., 8.])), (array([1, 2, 4]), array([ 4.,  6., 10.]))]
    """

    n_clients: int = 0
    correlated = True
    name = "permk"

    def __post_init__(self) -> None:
        number = whole(self.n_clients)
        if number is None or number < 0:
            raise ValueError(f"permk: given {self.n_clients!r} clients, must be a whole number of at least 0")

    def contract(self, size: int) -> Unbiased:
        return Unbiased(self.n_clients / self._shared_by(size) - 1.0 if size else 0.0)

    def mean_constants(self, size: int, n_clients: int) -> tuple[float, float]:
        if n_clients != self.n_clients:
            raise ValueError(f"{self}: of {n_clients} clients' messages no bound is known")
        n, q = self.n_clients, self._shared_by(size)
        both = (n - q) / (q * (n - 1.0)) if n > 1 and size else 0.0
        return both, both

    def _shared_by(self, size: int) -> int:
        """q: the fewest clients that have one coordinate."""
        return max(1, self.n_clients // max(size, 1))

    def compress(self, v: Array, key: Key) -> Message:
        return self._dealt(Blocks.of([v]), [key])[0]

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        alike = len(vectors) > 0 and (vectors.sizes == vectors.sizes[0]).all()
        return self._dealt(vectors, keys) if alike else super().compress_all(vectors, keys)

    def _dealt(self, vectors: Blocks, keys: Sequence[Key]) -> Batch:
        """The messages about vectors of one size."""
        n, size = self.n_clients, int(vectors.sizes[0])
        numbers = np.array([key.client for key in keys]) % n
        draw = keys[0].of(SERVER).to("permutation").generator()
        t = np.arange(max(size, n) if size else 0)
        coordinate, client = draw.permutation(size)[t % max(size, 1)], draw.permutation(n)[t % n]
        dealt = np.bincount(client, minlength=n)
        indices = selected(coordinate[np.lexsort((coordinate, client))], offsets_of(dealt), numbers)
        own = np.repeat(vectors.offsets[:-1], dealt[numbers])
        shared_by = np.bincount(coordinate, minlength=size)[indices]
        return Batch(Sparse, dealt[numbers], to_host(vectors.values)[own + indices] * (n / shared_by), indices)

    def for_clients(self, n_clients: int) -> Self:
        if self.n_clients not in (0, n_clients):
            raise ValueError(f"{self}: given {self.n_clients} clients, and the problem has {n_clients}")
        return replace(self, n_clients=n_clients)

    def for_dimension(self, dim: int) -> Self:
        if not self.n_clients:
            raise ValueError("permk: among how many clients? only marina takes the problem's: permk:16 deals out to 16")
        return self
