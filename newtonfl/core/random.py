"""Random streams keyed by (seed, round, client, purpose): no stream is shared, none depends on who ran before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, overload

import numpy as np

SERVER = -1
"""The client number under which the server draws its own coins."""


@dataclass(frozen=True)
class Key:
    """Names a random stream. The same key gives the same numbers on every rank and in any order of calls.

    Parameters
    ----------
    seed : int
        The run's seed.
    round : int
        The round; -1 is the set-up.
    client : int
        The client, or :data:`SERVER`.
    purpose : str
        What is drawn, say ``"curvature"``: two draws of one client in one round must differ in it.

    Examples
    --------
    >>> import newtonfl as nf
    >>> key = nf.Key(seed=0).at(3).to("sample")
    >>> key.of(5).generator().random() == key.of(5).generator().random()
    True
    >>> key.of(5).generator().random() == key.of(6).generator().random()
    False
    """

    seed: int
    round: int = -1
    client: int = SERVER
    purpose: str = ""

    def at(self, round: int) -> Key:
        """The same stream family in another `round`."""
        return replace(self, round=round)

    def of(self, client: int) -> Key:
        """The stream of one `client`."""
        return replace(self, client=int(client))

    def to(self, purpose: str) -> Key:
        """The stream for one `purpose`; purposes nest."""
        return replace(self, purpose=f"{self.purpose}/{purpose}")

    def generator(self) -> np.random.Generator:
        """A fresh generator at the beginning of this stream."""
        name = f"{self.seed}:{self.round}:{self.client}:{self.purpose}".encode()
        words = np.frombuffer(blake2b(name, digest_size=16).digest(), dtype="<u8")
        return np.random.Generator(np.random.Philox(key=words))


@dataclass(frozen=True, eq=False)
class Keys(Sequence[Key]):
    """The streams of many clients, each made when it is asked for: who draws nothing pays nothing.

    Parameters
    ----------
    key : Key
        Theirs, less the client.
    clients : numpy.ndarray of int64, shape (n,)
    """

    key: Key
    clients: Any

    def __len__(self) -> int:
        return len(self.clients)

    @overload
    def __getitem__(self, i: int) -> Key: ...
    @overload
    def __getitem__(self, i: slice) -> Keys: ...
    def __getitem__(self, i: int | slice) -> Key | Keys:
        return Keys(self.key, self.clients[i]) if isinstance(i, slice) else self.key.of(self.clients[i])

    def __iter__(self) -> Iterator[Key]:
        return (self.key.of(client) for client in self.clients)
