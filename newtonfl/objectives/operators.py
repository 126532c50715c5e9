"""A problem of monotone operators: equilibria and saddle points, where nothing is minimised."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from newtonfl.core.arguments import a_factor
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.objectives.base import Point, Problem
from newtonfl.objectives.functions import answers_of, clients_and_ridge, constants_of

if TYPE_CHECKING:
    from newtonfl.comm.transport import Transport


class FromOperators(Problem):
    """Find z with F(z) = (1/n) Σ F_i(z) + λz = 0, where the mean of the F_i is monotone: a variational inequality.

    A saddle point of g(x, y) is one with F = (∇_x g, -∇_y g), an equilibrium of a game one with every player's own
    gradient; the minimiser of f has F = ∇f. F need be nobody's gradient, so there is no f: a solve has converged where
    ‖F(z)‖ ≤ tol, which stands where gradients' norms stand elsewhere, and its records have no f. Methods that minimise
    refuse such a problem, and those with ``solves_operators`` take it: extragradient, masha1, masha2.

    Parameters
    ----------
    n_clients, dim : int
        n and d.
    operator : callable
        ``operator(i, z)`` → array (d,), F_i(z).
    l2 : float
        λ of λz, which is added to F.
    lipschitz : float, array of shape (n_clients,), or None
        L_i with ‖F_i(z) - F_i(u)‖ ≤ L_i ‖z - u‖ for all z and u, where they are known: theory's steps need them, with
        their mean as the constant of F.
    strong_monotonicity : float
        μ with ⟨F(z) - F(u), z - u⟩ ≥ μ‖z - u‖² for all z and u, less the ridge: at least 0, and 0 says that F is
        monotone. It is taken as it is given.
    objective : str
        The formula, which messages and results show.
    transport : Transport or None
        As ``newtonfl.connect(comm)`` returns it: this process then holds its share of the clients.

    Raises
    ------
    ValueError
        If a size, a constant or `l2` is not what it must be.
    TypeError
        If `operator` is no function.

    Examples
    --------
    The game min_x max_y xy + (x² - y²)/4 - x of two clients, the first of which has the linear term:

    >>> import numpy as np, newtonfl as nf
    >>> def operator(i, z):
    ...     x, y = z
    ...     return np.array([x / 2 + y - 2 * (i == 0), y / 2 - x])
    >>> p = nf.FromOperators(2, 2, operator, lipschitz=1.2, strong_monotonicity=0.5)
    >>> nf.solve(p, nf.extragradient(), tol=1e-12).x.round(6)
    array([0.4, 0.8])
    """

    is_operator: ClassVar[bool] = True

    def __init__(
        self,
        n_clients: int,
        dim: int,
        operator: Callable[[int, Array], Array],
        *,
        l2: float = 0.0,
        lipschitz: Array | float | None = None,
        strong_monotonicity: float = 0.0,
        objective: str = "(1/n) Σ F_i(z) = 0",
        transport: Transport | None = None,
    ) -> None:
        if not callable(operator):
            raise TypeError(f"operator: given {operator!r}, must be a function of (i, z)")
        clients, ridge = clients_and_ridge(n_clients, dim, l2, transport)
        super().__init__(n_clients, dim, ridge, objective, np.zeros(0), clients, transport)
        a_factor("strong_monotonicity", strong_monotonicity)
        self.operator, self.strong_monotonicity = operator, float(strong_monotonicity)
        self._numbers = self.clients  # what the operator knows them by
        self._lipschitz = constants_of("lipschitz", lipschitz, self.n_clients)

    def check_convex(self, who: str) -> None:
        raise ValueError(f"{who} needs functions that are minimised, and this problem has operators alone")

    @property
    def strong_convexity(self) -> float:
        return self.strong_monotonicity + float(self.ridge.min())

    def _curvature_product(self, v: Array) -> Array:
        """L_i v: the norm of the L_i's mean is a Lipschitz constant of the mean operator, if not the least."""
        return self._client_smoothness()[:, None] * v

    def _client_smoothness(self) -> Array:
        if self._lipschitz is None:
            remedy = "give FromOperators its argument lipschitz, or give stepsize=NUMBER"
            raise ValueError(f"no Lipschitz constants L_i are known for {self.objective}: {remedy}")
        return self._lipschitz[self._numbers]

    def _select(self, part: Self, chosen: Array) -> None:
        part._numbers = self._numbers[chosen]

    def _leave_out(self, part: Self, stay: Array) -> None:
        part.strong_monotonicity = 0.0  # it was that of the mean over all

    def _at(self, x: Array) -> Point:
        return _OperatorPoint(self, x)


class _OperatorPoint(Point):
    problem: FromOperators

    def _value(self) -> Array:
        return np.full(len(self.problem.clients), np.nan)  # there is no f

    def _gradient(self) -> Array:
        problem, shape = self.problem, (self.problem.dim,)
        rows = answers_of(problem.operator, "operator", problem._numbers, self.x, shape)
        return np.reshape(np.array(rows, dtype=np.float64), (-1, problem.dim))

    def _hessians(self) -> Blocks:
        raise NotImplementedError  # a problem of operators never gets here: Problem.check_convex refuses first
