"""One exchange before any solve: each client sends a summary of its rows, and all get what the summaries come to.

A summary holds counts, sums or the names of levels, and no row. Both ways are counted from the bytes that travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.ledger import Ledger
from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation

Summary = tuple[Mapping[str, Array], Mapping[str, Any]]
"""Arrays and JSON values by name, as an envelope holds them."""


@dataclass
class SummaryExchange:
    """The exchanges of one preparation.

    Attributes
    ----------
    federation : Federation
        Whose clients send.
    ledger : Ledger
        What was sent so far, the same on every rank.
    """

    federation: Federation
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.federation.n_clients)

    def exchange(
        self, phase: str, summarise: Callable[[], Sequence[Summary]], merge: Callable[[Sequence[Summary]], Summary]
    ) -> Summary:
        """What all clients' summaries come to, the same bits on every rank. Collective.

        Parameters
        ----------
        phase : str
            What is done, for errors: "summing the columns".
        summarise : function
            The summaries of the clients held here, in order. May raise.
        merge : function
            From all clients' summaries, in client order, to what goes to each of them. Called on rank 0; may raise.
        """
        transport, clients = self.federation.transport, self.federation.clients
        with transport.agreed(phase):
            packets = [pack(arrays, **values) for arrays, values in summarise()]
            lengths = np.array([len(packet) for packet in packets], np.int64)
        whole = np.frombuffer(b"".join(packets), np.uint8)
        buffers = transport.gather(pack({"clients": clients, "lengths": lengths, "packets": whole}))
        everyone = [unpack(buffer)[0] for buffer in buffers]  # on rank 0
        answer, sent = b"", np.zeros(self.ledger.n_clients, np.int64)
        with transport.agreed(phase):
            if transport.rank == 0:
                received: dict[int, bytes] = {}
                for arrays in everyone:
                    ends = np.cumsum(arrays["lengths"])
                    for client, end, length in zip(arrays["clients"].tolist(), ends, arrays["lengths"], strict=True):
                        received[client] = arrays["packets"][end - length : end].tobytes()
                        sent[client] = length
                merged, more = merge([unpack(received[client]) for client in sorted(received)])
                answer = pack(merged, **more)
        buffer = pack({"answer": np.frombuffer(answer, np.uint8), "sent": sent}) if transport.rank == 0 else None
        news = unpack(transport.broadcast(buffer))[0]
        answer, everybody = news["answer"].tobytes(), np.arange(self.ledger.n_clients)
        # An envelope has no formula in the papers: its bits are its bytes'.
        self.ledger.up.count(everybody, news["sent"], 8 * news["sent"], setup=False)
        self.ledger.down.count(everybody, len(answer), 8 * len(answer), setup=False)
        return unpack(answer)
