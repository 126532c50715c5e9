"""What the bits of a solve depend on beside its arguments: the code, the libraries, and the processor's BLAS kernel."""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import cache
from pathlib import Path

import numpy as np
import scipy
import scipy.linalg  # so that its library is loaded
import threadpoolctl


def environment() -> dict[str, str]:
    """By name; ranks must have the same, and a result says them.

    Returns
    -------
    dict of str to str
        Of newtonfl the version and a hash of its code; Python's, NumPy's and SciPy's versions; of BLAS the library, its
        version and the kernel that it has chosen for this processor.
    """
    own = sys.modules["newtonfl"].__version__
    return {
        "newtonfl": f"{own}, code {_code()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": _blas() or "unknown",
    }


def _blas() -> str:
    """NumPy's and SciPy's; what else a process has loaded, as a rank that reads data may, is not asked."""
    found = [library for library in threadpoolctl.threadpool_info() if library.get("user_api") == "blas"]
    own = [library for library in found if "numpy" in library["filepath"] or "scipy" in library["filepath"]]
    words = {(one["internal_api"], one["version"], one.get("architecture", "")) for one in own or found}
    return ", ".join(" ".join(filter(None, one)) for one in sorted(words))


@cache
def _code() -> str:
    """A hash of the library's own files."""
    found, top = hashlib.blake2b(digest_size=6), Path(__file__).parents[1]
    for path in sorted(top.rglob("*.py")):
        found.update(str(path.relative_to(top)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
