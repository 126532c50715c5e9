"""Problem: what is minimised. What is known of it at x is a Point."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from newtonfl.core.backend import Array, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.memory import SolveMemory
from newtonfl.objectives.nonsmooth import Nonsmooth
from newtonfl.objectives.point import Point
from newtonfl.objectives.regularisers import formula, regulariser
from newtonfl.objectives.schema import Schema
from newtonfl.registry import coerce

if TYPE_CHECKING:
    from newtonfl.comm.transport import Transport

__all__ = ["Point", "Problem"]


class Problem(SolveMemory):
    """A finite sum f(x) = (1/n) Σ f_i(x) + ½ Σ_j ridge_j x_j², and the clients that this process holds.

    The f_i are convex, except with the regulariser Σ_j ρ_j x_j²/(1 + x_j²), which then stands in each of
    them: in its values, gradients and smoothness constants. Such a problem has no Hessians.

    Conventions:

    - Shapes: n counts the clients of all processes, and "held here" those of this one. What is known of the clients at
      a point has one row a client held here, in the order of :attr:`clients`: f_i (n,), ∇f_i (n, d), and ∇²f_i as
      :class:`newtonfl.core.ragged.Blocks` of packed upper triangles of d(d + 1)/2 entries, row by row.
    - Units: f has the unit of one row's loss, for it is a weighted mean over all rows; gradients are per unit of x.
    - Weights: a row counts by its own weight, whichever client holds it. Clients have no weights: f is the plain
      mean (1/n) Σ f_i, and a client of more rows has a larger f_i.
    - Ridge: it belongs to the server, which adds ridge·x and diag(ridge) exactly, and stands in no f_i, no gradient, no
      Hessian and no constant here, but after :meth:`with_local_ridge`. The non-convex regulariser is the clients'.
    - Ownership: the caller owns the problem, and nothing writes its attributes. Arrays that a problem or a point
      returns are its own: they are read, never written. Data live on the device of :attr:`like`, constants (the ridge,
      L_i) on the host.

    Attributes
    ----------
    n_clients : int
        n, over all processes.
    dim : int
        d.
    clients : numpy.ndarray of int64
        The clients held here, increasing.
    ridge : numpy.ndarray, shape (d,)
        The quadratic that the server adds exactly; it is never sent. Zero where x_j is not penalised.
    local_ridge : array or None
        That quadratic where it stands in every client's function instead (:meth:`with_local_ridge`).
    nonconvex : float
        The largest ρ_j; 0 without that regulariser. The argument is one number, or ρ_j for each coordinate: zero, as in
        the ridge, where x_j is not penalised.
    regulariser : NonConvex or None
        That regulariser.
    nonsmooth : Nonsmooth or None
        r, which is added to f and known by its prox (:meth:`with_nonsmooth`).
    objective : str
        The objective as a formula, which names all of these.
    like : array
        Any array of the library, and on the device, that holds the data.
    transport : Transport or None
        Where the other clients are; None in one process.
    f_star : float or None
        The optimal value where it is known.
    title : str
        What is minimised, in one line.
    schema : Schema
        What coordinates and labels are called.
    is_operator : bool
        Whether no f is minimised: F(z) = 0 is solved, and what is called a gradient here is F_i
        (:class:`newtonfl.FromOperators`).
    preparation : (array, array) or None
        The bytes that each client sent and received before any solve, shape (n,) each, to join the words of columns,
        their means and variances, or to agree on the columns that occur; every solve counts them as set-up. None where
        nothing was sent.

    Raises
    ------
    ValueError
        If there is no client or no coordinate, or a ridge, ρ_j or f_star is not what it must be.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> p = nf.load("breast_cancer", clients=16)
    >>> point = p.at(np.zeros(p.dim))
    >>> point.value.shape, point.gradient.shape, point.hessian(0).shape
    ((16,), (16, 30), (30, 30))
    >>> p.objective
    '(1/569) Σ_j log(1 + exp(-y aᵀx)) + (0.001/2)‖x‖²'
    """

    is_operator: ClassVar[bool] = False

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
        nonconvex: Array | float = 0.0,
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
        self.nonsmooth: Nonsmooth | None = None
        self.regulariser = regulariser(nonconvex, self.dim, like)
        self.nonconvex = 0.0 if self.regulariser is None else self.regulariser.largest
        self.clients = np.arange(n_clients) if clients is None else np.asarray(clients, dtype=np.int64)
        self.transport, self.f_star = transport, None if f_star is None else float(f_star)
        self.title, self.schema = objective, Schema()
        self.preparation: tuple[Array, Array] | None = None
        self._forget_everything()
        self._smoothness: Array | None = None

    def select(self, chosen: Array) -> Self:
        """The problem of some of the clients held here, in the same bits and at the cost of their data.

        Its Hessians and gradients count in this problem's :attr:`hessian_counts` and :attr:`gradient_counts` too.

        Parameters
        ----------
        chosen : numpy.ndarray of int64
            Distinct positions in :attr:`clients`, perhaps none. All of them, in order, give this problem itself.

        Returns
        -------
        Problem
            Of the same data, with points of its own.
        """
        chosen = np.asarray(chosen, dtype=np.int64)
        if np.array_equal(chosen, np.arange(len(self.clients))):
            return self
        part = copy.copy(self)
        part.clients, part._positions = self.clients[chosen], self._positions[chosen]
        part._points, part._prepared = {}, {}
        part._smoothness = None if self._smoothness is None else self._smoothness[chosen]
        self._select(part, chosen)
        return part

    def _select(self, part: Self, chosen: Array) -> None:
        """Lay out the clients' own data in `part`."""

    def without(self, clients: Sequence[int]) -> Self:
        """The problem of the other clients alone, as if these had never been there: f is the mean over those that stay.

        Where clients run on ranks, every rank calls this.

        Parameters
        ----------
        clients : sequence of int
            Whom to leave out, of all processes.

        Returns
        -------
        Problem
            Its clients are numbered anew from 0, in the order that they had.

        Raises
        ------
        ValueError
            If a number is no client's, nobody stays, or the problem does not know how to do without.

        Examples
        --------
        >>> import newtonfl as nf
        >>> p = nf.load("breast_cancer", clients=16)
        >>> p.without([3, 5]).n_clients
        14
        """
        gone = np.unique(np.asarray(clients, dtype=np.int64))
        if len(gone) and not 0 <= gone[0] <= gone[-1] < self.n_clients:
            raise ValueError(f"clients: given {list(clients)}, must be numbers from 0 to {self.n_clients - 1}")
        stay = np.setdiff1d(np.arange(self.n_clients), gone)
        if not len(stay):
            raise ValueError("clients: given all of them, somebody must stay")
        part = copy.copy(self.select(np.flatnonzero(np.isin(self.clients, stay))))
        part._forget_everything()
        part._smoothness, part.f_star = None, None
        part.n_clients, part.clients = len(stay), np.searchsorted(stay, part.clients)
        if self.preparation is not None:
            part.preparation = self.preparation[0][stay], self.preparation[1][stay]
        self._leave_out(part, stay)
        return part

    def _leave_out(self, part: Self, stay: Array) -> None:
        """Make the mean over all clients in `part` that over those who `stay`, by their numbers until now."""
        raise ValueError(f"{type(self).__name__} does not know its functions without some of its clients")

    def personal(self, columns: Sequence[int | str] | str, *, l2: float | None = None) -> Problem:
        """The problem in which some columns have coefficients of each client's own, which never leave it.

        x = (θ, w): θ is shared, and client i has w_i for the `columns`. What is minimised over θ is

            (1/n) Σ h_i(θ) + ½ Σ_shared ridge_j θ_j²,  h_i(θ) = min_w f_i(θ, w) + ½ Σ_personal ridge_j w_j²,

        so that ridge of its own columns is each client's. Every method then works on θ alone
        (:class:`newtonfl.objectives.personal.Personal`).

        Parameters
        ----------
        columns : sequence of int or str, or str
            Columns of the rows, by number from 0 or as :attr:`schema` names them; "intercept" is that of ones, and a
            column of words stands for all that were made of it. None gives this problem itself.
        l2 : float or None
            λ of the personal columns; None is the problem's ridge, which is 0 for an intercept as a rule. With 0 a
            client whose rows let f_i fall for ever along them, as labels of one class do, has no minimiser, and a solve
            is refused.

        Returns
        -------
        Problem
            Of the other columns, in their order.

        Raises
        ------
        ValueError
            If there is no such column, all are given, `l2` is no finite number of at least 0, the problem need not be
            convex, or it is not made of rows with margins.

        Examples
        --------
        >>> import newtonfl as nf
        >>> p = nf.load("breast_cancer", clients=4).personal([0, 3])
        >>> theta = nf.solve(p, "newton").x
        >>> theta.shape, p.private(theta).shape
        ((28,), (4, 2))
        """
        raise ValueError(f"personal: needs a problem of rows with margins, and {self.objective} is none")

    def flix(self, alpha: float) -> Problem:
        """The problem in which a client's model is αx + (1-α) times its own minimiser, which never leaves it.

        What is minimised is (1/n) Σ f_i(αx + (1-α)x_i*), the ridge in every f_i: personalisation by one number, where
        :meth:`personal` takes columns (:class:`newtonfl.objectives.flix.Flix`).

        Parameters
        ----------
        alpha : float
            α, above 0 and at most 1.

        Returns
        -------
        Problem
            Whose ``models(x)`` are the clients' models.

        Raises
        ------
        ValueError
            If α is none, the problem need not be convex, is not made of rows with margins, or has a ridge of 0
            somewhere.

        Examples
        --------
        >>> import newtonfl as nf
        >>> p = nf.load("breast_cancer", clients=4).flix(0.5)
        >>> x = nf.solve(p, "newton").x
        >>> p.models(x).shape
        (4, 30)
        """
        raise ValueError(f"flix: needs a problem of rows with margins, and {self.objective} is none")

    @property
    def data_schema(self) -> Schema:
        """The :attr:`schema` of all columns, the personal ones as well."""
        return self.schema

    def private(self, x: Array) -> Array:
        """Every client's own coefficients at `x`, where there are :meth:`personal` columns.

        Raises
        ------
        ValueError
            Where there are none.
        """
        raise ValueError("private: given for a problem without personal columns, which problem.personal(…) makes")

    def with_nonsmooth(self, r: Nonsmooth | str) -> Self:
        """The problem of f + r, for methods that take prox steps: lead.

        There converged means ‖x - prox_r(x - ∇f(x))‖₂ ≤ tol, the prox of step 1, in the place of ‖∇f(x)‖₂, and the
        history's f has r(x) in it. r acts on every coordinate: l1 and box on an intercept too, also where the ridge
        leaves it out.

        Parameters
        ----------
        r : Nonsmooth or str
            L1(weight) or Box(low, high); as text "l1:0.02" or "box:0:1".

        Returns
        -------
        Problem
            Of the same data.

        Raises
        ------
        ValueError, TypeError
            If `r` is none of these, or the problem has one already.

        Examples
        --------
        >>> import newtonfl as nf
        >>> p = nf.load("breast_cancer", clients=4, l2=0.1).with_nonsmooth("l1:0.02")
        >>> x = nf.solve(p, "lead,gamma=1").x
        >>> int((x != 0.0).sum())
        21
        """
        made = coerce("nonsmooth", r)
        if not isinstance(made, Nonsmooth):
            raise TypeError(f"with_nonsmooth: given {r!r}, must be a Nonsmooth such as L1(0.02), or its text")
        if self.nonsmooth is not None:
            raise ValueError(f"with_nonsmooth: given {made}, and the problem has {self.nonsmooth} already")
        other = copy.copy(self)
        other.nonsmooth, other.f_star = made, None
        other.objective = f"{self.objective} + {made.formula()}"
        other._points, other._prepared = {}, {}
        return other

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

    def count_hessians(self) -> None:
        """Every client held here computes one; refused as in :meth:`check_convex`."""
        self.check_convex("a Hessian")
        self._hessian_counts[self._positions] += 1

    @property
    def strong_convexity(self) -> float:
        """A μ that the ridge guarantees: its smallest entry; 0 where the problem need not be convex."""
        return 0.0 if self.regulariser is not None else float(self.ridge.min())

    def check_convex(self, who: str) -> None:
        """Refuse `who` where the problem need not be convex.

        Raises
        ------
        ValueError
            With the regulariser Σ_j ρ_j x_j²/(1 + x_j²), or where nothing is minimised.
        """
        if self.regulariser is not None:
            raise ValueError(
                f"{who} needs convex functions, and this problem has the non-convex regulariser {formula('ρ')} with "
                f"ρ = {self.nonconvex:g}: use a first-order method such as ef21, or leave it out"
            )

    def check_smooth(self, who: str) -> None:
        """Refuse `who` where a nonsmooth r is added, which it would leave out.

        Raises
        ------
        ValueError
            After :meth:`with_nonsmooth`.
        """
        if self.nonsmooth is not None:
            raise ValueError(
                f"{who}: works with smooth functions, and {self.objective} has {self.nonsmooth}: give the problem "
                "before with_nonsmooth"
            )

    def check_hessians(self, who: str, of_clients: bool = False, copies: int = 2) -> None:
        """Refuse `who` where a Newton step cannot be, before a solve begins.

        Parameters
        ----------
        who : str
            Which method.
        of_clients : bool
            Whether every client keeps all d(d + 1)/2 entries of its own.
        copies : int
            How often: what has been learned of a Hessian, and the Hessian at a new point or all that is sent of it.

        Raises
        ------
        ValueError
            Where :meth:`check_convex` does.
        TooLarge
            Where Hessians of this dimension do not fit.
        """
        self.check_convex(who)
        triangle(self.dim).check_memory(len(self.clients) if of_clients else 0, copies)

    @property
    def occupied(self) -> Array:
        """Which coordinates each f_i may depend on, as booleans on the host, shape (n held here, d)."""
        return np.ones((len(self.clients), self.dim), bool)

    def check_rows(self) -> None:
        """Refuse minibatches where there are no rows to draw from, before a solve begins.

        Raises
        ------
        ValueError
            Where the problem has no rows.
        """
        raise ValueError("minibatch gradients need data rows, and this problem has none: use exact gradients")

    def verify(self, x: Array) -> None:
        """Refuse functions that do not belong together at `x`, before a solve begins there; on this rank alone."""

    @property
    def unattained(self) -> bool:
        """Whether the functions, where they fall for ever in some direction, never reach their infimum.

        A solve then looks whether there is a minimiser.
        """
        return False

    @property
    def threads_well(self) -> bool:
        """Whether several of this problem's clients may be worked on at the same time, in threads."""
        return False

    @property
    def is_sparse(self) -> bool:
        """Whether the clients' Hessians have a :meth:`support`."""
        return False

    @property
    def hessian_entries(self) -> float:
        """How many entries of a client's Hessian can differ from zero at most, on the average."""
        return triangle(self.dim).size

    def support(self, diagonal: bool) -> Blocks:
        """Where the clients' Hessians can differ from zero (packed positions); with `diagonal`, on all of it too.

        Raises
        ------
        ValueError
            Where the problem has no sparse rows.
        """
        raise ValueError("basis=support needs sparse rows, and this problem has none: use basis=symmetric")

    def curvature_product(self, v: Array) -> Array:
        """B_i times `v`, shape (n, d), for matrices B_i ⪰ ∇²f_i everywhere (less the ridge): their mean's norm is L.

        Raises
        ------
        ValueError
            Where the problem states no such bound.
        """
        product = self._curvature_product(v)
        return product if self.regulariser is None else product + self.regulariser.bound_product(v)

    def _curvature_product(self, v: Array) -> Array:
        raise ValueError(f"no smoothness constant L is known for {self.objective}: give stepsize=NUMBER")

    @property
    def curvature_trace(self) -> Array:
        """tr B_i of the B_i of :meth:`curvature_product`, shape (n held here,), on the host.

        Raises
        ------
        ValueError
            Where the problem states no such bound.
        """
        trace, ones = self._curvature_trace(), zeros(self.dim, self.like) + 1.0
        return trace if self.regulariser is None else trace + float(self.regulariser.bound_product(ones).sum())

    def _curvature_trace(self) -> Array:
        trace = np.zeros(len(self.clients))
        for j, column in enumerate(np.eye(self.dim)):  # no faster way is known of a bound that is but a product
            trace += to_host(self._curvature_product(to_device(column, self.like)))[:, j]
        return trace

    @property
    def client_smoothness(self) -> Array:
        """L_i with ‖∇f_i(x) - ∇f_i(y)‖ ≤ L_i ‖x - y‖ for all x and y, shape (n held here,), on the host.

        Of what the clients hold, less the ridge, as in :meth:`curvature_product`. Computed once.

        Raises
        ------
        ValueError
            Where the problem states no such bound.
        """
        if self._smoothness is None:
            self._smoothness = self._client_smoothness() + 2.0 * self.nonconvex
            self._smoothness.flags.writeable = False  # it is remembered
        return self._smoothness

    def _client_smoothness(self) -> Array:
        raise ValueError(f"{self._no_smoothness()}: give stepsize=NUMBER")

    @property
    def row_smoothness(self) -> Array:
        """ℒ_i with (1/m_i)Σ_j ‖∇h_ij(x) - ∇h_ij(y)‖² ≤ ℒ_i²‖x - y‖² for all x and y, shape (n held here,), on the host.

        f_i = (1/m_i)Σ_j h_ij, a function of one row each; what is added to every f_i is left out.

        Raises
        ------
        ValueError
            Where the problem states no such bound, or has no rows.
        """
        self.check_rows()
        raise ValueError(f"{self._no_smoothness()}: give stepsize=NUMBER")

    def _no_smoothness(self) -> str:
        return f"no smoothness constant L_i of each client is known for {self.objective}"

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
        """The data rows (m_i, d) of the client at place `i` of those held here, NumPy's: they span its Hessians.

        Raises
        ------
        ValueError
            Where the problem has no rows.
        """
        raise ValueError("basis=data needs data rows, and this problem has none: use basis=symmetric")

    @property
    def rows_per_client(self) -> Array:
        """How many rows each client held here has, shape (n held here,).

        Raises
        ------
        ValueError
            Where the problem has no rows.
        """
        return np.array([len(self.client_rows(i)) for i in range(len(self.clients))], np.int64)

    def projected_rows(self, vectors: Sequence[Array]) -> list[Array]:
        """Every client's rows times its `vectors` (r_i, d), shape (m_i, r_i): what :meth:`Point.hessians_in` takes."""
        raise NotImplementedError  # client_rows refuses first
