"""Result: what a solve found, and why it ended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from newtonfl.comm.ledger import Ledger
from newtonfl.core.backend import Array
from newtonfl.methods import Method
from newtonfl.results.history import History
from newtonfl.results.page import table
from newtonfl.results.profile import Profile


class Reason(Enum):
    """Why a solve ended, as a sentence."""

    CONVERGED = "the gradient norm reached the tolerance"
    CONVERGED_RELATIVE = "the gradient norm reached the tolerance relative to its norm at zero"
    ACCURATE = "the gap f(x) - f* reached the accuracy"
    ROUNDING = "the gradient is as small as rounding lets it become"
    NO_MINIMISER = (
        "there is no minimiser: f falls for ever where nothing is penalised, as with classes that a plane separates"
    )
    ROUND_LIMIT = "the round limit was reached"
    BYTE_LIMIT = "the limit of bytes was reached"
    TIME_LIMIT = "the limit of seconds was reached"
    STALLED = "stalled: the iterates repeat, or f and its gradient have long stopped falling"
    STOPPED = "stopped, as a callback or a signal asked for"
    DIVERGED = "diverged: the objective, or an operator's norm, rose far above its start"
    NOT_FINITE = "the objective, its gradient or a number that is sent is not finite"
    SINGULAR = "the step's matrix is not positive definite"
    MISSING = "clients that a round wants are missing"
    NO_STEP = "no trial step along the direction is good enough"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class Result:
    """What a solve found. Every rank returns the same.

    Attributes
    ----------
    x : numpy.ndarray, shape (d,)
        The last iterate.
    reason : Reason
        Why it ended; prints as a sentence.
    history : History
        A record a round, round 0 first.
    ledger : Ledger
        Bytes and formula bits of every client.
    method : Method
        With every setting made definite.
    detail : str
        More about why it ended, where more is known.
    theory : list of str
        What theory says about the step size, with the constants that it was made of.
    resumed : str
        From which checkpoint it went on, as a sentence; empty where it began at round 0.
    profile : Profile or None
        Where the time went, where ``profile=True`` asked for it.
    """

    x: Array = field(repr=False)
    reason: Reason
    history: History
    ledger: Ledger = field(repr=False)
    method: Method
    detail: str = ""
    theory: list[str] = field(default_factory=list)
    resumed: str = ""
    profile: Profile | None = field(default=None, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the true ‖∇f(x)‖₂ reached a tolerance, f(x) an accuracy, or with `rtol` > 0 the gradient rounding."""
        return self.reason in (Reason.CONVERGED, Reason.CONVERGED_RELATIVE, Reason.ROUNDING, Reason.ACCURATE)

    @property
    def notes(self) -> list[str]:
        """What a user should know: more about why it ended, and of the method's settings."""
        own = [words for words in (self.detail, self.resumed) if words]
        return own + self.method.notes() + self.theory

    @property
    def rounds(self) -> int:
        """Rounds done."""
        return self.history[-1].round

    @property
    def x_sha256(self) -> str:
        """The SHA-256 of x as little-endian float64: equal hashes mean equal bits."""
        return hashlib.sha256(np.ascontiguousarray(self.x, "<f8").tobytes()).hexdigest()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        last, sent = self.history[-1], self.ledger.totals()["bytes"]
        lines = [
            ("method", self.method.name), ("ended", self.reason), *(("note", words) for words in self.notes),
            ("rounds", str(self.rounds)), ("f(x)", "–" if last.f is None else repr(last.f)),
            ("f(x) − f*", "–" if last.gap is None else f"{last.gap:.3g}"), ("‖∇f(x)‖₂", f"{last.gradient_norm:.3g}"),
            ("bytes up, a mean client's", f"{sent['up']['mean']:,.0f}"),
            ("bytes down", f"{sent['down']['mean']:,.0f}"), ("x_sha256", self.x_sha256[:16]),
        ]  # fmt: skip
        return table(("", ""), lines).code
