"""Problem: what is minimised, and Point: what is known at x."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from newtonfl.backend import Array, namespace, to_device, to_host
from newtonfl.blocks import Blocks
from newtonfl.triangle import triangle

if TYPE_CHECKING:
    from newtonfl.transport import Transport


class Point(ABC):
    """What this process's clients know at x. Each part is computed once, when it is first asked for.

    Parameters
    ----------
    problem : Problem
    x : array, shape (d,), or (n, d) with one point a client
    """

    def __init__(self, problem: Problem, x: Array) -> None:
        self.problem, self.x = problem, x
        self._on_support: dict[bool, Blocks] = {}

    @cached_property
    def value(self) -> Array:
        """f_i(x), shape (n,)."""
        ridge, value = self.problem.local_ridge, self._value()
        return value if ridge is None else value + 0.5 * namespace(self.x).sum(ridge * self.x**2, axis=-1)

    @cached_property
    def gradient(self) -> Array:
        """∇f_i(x), shape (n, d)."""
        ridge = self.problem.local_ridge
        return self._gradient() if ridge is None else self._gradient() + ridge * self.x

    @cached_property
    def hessians(self) -> Blocks:
        """∇²f_i(x) as packed upper triangles (plain entries), n blocks of d(d + 1)/2."""
        ridge = self.problem.local_ridge
        self.problem.hessian_counts += 1
        packed = self._hessians()
        if ridge is None:
            return packed
        flat = triangle(self.problem.dim)
        full = np.zeros(flat.size)
        full[flat.diagonal] = to_host(ridge)
        xp = namespace(packed.values)
        return packed.replaced(packed.values + xp.tile(to_device(full, packed.values), (len(packed),)))

    def hessian(self, i: int) -> Array:
        """∇²f_i(x) of the i-th client held here, shape (d, d)."""
        dim = self.problem.dim
        packed = self.hessians[i]
        xp = namespace(packed)
        return xp.reshape(xp.take(packed, to_device(triangle(dim).square, packed)), (dim, dim))

    def hessians_on_support(self, diagonal: bool) -> Blocks:
        """∇²f_i(x) on :meth:`Problem.support` alone."""
        if diagonal not in self._on_support:
            self.problem.hessian_counts += 1
            self._on_support[diagonal] = self._hessians_on_support(diagonal)
        return self._on_support[diagonal]

    def _hessians_on_support(self, diagonal: bool) -> Blocks:
        raise NotImplementedError  # a problem without a support never gets here: Problem.support refuses first

    @abstractmethod
    def _value(self) -> Array: ...

    @abstractmethod
    def _gradient(self) -> Array: ...

    @abstractmethod
    def _hessians(self) -> Blocks: ...


class Problem(ABC):
    """A convex finite sum f(x) = (1/n) Σ f_i(x) + ½ Σ_j ridge_j x_j², and the clients that this process holds.

    Attributes
    ----------
    n_clients : int
        n, over all processes.
    dim : int
        d.
    clients : numpy.ndarray of int64
        The clients held here, increasing.
    ridge : numpy.ndarray, shape (d,)
        The quadratic that everyone knows: added exactly by the server, never sent. Zero where x_j is not penalised.
    local_ridge : array or None
        That quadratic where it stands in every client's function instead (:meth:`with_local_ridge`).
    objective : str
        The objective as a formula.
    like : array
        Any array of the library, and on the device, that holds the data.
    transport : Transport or None
        Where the other clients are; None in one process.
    f_star : float or None
        The optimal value where it is known.
    title : str
        One line for people.
    hessian_counts : numpy.ndarray of int64, shape (n held here,)
        How many Hessians each client has computed.
    """

    def __init__(
        self,
        n_clients: int,
        dim: int,
        ridge: Array,
        objective: str,
        like: Array,
        clients: Array | None = None,
        transport: Transport | None = None,
        f_star: float | None = None,
    ) -> None:
        if not (int(n_clients) >= 1 and int(dim) >= 1):
            raise ValueError(f"a problem of {n_clients} clients in dimension {dim}: each must be at least 1")
        self.n_clients, self.dim, self.objective, self.like = int(n_clients), int(dim), objective, like
        self.ridge = np.broadcast_to(np.asarray(ridge, dtype=np.float64), (self.dim,))
        if not (np.isfinite(self.ridge).all() and (self.ridge >= 0).all()):
            raise ValueError(f"l2: given {self.ridge.min():g}, must be a finite number of at least 0")
        if f_star is not None and not np.isfinite(float(f_star)):
            raise ValueError(f"f_star: given {f_star}, must be a finite number, or None where it is not known")
        self.local_ridge: Array | None = None
        self.clients = np.arange(n_clients) if clients is None else np.asarray(clients, dtype=np.int64)
        self.transport, self.f_star = transport, None if f_star is None else float(f_star)
        self.title = objective
        self.hessian_counts = np.zeros(len(self.clients), np.int64)
        self._points: dict[bytes, Point] = {}
        self._prepared: dict[Any, Any] = {}

    def at(self, x: Array) -> Point:
        """What is known at `x`, shape (d,), or (n, d) with one point for each client held here.

        The last two points are remembered, so that a gradient, a Hessian and a diagnostic share their margins.
        """
        key = to_host(x).tobytes()
        if key not in self._points:
            while len(self._points) >= 2:
                self._points.pop(next(iter(self._points)))
            self._points[key] = self._at(x + 0.0)  # a copy: the caller may change its own
        return self._points[key]

    def forget(self) -> None:
        """Forget points and counts: a solve begins."""
        self.hessian_counts[:] = 0
        self._points.clear()
        if "local ridge" in self._prepared:
            self._prepared["local ridge"]._points.clear()

    def prepare(self, part: Any) -> Any:
        """``part.of(self)``, remembered: a basis lays out its coordinates once a problem."""
        if part not in self._prepared:
            self._prepared[part] = part.of(self)
        return self._prepared[part]

    def with_local_ridge(self) -> Self:
        """The same objective with the ridge inside every client's function."""
        if self.local_ridge is not None:
            return self
        if "local ridge" not in self._prepared:
            other = copy.copy(self)
            other.local_ridge = to_device(np.array(self.ridge), self.like)
            other._points, other._prepared = {}, {}
            self._prepared["local ridge"] = other
        local: Self = self._prepared["local ridge"]
        return local

    @property
    def strong_convexity(self) -> float:
        """A μ that the ridge guarantees: its smallest entry."""
        return float(self.ridge.min())

    @property
    def is_sparse(self) -> bool:
        """Whether the clients' Hessians have a :meth:`support`."""
        return False

    def support(self, diagonal: bool) -> Blocks:
        """Where the clients' Hessians can differ from zero (packed positions).

        Raises
        ------
        ValueError
            Where the problem has no sparse rows to tell.
        """
        raise ValueError("basis=support needs sparse rows, and this problem has none: use basis=symmetric")

    def curvature_product(self, v: Array) -> Array:
        """B_i v, shape (n, d), for matrices B_i ⪰ ∇²f_i everywhere (less the ridge): their mean's norm is L.

        Raises
        ------
        ValueError
            Where the problem states no such bound.
        """
        raise ValueError(f"no smoothness constant L is known for {self.objective}: give stepsize=NUMBER")

    @abstractmethod
    def _at(self, x: Array) -> Point: ...
