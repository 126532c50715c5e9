"""The memory that ranks of one machine share, taken out of the file system while they use it.

MPICH gives it a name in /dev/shm until a job ends well: of each job that is killed or aborted some megabytes would stay
there, in memory, for good. Once every rank has mapped it nobody needs the name.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_MAPS, _NAME = Path("/proc/self/maps"), "/dev/shm/mpich_shm_"


def unlink_shared_memory() -> None:
    """Take away the names of what this process has mapped; every rank must have started MPI."""
    with suppress(OSError):
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
        for path in {line[line.index("/") :] for line in lines if _NAME in line}:
            if path.startswith(_NAME):
                with suppress(OSError):  # another rank was faster
                    Path(path).unlink()
