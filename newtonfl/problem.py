"""Problem: what is minimised, and Point: what is known at x."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
        self._in: tuple[Sequence[Array], Blocks] | None = None

    @cached_property
    def value(self) -> Array:
        """f_i(x), shape (n,)."""
        return self._with_ridge(self._value(), self.x)

    def _with_ridge(self, value: Array, x: Array) -> Array:
        ridge = self.problem.local_ridge
        return value if ridge is None else value + 0.5 * namespace(x).sum(ridge * x**2, axis=-1)

    def value_along(self, direction: Array, steps: Sequence[float]) -> Array:
        """f_i(x + t·direction) for every t of `steps`, shape (n, len(steps)): the trials of a line search.

        `direction` has shape (d,), or (n, d) with one for each client.
        """
        told = self._value_along(direction, steps)
        whole = [self._with_ridge(value, self.x + step * direction) for value, step in zip(told, steps, strict=True)]
        return namespace(self.x).stack(whole, axis=1)

    @cached_property
    def gradient(self) -> Array:
        """∇f_i(x), shape (n, d)."""
        ridge = self.problem.local_ridge
        return self._gradient() if ridge is None else self._gradient() + ridge * self.x

    @cached_property
    def hessians(self) -> Blocks:
        """∇²f_i(x) as packed upper triangles (plain entries), n blocks of d(d + 1)/2."""
        ridge = self.problem.local_ridge
        self.problem.count_hessians()
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
            self.problem.count_hessians()
            self._on_support[diagonal] = self._hessians_on_support(diagonal)
        return self._on_support[diagonal]

    def _hessians_on_support(self, diagonal: bool) -> Blocks:
        raise NotImplementedError  # a problem without a support never gets here: Problem.support refuses first

    def hessians_in(self, rows: Sequence[Array]) -> Blocks:
        """Vᵀ∇²f_i(x)V (less the ridge) as packed upper triangles, from :meth:`Problem.projected_rows` of the Vs.

        Never forms a (d, d) matrix. The last `rows` are remembered.
        """
        if self._in is None or self._in[0] is not rows:
            self.problem.count_hessians()
            self._in = rows, self._hessians_in(rows)
        return self._in[1]

    def _hessians_in(self, rows: Sequence[Array]) -> Blocks:
        raise NotImplementedError  # a problem without rows never gets here: Problem.client_rows refuses first

    def _value_along(self, direction: Array, steps: Sequence[float]) -> list[Array]:
        # Points of their own, so that the problem forgets none that it remembers.
        return [self.problem._at(self.x + step * direction)._value() for step in steps]

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
        # One array, shared with the views of some clients: what they compute counts here.
        self._counts, self._positions = np.zeros(len(self.clients), np.int64), np.arange(len(self.clients))
        self._points: dict[tuple[Any, ...], Point] = {}
        self._prepared: dict[Any, Any] = {}

    def at(self, x: Array) -> Point:
        """What is known at `x`, shape (d,), or (n, d) with one point for each client held here.

        The last two points are remembered, so that a gradient, a Hessian and a diagnostic share their margins.
        """
        key = (x.shape, to_host(x).tobytes())
        if key not in self._points:
            while len(self._points) >= 2:
                self._points.pop(next(iter(self._points)))
            self._points[key] = self._at(x + 0.0)  # a copy: the caller may change its own
        return self._points[key]

    def afresh(self, x: Array) -> Point:
        """What is known at `x`, computed anew: a count of Hessians must not depend on what others remembered."""
        return self._at(x + 0.0)

    def take(self, chosen: Array) -> Self:
        """The problem of some of the clients held here, in the same bits and at the cost of their data.

        Its Hessians count in this problem's :attr:`hessian_counts` too.

        Parameters
        ----------
        chosen : numpy.ndarray of int64
            Distinct positions in :attr:`clients`, perhaps none. All of them, in order, give this problem itself.
        """
        chosen = np.asarray(chosen, dtype=np.int64)
        if np.array_equal(chosen, np.arange(len(self.clients))):
            return self
        part = copy.copy(self)
        part.clients, part._positions = self.clients[chosen], self._positions[chosen]
        part._points, part._prepared = {}, {}
        self._take(part, chosen)
        return part

    def _take(self, part: Self, chosen: Array) -> None:  # noqa: B027 - functions hold nothing per client
        """Lay out the clients' own data in `part`."""

    @property
    def hessian_counts(self) -> Array:
        """How many Hessians each client held here has computed, shape (n held here,)."""
        return self._counts[self._positions]

    def count_hessians(self) -> None:
        """Every client held here computes one."""
        self._counts[self._positions] += 1

    def forget(self) -> None:
        """Forget points and counts: a solve begins."""
        self._counts[self._positions] = 0
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

    @property
    def hessian_lipschitz(self) -> Array:
        """L_*i with ‖∇²f_i(x) - ∇²f_i(y)‖₂ ≤ L_*i ‖x - y‖ for all x and y, shape (n held here,), on the host.

        Raises
        ------
        ValueError
            Where the problem states no such bound.
        """
        raise ValueError(self._no_lipschitz())

    def _no_lipschitz(self) -> str:
        return f"no Lipschitz constant of the Hessian is known for {self.objective}"

    def client_rows(self, i: int) -> Array:
        """The data rows (m_i, d) of the i-th client held here, a NumPy array: they span its Hessians.

        Raises
        ------
        ValueError
            Where the problem has no rows to tell.
        """
        raise ValueError("basis=data needs data rows, and this problem has none: use basis=symmetric")

    def projected_rows(self, vectors: Sequence[Array]) -> list[Array]:
        """Every client's rows times its `vectors` (r_i, d), shape (m_i, r_i): what :meth:`Point.hessians_in` takes."""
        raise NotImplementedError  # client_rows refuses first

    @abstractmethod
    def _at(self, x: Array) -> Point: ...
