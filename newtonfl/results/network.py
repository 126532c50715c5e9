"""Network: what a run's bytes and round trips would take on a stated network. An estimate on paper, not measured."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.results.history import History

_RATES = {"kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9}
_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_FORM = re.compile(r"(?P<rate>[0-9.e+]+)(?P<per>kbps|Mbps|Gbps)/(?P<trip>[0-9.e+-]+)(?P<unit>us|ms|s)")


@dataclass(frozen=True)
class Network:
    """Every client's own link to the server: a rate, and the time of a round trip.

    A run's bytes, set-up included, and its exchanges are those of its ledger; what they would take is added to the
    seconds that were measured. The client is the mean one, up and down go one after the other, and nothing else is
    on the link: a deployment also waits for its slowest client.

    Attributes
    ----------
    bandwidth : float
        Bits a second, the same up and down.
    round_trip : float
        Seconds from an announcement's leaving to a reply's coming in, beside the transmission: once an exchange, and
        once for the set-up.

    Raises
    ------
    ValueError
        If the rate is not positive, or one of the two not finite.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Network.parse("10Mbps/50ms")
    Network(bandwidth=10000000.0, round_trip=0.05)
    """

    bandwidth: float
    round_trip: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.bandwidth < math.inf:
            raise ValueError(f"network: given a rate of {self.bandwidth} bits a second, must be positive and finite")
        if not 0 <= self.round_trip < math.inf:
            raise ValueError(f"network: given a round trip of {self.round_trip} s, must be finite and at least 0")

    @classmethod
    def parse(cls, spec: str) -> Network:
        """Read ``RATE/ROUNDTRIP``.

        Parameters
        ----------
        spec : str
            A number with kbps, Mbps or Gbps, in bits a second, and one with us, ms or s: 10Mbps/50ms.

        Returns
        -------
        Network
            The network that it states.

        Raises
        ------
        ValueError
            If it has another form, or a rate that is not positive.
        """
        found = _FORM.fullmatch(spec.strip())
        try:
            if found is None:
                raise ValueError
            bandwidth, trip = float(found["rate"]), float(found["trip"])
        except ValueError:
            raise ValueError(
                f"network: given {spec!r}, must be RATE/ROUNDTRIP such as 10Mbps/50ms: kbps, Mbps or Gbps in bits a "
                "second of a client's link, us, ms or s for a round trip"
            ) from None
        return cls(bandwidth * _RATES[found["per"]], trip * _TIMES[found["unit"]])

    def __getattr__(self, name: str) -> float:
        if name == "rate":  # until the release after this one
            warnings.warn("Network.rate is now Network.bandwidth", DeprecationWarning, stacklevel=2)
            return self.bandwidth
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __str__(self) -> str:
        bandwidth, per = _in_units(self.bandwidth, _RATES)
        trip, unit = _in_units(self.round_trip, _TIMES)
        return f"{bandwidth:g} {per} a client, {trip:g} {unit} a round trip"

    def seconds(self, history: History) -> Array:
        """Seconds to the end of each record: measured, and what this network would add.

        With b the mean client's bytes both ways and the set-up's, and e the exchanges, that is
        seconds + 8b/bandwidth + (1 + e) round trips.

        Parameters
        ----------
        history : History
            Where exchanges were not counted, one a round is taken.

        Returns
        -------
        numpy.ndarray, shape (records,)
        """
        measured = [
            (record.seconds, total, record.round if record.exchanges is None else record.exchanges)
            for record, total in zip(history, history.sent("bytes"), strict=True)
        ]
        seconds, sent, exchanges = np.array(measured, dtype=float).reshape(-1, 3).T
        waited: Array = seconds + 8.0 * sent / self.bandwidth + (1.0 + exchanges) * self.round_trip
        return waited


def _in_units(value: float, units: dict[str, float]) -> tuple[float, str]:
    fitting = [name for name, size in units.items() if value >= size]
    name = fitting[-1] if fitting else next(iter(units))
    return value / units[name], name
