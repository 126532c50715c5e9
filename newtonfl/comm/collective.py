"""What all ranks come to know together before a solve."""

from __future__ import annotations

from typing import Any

import numpy as np

from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array


def allgather(mine: bytes, transport: Transport) -> list[tuple[dict[str, Array], dict[str, Any]]]:
    """What every rank packed, in rank order, on every rank. Collective."""
    with transport.keeping_interrupts():
        buffers = transport.gather(mine)
        whole = {str(rank): np.frombuffer(buffer, np.uint8) for rank, buffer in enumerate(buffers)}
        arrays, _ = unpack(transport.broadcast(pack(whole) if transport.rank == 0 else None))
    return [unpack(memoryview(arrays[str(rank)])) for rank in range(transport.size)]
