"""A graph as a list of its edges."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np

from newtonfl.components.client_lists import client_lists
from newtonfl.components.graph.base import Graph
from newtonfl.core.backend import Array
from newtonfl.core.quoting import quoted


@dataclass(frozen=True)
class Edges(Graph):
    """A graph as a list of its edges, in Python or from a file.

    Parameters
    ----------
    pairs : tuple of (int, int)
        Two neighbours each, by their numbers from 0 on, in either order; a pair may stand there twice.
    path : str
        The file they were read from.

    Raises
    ------
    ValueError
        If `pairs` are no pairs of two clients.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Edges(((0, 1), (2, 1))).edges(3)
    array([[0, 1],
           [1, 2]])
    """

    pairs: tuple[tuple[int, int], ...]
    path: str = ""
    name = "edges"
    shorthand = ("path",)
    reads_file = True

    def __post_init__(self) -> None:
        try:
            found = [tuple(pair) for pair in self.pairs]
        except TypeError:
            raise ValueError(
                f"edges: given {quoted(self.pairs)}, must be pairs of two clients' numbers, such as ((0, 1), (1, 2))"
            ) from None
        pairs = set()
        for pair in found:
            if len(pair) != 2 or not all(map(_is_client, pair)) or pair[0] == pair[1]:
                raise ValueError(f"edges: given {quoted(pair)}, must be the numbers of two clients, from 0 on")
            pairs.add((int(min(pair)), int(max(pair))))
        object.__setattr__(self, "pairs", tuple(sorted(pairs)))

    def __repr__(self) -> str:
        # A list can be long, and ranks compare their settings by what they print.
        digest = blake2b(repr(self.pairs).encode(), digest_size=8).hexdigest()
        return f"Edges({len(self.pairs)} edges, {digest}, path={self.path!r})"

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a graph: a line an edge with two clients' numbers and spaces between them; ``#`` comments.

        Parameters
        ----------
        path : str
            The file, UTF-8 text.

        Returns
        -------
        Edges
            Of its edges, with its absolute path.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If a line is not two different clients' numbers; the message names file and line.
        """
        pairs, must = [], "two clients' numbers"
        for where, clients in client_lists(path, "a graph is a line an edge with two clients' numbers", must):
            if not clients:
                continue
            if len(clients) != 2:
                raise ValueError(f"{where}, must be {must}")
            if clients[0] == clients[1]:
                raise ValueError(f"{where}, must be two different clients")
            pairs.append((clients[0], clients[1]))
        return cls(tuple(pairs), str(Path(path).resolve()))

    def to_spec(self) -> str:
        return f"edges:{self.path}" if self.path else super().to_spec()

    def edges(self, n_clients: int) -> Array:
        most = max((j for _, j in self.pairs), default=-1)
        if most >= n_clients:
            raise ValueError(f"graph={self}: it names client {most}, and there are {n_clients} (0 first)")
        return np.array(self.pairs, np.int64).reshape(-1, 2)


def _is_client(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)
