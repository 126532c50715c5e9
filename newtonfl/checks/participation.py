"""Whether a participation draws the clients that it says it draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from newtonfl.checks.trials import no_error, promise, reads_back
from newtonfl.components.participation import Participation
from newtonfl.core.random import Key


def check_participation(
    participation: Participation, *, clients: Sequence[int] = (12, 7, 30), draws: int = 4000, seed: int = 0
) -> None:
    """Check who takes part, yours or the library's.

    - Every draw is a set of the clients: increasing numbers from 0 to below n, or None for all; none but all where
      ``partial`` is False.
    - The same key draws the same clients.
    - The mean number of clients in a round is n times ``share``, within four standard errors where rounds are random;
      where they follow a calendar, over `draws` rounds.
    - ``to_spec`` reads back as the same participation, where it has a name.

    Parameters
    ----------
    participation : Participation
        What is checked.
    clients : sequence of int
        Numbers of clients to try; those that ``check`` refuses are passed over, but not all may be.
    draws : int
        How many rounds the mean is taken over.
    seed : int
        Seeds the keys.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, and what was drawn in which round.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_participation
    >>> check_participation(nf.Uniform(3))
    """
    promise(isinstance(participation, Participation), f"given {participation!r}, must be a Participation")
    name = type(participation).__name__
    reads_back(participation)
    refusals = []
    for n in clients:
        try:
            participation.check(n)
        except ValueError as error:
            refusals.append(f"{n} clients: {error}")
            continue
        with no_error(f"{name}: it must draw some of {n} clients"):
            _check_draws(participation, name, n, draws, seed)
    promise(len(refusals) < len(clients), f"{name}: it serves none of these numbers of clients; {'; '.join(refusals)}")


def _check_draws(participation: Participation, name: str, n: int, draws: int, seed: int) -> None:
    share = participation.share(n)
    promise(0 < share <= 1, f"{name}.share({n}): {share}, must be in (0, 1]")
    counts = np.zeros(draws)
    for k in range(draws):
        key = Key(seed, k + 1)
        drawn = participation.drawn(n, key)
        counts[k] = n if drawn is None else len(drawn)
        if k < 20:
            again = participation.drawn(n, key)
            alike = again is None if drawn is None else again is not None and np.array_equal(drawn, again)
            promise(alike, f"{name}: the same key must draw the same clients; draw from key.generator() alone")
        promise(
            participation.partial or counts[k] == n,
            f"{name}: partial is False, and round {k + 1} is without {n - int(counts[k])} of {n} clients",
        )
    mean, error = float(counts.mean()), float(counts.std()) / np.sqrt(draws)
    promise(
        abs(mean - n * share) <= 4.0 * error + n / draws + 1e-9,
        f"{name}.share({n}): {share:.6g} promises {n * share:.6g} of {n} clients a round, and the mean of {draws} "
        f"rounds is {mean:.6g} ± {error:.2g}",
    )
