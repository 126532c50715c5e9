"""A problem from three functions of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from newtonfl.comm.transport import Transport
from newtonfl.core.arguments import a_count, a_factor
from newtonfl.core.backend import Array
from newtonfl.core.quoting import quoted
from newtonfl.core.ragged import Blocks
from newtonfl.core.raised import own_line
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Point, Problem
from newtonfl.objectives.functions_check import check_functions


class FromFunctions(Problem):
    """A problem in ten lines: three functions of (client, x).

    Parameters
    ----------
    n_clients, dim : int
        n and d.
    value : callable
        ``value(i, x)`` → float, f_i(x).
    gradient : callable
        ``gradient(i, x)`` → array (d,).
    hessian : callable
        ``hessian(i, x)`` → array (d, d), symmetric.
    l2 : float
        λ of the ridge λ/2‖x‖² that is added.
    smoothness : array, shape (d, d), or None
        A matrix B with B ⪰ (1/n) Σ ∇²f_i(x) for all x, where one is known: gd takes its step from its norm.
    hessian_lipschitz : float, array of shape (n_clients,), or None
        L_*i with ‖∇²f_i(x) - ∇²f_i(y)‖₂ ≤ L_*i ‖x - y‖ for all x and y, where they are known: cubic steps need them.
    client_smoothness : float, array of shape (n_clients,), or None
        L_i with ‖∇f_i(x) - ∇f_i(y)‖ ≤ L_i ‖x - y‖ for all x and y, where they are known: compressed gradients take
        their step from them.
    nonconvex : float, or array of shape (d,)
        ρ, or ρ_j, of the regulariser Σ ρ_j x_j²/(1 + x_j²) that is added to every f_i, and to the constants given here.
    objective : str
        The formula, which messages and results show.
    transport : Transport or None
        As ``newtonfl.connect(comm)`` returns it: this process then holds its share of the clients.
    f_star : float or None
        The optimal value where it is known.
    verify : bool
        Before a solve, off the clock, compare gradients at its start with differences of values, and Hessians with
        differences of gradients, along two random directions a client: some thirty calls of each, a thousand where
        steps of many lengths have to be tried. The solve is refused where they differ by more than the differences'
        own error: the message names client, function and entry, with both numbers. Where a function has a kink at the
        start, raises, is not finite or draws at random, nothing is said. False leaves this out: for slow functions.

    Raises
    ------
    ValueError
        If a size, a constant or `l2` is not what it must be.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> p = nf.FromFunctions(2, 3, lambda i, x: 0.5 * x @ x - i * x[0],
    ...                      lambda i, x: x - i * np.eye(3)[0], lambda i, x: np.eye(3))
    >>> nf.solve(p, nf.newton(), tol=1e-12).x
    array([0.5, 0. , 0. ])
    """

    def __init__(
        self,
        n_clients: int,
        dim: int,
        value: Callable[[int, Array], float],
        gradient: Callable[[int, Array], Array],
        hessian: Callable[[int, Array], Array],
        *,
        l2: float = 0.0,
        smoothness: Array | None = None,
        hessian_lipschitz: Array | float | None = None,
        client_smoothness: Array | float | None = None,
        nonconvex: Array | float = 0.0,
        objective: str = "(1/n) Σ f_i(x)",
        transport: Transport | None = None,
        f_star: float | None = None,
        verify: bool = True,
    ) -> None:
        clients, ridge = clients_and_ridge(n_clients, dim, l2, transport)
        super().__init__(n_clients, dim, ridge, objective, np.zeros(0), clients, transport, f_star, nonconvex)
        self.functions = value, gradient, hessian
        self._numbers = self.clients  # what the functions know them by
        self.smoothness = smoothness
        self._to_verify, self._verified = verify, set[bytes]()
        self._hessian_lipschitz = constants_of("hessian_lipschitz", hessian_lipschitz, self.n_clients)
        self._given_smoothness = constants_of("client_smoothness", client_smoothness, self.n_clients)

    def _curvature_product(self, v: Array) -> Array:
        if self.smoothness is None:
            return super()._curvature_product(v)
        return np.tile(self.smoothness @ v, (len(self.clients), 1))

    def _client_smoothness(self) -> Array:
        if self._given_smoothness is None:
            aside = " (its smoothness bounds the mean of the clients alone)" if self.smoothness is not None else ""
            remedy = f"give FromFunctions its argument client_smoothness{aside}, or give stepsize=NUMBER"
            raise ValueError(f"{self._no_smoothness()}: {remedy}")
        return self._given_smoothness[self._numbers]

    @property
    def hessian_lipschitz(self) -> Array:
        self.check_convex("a Lipschitz constant of the Hessian")
        if self._hessian_lipschitz is None:
            raise ValueError(f"{self._no_lipschitz()}: give FromFunctions its argument hessian_lipschitz")
        return self._hessian_lipschitz[self._numbers]

    def _select(self, part: Self, chosen: Array) -> None:
        part._numbers = self._numbers[chosen]

    def _leave_out(self, part: Self, stay: Array) -> None:
        if self.smoothness is not None:  # it is of the mean over all clients
            part.smoothness = np.asarray(self.smoothness) * (self.n_clients / len(stay))

    def _at(self, x: Array) -> Point:
        return _FunctionPoint(self, x)

    def verify(self, x: Array) -> None:
        if self._to_verify and x.tobytes() not in self._verified:
            self._verified.add(x.tobytes())
            for client in self._numbers:
                check_functions(self.functions, int(client), x, hessians=self.regulariser is None)

    def call(self, which: int, x: Array, shape: tuple[int, ...]) -> list[Array]:
        """Function `which` of the three at `x` for every client held here; ValueError where an answer has not `shape`.

        ValueError also where a Hessian is not symmetric. What a function raises itself gets a note that names the
        client, and the file and line.
        """
        name = ("value", "gradient", "hessian")[which]
        answers = answers_of(self.functions[which], name, self._numbers, x, shape)
        for client, answer in zip(self._numbers, answers, strict=True):
            if len(shape) == 2 and not np.allclose(answer, answer.T, rtol=1e-8, atol=0.0, equal_nan=True):
                raise ValueError(f"hessian({client}, x): returned a matrix that is not symmetric")
        return answers


def answers_of(
    function: Callable[[int, Array], Array | float], name: str, clients: Array, x: Array, shape: tuple[int, ...]
) -> list[Array]:
    """A user's `function`, called `name`, of each of the `clients` at `x` (d,), or at its row of `x` (n, d).

    ValueError where an answer has not `shape`. What the function raises itself gets a note that names the client, and
    the file and line.
    """
    answers = []
    for i, client in enumerate(clients):
        try:
            point = (x if x.ndim == 1 else x[i]).view()
            point.flags.writeable = False  # all clients get the same x
            # A copy: the function may use its array again for the next client.
            answer = np.array(function(int(client), point))
            if answer.dtype.kind not in "fiub":
                raise TypeError(f"{name}({client}, x): returned numbers of type {answer.dtype}, must be real numbers")
            answer = answer.astype(np.float64)
        except BaseException as error:
            where = f"in the problem's own function for client {client}"
            error.add_note(", ".join(filter(None, (where, own_line(error)))))
            raise
        if answer.shape != shape:
            raise ValueError(f"{name}({client}, x): returned shape {answer.shape}, must be {shape}")
        answers.append(answer)
    return answers


def clients_and_ridge(n_clients: int, dim: int, l2: float, transport: Transport | None) -> tuple[Array | None, Array]:
    """The clients held here, None for all, and the ridge (d,); ValueError where an argument is not what it must be."""
    for key, size in (("n_clients", n_clients), ("dim", dim)):
        a_count(key, size, 1)
    a_factor("l2", l2)
    if transport is not None and not isinstance(transport, Transport):
        raise ValueError(f"transport: given {quoted(transport)}, must be None or what newtonfl.connect(comm) returned")
    return None if transport is None else transport.share(n_clients), np.full(dim, float(l2))


def constants_of(name: str, value: Array | float | None, n_clients: int) -> Array | None:
    """What a user gives as one number, or as one for each client, shape (n,); None stays None, ValueError else."""
    if value is None:
        return None
    try:
        numbers = np.asarray(value)
        constants = numbers.astype(np.float64) if numbers.dtype.kind in "iufO" else np.array(np.nan)
    except (TypeError, ValueError):
        constants = np.array(np.nan)
    if constants.shape not in ((), (n_clients,)) or not (np.isfinite(constants).all() and (constants >= 0).all()):
        raise ValueError(
            f"{name}: given {quoted(value)}, must be one number, or one for each of the {n_clients} clients, "
            "finite and at least 0"
        )
    return np.broadcast_to(constants, (n_clients,))


class _FunctionPoint(Point):
    problem: FromFunctions

    def _value(self) -> Array:
        return np.array(self.problem.call(0, self.x, ()), dtype=np.float64)

    def _gradient(self) -> Array:
        dim = self.problem.dim
        return np.reshape(np.array(self.problem.call(1, self.x, (dim,)), dtype=np.float64), (-1, dim))

    def _hessians(self) -> Blocks:
        dim = self.problem.dim
        upper = triangle(dim).upper
        matrices: Sequence[Array] = self.problem.call(2, self.x, (dim, dim))
        return Blocks.of([matrix.ravel()[upper] for matrix in matrices])
