"""RoundState: what a solve shows of itself after a round, worked out where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from newtonfl.comm.ledger import Ledger
from newtonfl.core.backend import Array, to_host
from newtonfl.core.symmetric import triangle
from newtonfl.methods import Method


@dataclass(frozen=True, eq=False)
class Shown:
    """What a :class:`RoundState` shows, as the solve has it: all of it changes in the next round.

    Attributes
    ----------
    x : array, shape (d,)
    method : Method
    server : state of the server, or None
        None where the set-up has failed.
    ledger : Ledger
    bytes_before : numpy.ndarray of int64, shape (n,), or None
        What every client had sent before this round; None at the start.
    hessian_at : callable
        Finds ∇²f(x).
    """

    x: Array
    method: Method
    server: Any
    ledger: Ledger
    bytes_before: Array | None
    hessian_at: Callable[[Array], Array]


class RoundState:
    """What ``callback(record, state)`` and monitors get after a round, on rank 0.

    Arrays are copies on the host. All of it is of this round alone: what a callback keeps must be what it has read.
    Nothing here is on the clock, or counted as sent.

    Parameters
    ----------
    round : int
    step : float
    shown : Shown

    Attributes
    ----------
    round : int
        k; 0 is the start, x⁰.
    step : float
        The step's length ‖x^k - x^(k-1)‖₂; 0 at the start.

    Raises
    ------
    RuntimeError
        By everything else here, once the round is over.
    """

    def __init__(self, round: int, step: float, shown: Shown) -> None:
        self.round, self.step = round, step
        self._open: Shown | None = shown

    def __repr__(self) -> str:
        return f"RoundState of round {self.round}"

    def close(self) -> None:
        """The solve goes on: what it changes in place from now on is not this round's any more."""
        self._open = None

    @property
    def _shown(self) -> Shown:
        if self._open is None:
            raise RuntimeError(
                f"the state of round {self.round} was asked after its callback had returned: read there what is to be "
                "kept, as in xs.append(state.x)"
            )
        return self._open

    @property
    def x(self) -> Array:
        """x^k, shape (d,)."""
        return np.array(to_host(self._shown.x))

    @property
    def participants(self) -> Array:
        """The clients that have sent something in this round, increasing; in round 0, in the set-up."""
        up, before = self._shown.ledger.up, self._shown.bytes_before
        return np.flatnonzero(up.setup_bytes if before is None else up.bytes - before)

    @property
    def l(self) -> Array | None:  # noqa: E743 - the papers' letter
        """l_i = ‖H_i - ∇²f_i‖ as every client sent it last, shape (n,); None where the method does not ask for it."""
        shown = self._shown
        errors = None if shown.server is None else shown.method.hessian_errors(shown.server)
        return None if errors is None else np.array(to_host(errors))

    @property
    def bytes_up(self) -> Array:
        """Bytes that each client has sent in rounds so far, shape (n,): the record has their mean."""
        return self._shown.ledger.up.bytes.copy()

    @property
    def bytes_down(self) -> Array:
        """Bytes that each client has received in rounds so far, shape (n,)."""
        return self._shown.ledger.down.bytes.copy()

    @property
    def setup_bytes_up(self) -> Array:
        """Bytes that each client sent in the set-up, shape (n,)."""
        return self._shown.ledger.up.setup_bytes.copy()

    @property
    def setup_bytes_down(self) -> Array:
        """Bytes that each client received in the set-up, shape (n,)."""
        return self._shown.ledger.down.setup_bytes.copy()

    @property
    def levels_up(self) -> tuple[int, ...] | None:
        """How many of the clients' messages so far were of level 0, 1, …, of a ladder (AdaCGD); None without one."""
        return self._shown.ledger.levels_so_far("up")

    @property
    def levels_down(self) -> tuple[int, ...] | None:
        """The same of the server's messages."""
        return self._shown.ledger.levels_so_far("down")

    def hessian_estimate(self) -> Array | None:
        """The server's estimate of ∇²f as the next round begins with it, ridge included.

        H + λI of methods that learn a Hessian, less the shift l·I, which is the step's; of bfgs and l-bfgs the inverse
        of their B.

        Returns
        -------
        numpy.ndarray, shape (d, d), or None
            None where the method has none, or none yet.

        Raises
        ------
        TooLarge
            If a (d, d) matrix does not fit into the memory that is free.
        """
        shown = self._shown
        if shown.server is None or not shown.method.estimates_hessian:
            return None
        triangle(len(shown.x)).check_memory()
        return shown.method.hessian_estimate(shown.server)

    def hessian_at(self, x: Array) -> Array:
        """∇²f(x) itself, ridge included: every client computes its part, which no history or ledger counts.

        The last one is remembered, so that asking for ∇²f(x*) after every round computes it once.

        Parameters
        ----------
        x : array-like, shape (d,)

        Returns
        -------
        numpy.ndarray, shape (d, d)

        Raises
        ------
        ValueError
            If `x` has another shape, or the problem need not be convex.
        TooLarge
            If a (d, d) matrix does not fit into the memory that is free.
        """
        return self._shown.hessian_at(x)
