"""Graph: who is whose neighbour, and the weights by which neighbours mix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.sparse.csgraph import connected_components

from newtonfl.core.backend import Array
from newtonfl.core.quoting import quoted
from newtonfl.registry import Part

_EXACT = 1e-9  # how far own weights may be from symmetric, and from rows of the sum 1


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
        return _spectrum(self, n_clients)[:2]

    def algebraic_connectivity(self, n_clients: int) -> float:
        """The least eigenvalue of I - W above 0, for `n_clients`: by that much differences fall."""
        return _spectrum(self, n_clients)[2]


@lru_cache(maxsize=16)
def _mixing(graph: Graph, n: int) -> csr_array:
    if n < 2:
        raise ValueError(f"graph={graph}: one client has no neighbours, at least 2 are needed")
    edges = checked_edges(graph, n)
    degrees = np.bincount(edges.ravel(), minlength=n)
    weights = 1.0 / (1.0 + np.maximum(*degrees[edges].T))
    i, j = np.concatenate([edges, edges[:, ::-1]]).T
    between = csr_array((np.concatenate([weights, weights]), (i, j)), shape=(n, n))
    own = 1.0 - between.sum(axis=1)
    whole = csr_array(between + csr_array((own, (np.arange(n), np.arange(n))), shape=(n, n)))
    whole.sort_indices()
    return whole


@lru_cache(maxsize=16)
def checked_edges(graph: Graph, n: int) -> Array:
    """The graph's edges as int64, once they are seen to be what :meth:`Graph.edges` promises, and to connect all.

    Raises
    ------
    ValueError
        Where they are not.
    """
    made = graph.edges(n)
    if isinstance(made, np.ndarray) and made.dtype.kind in "iu" and made.ndim == 2 and made.shape[1] == 2:
        i, j = made.astype(np.int64).T
        if ((i >= 0) & (i < j) & (j < n)).all() and len(np.unique(i * n + j)) == len(made):
            _check_connected(graph, csr_array((np.ones(len(i)), (i, j)), shape=(n, n)))
            return made.astype(np.int64)
    shown = made.tolist() if isinstance(made, np.ndarray) else made
    raise ValueError(
        f"graph={graph}: edges({n}) gave {type(made).__name__} {quoted(shown)}, must be an integer array of shape "
        f"(edges, 2) with distinct pairs of clients i < j from 0 to {n - 1}"
    )


def _check_connected(graph: Graph, weights: csr_array) -> None:
    parts, label = connected_components(weights, directed=False)
    if parts > 1:
        other = int(np.argmax(label != label[0]))
        raise ValueError(f"graph={graph}: no path leads from client 0 to client {other}, and all must be connected")


@lru_cache(maxsize=16)
def checked_mixing(graph: Graph, n: int) -> csr_array:
    """W of a graph whose class may have a :meth:`Graph.mixing` of its own: the same array object every time.

    Raises
    ------
    ValueError
        If W is no symmetric (n, n) matrix of finite numbers with rows of the sum 1, to 1e-9, has an eigenvalue beyond
        -1 to 1 or 1 twice, or a client is cut off.
    """
    made = graph.mixing(n)
    if not (issparse(made) or isinstance(made, np.ndarray)) or made.dtype.kind not in "iuf":
        raise ValueError(f"graph={graph}: mixing({n}) gave {quoted(made)}, must be a csr_array of numbers")
    if made.shape != (n, n):
        raise ValueError(f"graph={graph}: mixing({n}) gave a matrix of shape {made.shape}, must be {(n, n)}")
    weights = csr_array(made, dtype=np.float64, copy=True)
    weights.sum_duplicates()  # which sorts the indices too
    if not np.isfinite(weights.data).all():
        fault = "numbers that are not finite"
    elif (away := float(abs(weights - weights.T).max())) > _EXACT:
        fault = f"w_ij and w_ji that differ by {away:g}"
    elif (away := float(abs(weights.sum(axis=1) - 1.0).max())) > _EXACT:
        fault = f"a row whose sum differs from 1 by {away:g}"
    elif (weights.data < 0.0).any() and (beyond := _that_does_not_mix(_eigenvalues(weights))) is not None:
        fault = f"the eigenvalue {beyond:.12g} beside 1, with which differences stay or grow"
    else:
        _check_connected(graph, csr_array(weights != 0.0))
        return weights
    raise ValueError(
        f"graph={graph}: mixing({n}) gave {fault}, must be symmetric and finite, with rows of the sum 1, and "
        "eigenvalues from -1 to below 1 beside the one 1"
    )


def _that_does_not_mix(values: Array) -> float | None:
    """One of W's increasing eigenvalues that is not from -1 to below 1, but for one 1; None where there is none."""
    least, second = float(values[0]), float(values[-2])
    return least if least < -1.0 - _EXACT else second if second > 1.0 - _EXACT else None


def _eigenvalues(weights: csr_array) -> Array:
    """Increasing."""
    return np.linalg.eigvalsh(weights.toarray())


@lru_cache(maxsize=16)
def _spectrum(graph: Graph, n: int) -> tuple[float, float, float]:
    values = _eigenvalues(checked_mixing(graph, n))
    second = max(abs(float(values[0])), abs(float(values[-2])))
    return 1.0 - second, 1.0 - float(values[0]), 1.0 - float(values[-2])
