"""M-FAC: the inverse of an empirical Fisher matrix of the last gradients as a curvature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from newtonfl.comm.parts import Parts, nothing_from
from newtonfl.components.curvature.base import Curvature, CurvatureRound, Preconditioner, StepMatrix
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.components.step.base import SingularStep
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.mfac import MFAC, StaticMFAC
from newtonfl.objectives.base import Problem

Over = Literal["aggregate", "clients"]
Algorithm = Literal["dynamic", "static"]


@dataclass(frozen=True)
class FisherWindow(Curvature[MFAC, None]):
    """P = λI + (1/m) Σ g_j g_jᵀ over the last m gradients that the server has (M-FAC, Frantar, Kurtic, Alistarh,
    arXiv 2107.03356). Nothing is sent for it, no Hessian is computed, and P is never formed.

    The window begins with zeros, so that P = λI, and takes the round's gradients before they are multiplied by P⁻¹.

    Parameters
    ----------
    window : int
        m.
    dampening : float
        λ > 0.
    over : {"aggregate", "clients"}
        Whether ∇f as the server estimates it enters, one a round, as in the paper; or every client's own gradient as
        the server knows it, n a round in client order. The second is this library's own: it sends what the gradient
        component sends, and the server keeps the clients' gradients apart (n·d numbers).
    algorithm : {"dynamic", "static"}
        The paper's two: the window's products are kept and one row of them renewed, or all is worked out anew from the
        window's rows. The same numbers up to rounding, at other costs.
    """

    window: int
    dampening: float
    over: Over = "aggregate"
    algorithm: Algorithm = "dynamic"
    needs_convexity: ClassVar[bool] = False
    sends_hessians: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.window, bool) or not isinstance(self.window, (int, np.integer)) or self.window < 1:
            raise ValueError(f"window: given {self.window!r}, must be a whole number of gradients of at least 1")
        if not is_number(self.dampening) or not 0 < self.dampening < np.inf:
            raise ValueError(f"dampening: given {self.dampening!r}, must be a positive number")
        if self.over not in ("aggregate", "clients"):
            raise ValueError(f"over: given {self.over!r}, allowed are aggregate, clients")
        if self.algorithm not in ("dynamic", "static"):
            raise ValueError(f"algorithm: given {self.algorithm!r}, allowed are dynamic, static")

    def parameters(self) -> dict[str, str | float]:
        return {
            "window": self.window, "dampening": self.dampening, "over": self.over, "algorithm": self.algorithm,
        }  # fmt: skip

    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> Array | int:
        return 0

    def reply_sizes(self, state: MFAC, part: str, clients: Array) -> Array | int:
        return 0

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], None]:
        return nothing_from(problem.clients), None

    def init_server(self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array) -> MFAC:
        return MFAC(constants.dim, int(self.window), float(self.dampening), constants.like)

    def encode(self, state: None, context: CurvatureRound) -> tuple[Sequence[Parts], None]:
        return nothing_from(context.point.problem.clients), None

    def aggregate(self, state: MFAC, replies: Replies, weights: Array, key: Key) -> tuple[MFAC, StepMatrix]:
        return state, None

    def precondition(self, state: MFAC, hessian: StepMatrix, g: GradientEstimate) -> tuple[MFAC, Preconditioner]:
        try:
            if self.over == "clients":
                assert g.by_client is not None
                state.insert_all(g.by_client)
            else:
                state.insert(g.gradient)
            static = self.algorithm == "static"
            product = StaticMFAC(state.gradients, self.dampening).product if static else state.product
            return state, Preconditioner(product)
        except ValueError as error:  # λ is lost beside such gradients: the run's failure, not the user's mistake
            raise SingularStep(str(error)) from None
