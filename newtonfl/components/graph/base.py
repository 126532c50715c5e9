"""Graph: who is whose neighbour, and the weights by which neighbours mix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from newtonfl.core.backend import Array
from newtonfl.registry import Part


class Graph(Part, ABC):
    """An undirected connected graph of the clients. Subclasses are frozen dataclasses.

    Its mixing matrix W has Metropolis weights (Xiao, Boyd and Lall, "A scheme for robust distributed sensor fusion
    based on average consensus", 2005): w_ij = 1/(1 + max{deg_i, deg_j}) for neighbours, and w_ii what is left of 1. W
    is symmetric, its rows and columns have the sum 1, and a client needs to know the degrees of its neighbours alone.
    """

    kind = "graph"

    @abstractmethod
    def edges(self, n_clients: int) -> Array:
        """The edges, each once.

        Parameters
        ----------
        n_clients : int
            n.

        Returns
        -------
        numpy.ndarray of int64, shape (edges, 2)
            Pairs i < j of client numbers from 0 to n - 1, distinct.

        Raises
        ------
        ValueError
            Where n clients do not go with the settings.
        """

    def mixing(self, n_clients: int) -> csr_array:
        """W for `n_clients`, shape (n, n), float64 with sorted indices: the same array object every time.

        Raises
        ------
        ValueError
            Where n clients do not go with the settings, or are not connected.
        """
        return _mixing(self, n_clients)

    def spectrum(self, n_clients: int) -> tuple[float, float]:
        """(ρ, β) of W for `n_clients`: its spectral gap 1 - |λ₂|, and the largest eigenvalue of I - W."""
        return _spectrum(self, n_clients)


@lru_cache(maxsize=16)
def _mixing(graph: Graph, n: int) -> csr_array:
    if n < 2:
        raise ValueError(f"graph={graph}: one client has no neighbours, at least 2 are needed")
    edges = graph.edges(n)
    degrees = np.bincount(edges.ravel(), minlength=n)
    weights = 1.0 / (1.0 + np.maximum(*degrees[edges].T))
    i, j = np.concatenate([edges, edges[:, ::-1]]).T
    between = csr_array((np.concatenate([weights, weights]), (i, j)), shape=(n, n))
    parts, label = connected_components(between, directed=False)
    if parts > 1:
        other = int(np.argmax(label != label[0]))
        raise ValueError(f"graph={graph}: no path leads from client 0 to client {other}, and all must be connected")
    own = 1.0 - between.sum(axis=1)
    whole = csr_array(between + csr_array((own, (np.arange(n), np.arange(n))), shape=(n, n)))
    whole.sort_indices()
    return whole


@lru_cache(maxsize=16)
def _spectrum(graph: Graph, n: int) -> tuple[float, float]:
    values = np.linalg.eigvalsh(_mixing(graph, n).toarray())
    second = max(abs(float(values[0])), abs(float(values[-2])))
    return 1.0 - second, 1.0 - float(values[0])
