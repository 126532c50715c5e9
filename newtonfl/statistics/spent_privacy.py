"""What rounds of clipped messages with Gaussian noise say of a client's data: (ε, δ)."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any


def spent_epsilon(tau: float, sigma: float, rounds: int, delta: float = 1e-5) -> float:
    """ε of (ε, δ)-differential privacy after `rounds` messages clip_τ(·) + N(0, σ²I) of one client.

    What is private is all that one client has: of any two sets of rows that it may hold, no set of transcripts of its
    messages is more than e^ε times as likely under one as under the other, but for δ. Every message is a Gaussian
    mechanism of sensitivity 2τ, chosen with those before it in sight, and the client sends in every round: no sampling
    makes it less. The server need not be trusted, if it cannot draw the noise again (:class:`newtonfl.NoisyClip`). What
    travels beside the messages (numbers of rows, L_i where a step asks for them) is not counted. At the worst their
    privacy losses are normal and add up, so T of them are one with σ/√T, whose ε dp-accounting finds exactly (Balle and
    Wang, arXiv 1805.06530).

    Parameters
    ----------
    tau, sigma : float
        τ above 0 and σ at least 0; without noise ε is infinite.
    rounds : int
        T, at least 0.
    delta : float
        δ in (0, 1].

    Returns
    -------
    float
        ε.

    Raises
    ------
    RuntimeError
        If dp-accounting is not installed.
    ValueError
        If a number is outside its interval.

    Examples
    --------
    >>> import newtonfl as nf
    >>> round(nf.spent_epsilon(tau=1.0, sigma=40.0, rounds=100), 2)
    1.99
    """
    limits: tuple[tuple[str, Any, Callable[[Any], bool], str], ...] = (
        ("tau", tau, lambda x: 0 < x < math.inf, "a finite number above 0"),
        ("sigma", sigma, lambda x: 0 <= x < math.inf, "a finite number of at least 0"),
        ("rounds", rounds, lambda x: 0 <= x < math.inf and x == int(x), "a whole number of at least 0"),
        ("delta", delta, lambda x: 0 < x <= 1, "a probability above 0"),
    )
    for name, number, kept, words in limits:
        if isinstance(number, bool) or not isinstance(number, numbers.Real) or not kept(number):
            raise ValueError(f"{name}: given {number!r}, must be {words}")
    if rounds == 0 or delta == 1.0:
        return 0.0
    if sigma == 0:
        return math.inf
    try:
        from dp_accounting import get_epsilon_gaussian
    except ImportError:
        raise RuntimeError("ε needs dp-accounting, which is not installed: pip install 'newtonfl[dp]'") from None
    return float(get_epsilon_gaussian(sigma / (2.0 * tau * math.sqrt(rounds)), delta))
