"""Some columns with coefficients of each client's own: the problem of the others, by partial minimisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from newtonfl.core.backend import Array, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.objectives.base import Problem
from newtonfl.objectives.column_problem import ColumnProblem
from newtonfl.objectives.personal_point import PersonalPoint
from newtonfl.objectives.personal_schema import column_numbers, names_of, shared_schema
from newtonfl.objectives.private_minimum import Minimum
from newtonfl.objectives.schema import Schema
from newtonfl.objectives.split import Split


class Personal(Problem):
    """(1/n) Σ h_i(θ) + ½ Σ_shared ridge_j θ_j² with h_i(θ) = min_w f_i(θ, w) + ½ Σ_personal λ_j w_j².

    With w_i(θ) that minimiser, R_i R_iᵀ the inverse of ∇²_ww f_i there, λ included, and C_i = ∇²_θw f_i R_i,

        ∇h_i(θ) = ∇_θ f_i(θ, w_i(θ)),  ∇²h_i(θ) = ∇²_θθ f_i - C_i C_iᵀ,

    by the envelope theorem and a Schur complement (derived in docs/personal.md). h_i is convex, and ∇²h_i ⪯ ∇²_θθ f_i:
    what bounds ∇²_θθ f_i holds for it. So every method is personal on this problem; gradient descent is then FFGG with
    exact minimisers (arXiv 2305.18285), and the others are in no paper that we know.

    A client finds its w_i from zero at every θ, to the level of rounding: h_i is a function of θ and of the client's
    rows alone, in the same bits wherever and whenever it is computed. Where there is no minimiser value, gradient and
    Hessian are not numbers, and :meth:`verify` refuses a solve before it begins. Where a client's personal columns
    depend on each other there are several, with the same h_i, and it has the shortest in the columns' own scales.

    Parameters
    ----------
    base : ColumnProblem
        The problem of all coordinates; convex, with margins.
    columns : numpy.ndarray of int64
        The personal ones of its rows, increasing; some, and not all.
    l2 : float or None
        λ_j; None is the base's ridge.

    Attributes
    ----------
    split : Split
        The base, taken apart.
    """

    def __init__(self, base: ColumnProblem, columns: Array, l2: float | None = None) -> None:
        own = base.coordinates(columns)
        penalty = np.zeros(base.dim)
        penalty[own] = base.ridge[own] if l2 is None else l2
        self.split, self.words = Split.of(base, columns, penalty), names_of(base, columns)
        shared, weight = self.split.shared, "" if l2 is None else f" with λ = {l2:g}"
        self._least = f", least over each client's own {self.words}{weight}"
        objective, where = base.objective + self._least, (base.like, base.clients, base.transport)
        super().__init__(base.n_clients, len(shared), base.ridge[shared], objective, *where)
        self.title = base.title if base.title != base.objective else objective
        self.schema, self.preparation = shared_schema(base, columns), base.preparation

    def personal(self, columns: Sequence[int | str] | str, *, l2: float | None = None) -> Problem:
        raise ValueError(f"personal: given {columns!r} for a problem that has personal columns: name all in one call")

    def private(self, x: Array) -> Array:
        """Every client's own coefficients at `x`, shape (n held here, q): they minimise its own function.

        They are found where the client's rows are, and never sent.

        Parameters
        ----------
        x : array, shape (d,)
            θ, as ``nf.solve(…).x``.

        Returns
        -------
        numpy.ndarray
            A row a client of :attr:`clients`, in the order of the personal columns; of several classes contrast by
            contrast.

        Raises
        ------
        ValueError
            If `x` has another shape, or a client has no minimiser.
        """
        theta = np.asarray(to_host(x), np.float64)
        if theta.shape != (self.dim,):
            raise ValueError(f"x: given shape {theta.shape}, must be ({self.dim},)")
        return self._sound(self.split.minimum(to_device(theta, self.like))).w

    def whole(self, x: Array) -> Array:
        """(θ, w_i) of every client held here, in the order of all columns: a row is that client's model.

        Takes and raises what :meth:`private` does.
        """
        w = self.private(x)
        whole: Array = self.split.joined(np.asarray(to_host(x), np.float64), w)
        return whole

    def verify(self, x: Array) -> None:
        # At zero: a direction of w along which f_i falls for ever is one at every θ.
        self._sound(self.split.minimum(zeros(self.dim, self.like)))

    def _sound(self, minimum: Minimum) -> Minimum:
        lost = self.clients[~minimum.found]
        if len(lost):
            raise ValueError(
                f"client {lost[0]}: nothing minimises its function over its own {self.words}: it falls for ever, as "
                "where labels are of one class, or numbers are too large. Penalise them, by l2 of personal, or share "
                "them"
            )
        return minimum

    def _select(self, part: Self, chosen: Array) -> None:
        part.split = self.split.select(chosen)

    def _leave_out(self, part: Self, stay: Array) -> None:
        joint = self.split.joint.without(np.setdiff1d(np.arange(self.n_clients), stay).tolist())
        part.split = Split.of(joint, self.split.columns, to_host(joint.local_ridge))
        part.objective = joint.objective + self._least
        part.title = part.objective if self.title == self.objective else f"{self.title}, {len(stay)} clients of it"

    @property
    def data_schema(self) -> Schema:
        return self.split.joint.schema

    @property
    def unattained(self) -> bool:
        return self.split.joint.unattained

    @property
    def threads_well(self) -> bool:
        return self.split.joint.threads_well

    @property
    def occupied(self) -> Array:
        return self.split.of_shared(self.split.joint.occupied)

    def support(self, diagonal: bool) -> Blocks:
        raise ValueError("basis=support needs sparse Hessians, which personal columns fill in: use basis=symmetric")

    def check_rows(self) -> None:
        """Minibatches are drawn of f_i's rows; w_i minimises over all of them."""

    @property
    def rows_per_client(self) -> Array:
        return self.split.joint.rows_per_client

    def client_rows(self, i: int) -> Array:
        return self.split.of_shared(self.split.joint.client_rows(i))

    def projected_rows(self, vectors: Sequence[Array]) -> list[Array]:
        return self.split.projected_rows(vectors)

    def _curvature_product(self, v: Array) -> Array:
        return self.split.of_shared(self.split.joint._curvature_product(self.split.without_own(v)))

    def _client_smoothness(self) -> Array:
        joint = self.split.joint
        return joint.of_columns(np.setdiff1d(np.arange(joint.rows.dim), self.split.columns))._client_smoothness()

    def _at(self, x: Array) -> PersonalPoint:
        return PersonalPoint(self, self.split, x)


def personal(base: ColumnProblem, columns: Sequence[int | str] | str, l2: float | None) -> Problem:
    """:meth:`newtonfl.objectives.base.Problem.personal` of a problem of rows with margins."""
    numbers = column_numbers(base, columns)
    if l2 is not None and not is_weight(l2):
        raise ValueError(f"l2: given {l2!r}, must be a finite number of at least 0, or None for the problem's ridge")
    base.check_smooth("personal")
    if base.regulariser is not None:
        raise ValueError(
            "personal: needs convex functions, and this problem has a non-convex regulariser: leave it out"
        )
    if not len(numbers):
        return base
    if len(numbers) == base.rows.dim:
        raise ValueError("personal: given all columns, and then nothing is shared: every client has a model of its own")
    return Personal(base, numbers, l2)


def is_weight(value: object) -> bool:
    """Whether `value` is a finite number of at least 0."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and 0.0 <= float(value) < np.inf  # type: ignore[arg-type]
