"""Point: what the clients held here know at x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from newtonfl.core.backend import Array, namespace, resident, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.core.timing import timed_as
from newtonfl.objectives.regularisers import NonConvex


class Owner(Protocol):
    """What a point asks of its problem."""

    dim: int
    clients: Array
    objective: str
    local_ridge: Array | None
    regulariser: NonConvex | None

    def check_rows(self) -> None:
        """Refuse minibatches where there are no rows to draw from."""

    def check_convex(self, who: str) -> None:
        """Refuse `who` where the problem need not be convex."""

    def count_hessians(self) -> None:
        """Every client held here computes one."""

    def count_gradients(self, share: Array | float = 1.0) -> None:
        """Every client held here computes one, or its `share` of one."""

    @property
    def rows_per_client(self) -> Array:
        """How many rows each client held here has."""

    def _at(self, x: Array) -> Point: ...


class Point(ABC):
    """What this process's clients know at x. Each part is computed once, at its first use.

    Parameters
    ----------
    problem : Owner
        The problem; each kind of point has its own.
    x : array, shape (d,), or (n, d) with one point a client

    Attributes
    ----------
    gradient_counted : numpy.ndarray of bool, shape (n,)
        Of which clients the gradient here has been counted.
    """

    def __init__(self, problem: Owner, x: Array) -> None:
        self.problem, self.x = problem, x
        self._on_support: dict[bool, Blocks] = {}
        self._hessians_counted: set[object] = set()
        self._hessians_counted_before = False
        self.gradient_counted = np.zeros(len(problem.clients), bool)
        self._in: tuple[Sequence[Array], Blocks] | None = None

    @cached_property
    @timed_as("gradients")
    def value(self) -> Array:
        """f_i(x), shape (n,)."""
        return self._whole_value(self._value(), self.x)

    def _whole_value(self, value: Array, x: Array) -> Array:
        """`value` with what stands in every client's function beside its own: a local ridge, the regulariser."""
        ridge, regulariser = self.problem.local_ridge, self.problem.regulariser
        if ridge is not None:
            value = value + 0.5 * namespace(x).sum(ridge * x**2, axis=-1)
        return value if regulariser is None else value + regulariser.value(x)

    @timed_as("gradients")
    def value_along(self, direction: Array, steps: Sequence[float]) -> Array:
        """f_i(x + t·direction) for every t of `steps`, shape (n, len(steps)): the trials of a line search.

        `direction` has shape (d,), or (n, d) with one for each client.
        """
        ahead = [step for step in steps if step]
        values = dict(zip(ahead, self._value_along(direction, ahead), strict=True))
        whole = [
            self._whole_value(values[step], self.x + step * direction)
            if step
            else self.value  # which is known as a rule
            for step in steps
        ]
        return namespace(self.x).stack(whole, axis=1)

    @property
    def gradient(self) -> Array:
        """∇f_i(x), shape (n, d); every client held here has computed one, however often it is read."""
        return self.gradient_of(np.ones(len(self.problem.clients), bool))

    def gradient_of(self, which: Array) -> Array:
        """The same, computed by the clients `which` alone, shape (n,) of bool: the others' rows are not theirs."""
        first = which & ~self.gradient_counted
        if first.any():
            self.problem.count_gradients(first)
            self.gradient_counted = self.gradient_counted | first
        return self.uncounted_gradient

    @cached_property
    @timed_as("gradients")
    def uncounted_gradient(self) -> Array:
        """The same for diagnostics, which no client computes for the method's sake."""
        return self._whole_gradient(self._gradient())

    @timed_as("gradients")
    def sampled_gradient(self, batch: int, key: Key) -> Array:
        """An unbiased estimate of every ∇f_i(x) from `batch` of client i's rows, shape (n, d).

        (m_i/batch) Σ w_j φ′(a_jᵀx, y_j) a_j over rows drawn uniformly without replacement; what is added to every
        function is added exactly. A client of at most `batch` rows gives :attr:`gradient`, in the same bits.

        Parameters
        ----------
        batch : int
            Rows a client, at least 1.
        key : Key
            Client i draws from ``key.of(i)``: one key draws the same rows at every x.

        Raises
        ------
        ValueError
            If `batch` is no such number, or the problem has no rows to draw from.
        """
        if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
            raise ValueError(f"batch: given {batch!r}, must be a whole number of at least 1")
        self.problem.check_rows()
        rows = np.maximum(self.problem.rows_per_client, 1)
        self.problem.count_gradients(np.minimum(batch, rows) / rows)
        return self._whole_gradient(self._sampled_gradient(int(batch), key))

    def _whole_gradient(self, gradient: Array) -> Array:
        ridge, regulariser = self.problem.local_ridge, self.problem.regulariser
        if ridge is not None:
            gradient = gradient + ridge * self.x
        return gradient if regulariser is None else gradient + regulariser.gradient(self.x)

    def _sampled_gradient(self, batch: int, key: Key) -> Array:
        raise NotImplementedError  # a problem without rows never gets here: Problem.check_rows refuses first

    @cached_property
    def hessians(self) -> Blocks:
        """∇²f_i(x) as packed upper triangles (plain entries), n blocks of d(d + 1)/2."""
        ridge, packed = self.problem.local_ridge, self._own_hessians
        if ridge is None:
            return packed
        flat = triangle(self.problem.dim)
        full = np.zeros(flat.size)
        full[flat.diagonal] = to_host(ridge)
        xp = namespace(packed.values)
        return packed.replaced(packed.values + xp.tile(to_device(full, packed.values), (len(packed),)))

    @cached_property
    @timed_as("Hessians")
    def _own_hessians(self) -> Blocks:
        """The same less a local ridge."""
        self._count("whole")
        return self._hessians()

    def hessian(self, i: int) -> Array:
        """∇²f_i(x) of the i-th client held here, shape (d, d)."""
        return self._square(self.hessians[i])

    def _square(self, packed: Array) -> Array:
        dim, xp = self.problem.dim, namespace(packed)
        return xp.reshape(xp.take(packed, resident(triangle(dim).square, packed)), (dim, dim))

    @timed_as("Hessians")
    def hessian_product(self, v: Array) -> Array:
        """∇²f_i(x)v, shape (n, d), for `v` of shape (d,).

        Two products with the rows, where a problem has rows: no matrix is formed.
        """
        self.problem.check_convex("a Hessian")
        ridge, product = self.problem.local_ridge, self._hessian_product(v)
        return product if ridge is None else product + ridge * v

    @timed_as("Hessians")
    def hessian_diagonal(self) -> Array:
        """The diagonal of every ∇²f_i(x), shape (n, d), at the cost of one such product."""
        self.problem.check_convex("a Hessian")
        ridge, diagonal = self.problem.local_ridge, self._hessian_diagonal()
        return diagonal if ridge is None else diagonal + ridge

    @timed_as("Hessians")
    def hessians_on_support(self, diagonal: bool) -> Blocks:
        """∇²f_i(x) on :meth:`Problem.support` alone."""
        if diagonal not in self._on_support:
            self._count(diagonal)
            self._on_support[diagonal] = self._hessians_on_support(diagonal)
        return self._on_support[diagonal]

    def _count(self, which: object) -> None:
        """Every client computes a Hessian, of which nobody has counted `which` before."""
        if which not in self._hessians_counted and not self._hessians_counted_before:
            self.problem.count_hessians()
            self._hessians_counted.add(which)

    @property
    def hessians_counted(self) -> bool:
        """Whether Hessians here have been counted; where it is set, they have been in another process."""
        return bool(self._hessians_counted) or self._hessians_counted_before

    @hessians_counted.setter
    def hessians_counted(self, counted: bool) -> None:
        self._hessians_counted_before = counted

    def release_hessians(self) -> None:
        """Forget the Hessians, which are large, but not that they were counted."""
        vars(self).pop("hessians", None)
        vars(self).pop("_own_hessians", None)
        vars(self).pop("curvatures", None)
        self._on_support.clear()
        self._in = None

    def _hessians_on_support(self, diagonal: bool) -> Blocks:
        raise NotImplementedError  # a problem without a support never gets here: Problem.support refuses first

    @timed_as("Hessians")
    def hessians_in(self, rows: Sequence[Array]) -> Blocks:
        """Vᵀ∇²f_i(x)V (less the ridge) as packed upper triangles, from :meth:`Problem.projected_rows` of the Vs.

        Never forms a (d, d) matrix. The last `rows` are remembered.
        """
        if self._in is None or self._in[0] is not rows:
            self._count(id(rows))
            self._in = rows, self._hessians_in(rows)
        return self._in[1]

    def _hessians_in(self, rows: Sequence[Array]) -> Blocks:
        raise NotImplementedError  # a problem without rows never gets here: Problem.client_rows refuses first

    def _hessian_product(self, v: Array) -> Array:
        products = [self._square(packed) @ v for packed in self._own_hessians]
        return namespace(v).stack(products) if products else zeros((0, self.problem.dim), v)

    def _hessian_diagonal(self) -> Array:
        xp, flat = namespace(self.x), triangle(self.problem.dim)
        entries = [xp.take(packed, to_device(flat.diagonal, packed)) for packed in self._own_hessians]
        return xp.stack(entries) if entries else zeros((0, self.problem.dim), self.x)

    def _value_along(self, direction: Array, steps: Sequence[float]) -> list[Array]:
        # Points of their own, so that the problem forgets none that it remembers.
        return [self.problem._at(self.x + step * direction)._value() for step in steps]

    @abstractmethod
    def _value(self) -> Array: ...

    @abstractmethod
    def _gradient(self) -> Array: ...

    @abstractmethod
    def _hessians(self) -> Blocks: ...
