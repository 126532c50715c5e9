"""Which array library holds the data, and the only places where host and device meet.

Everything else asks the array: ``namespace(a)`` is the Array API namespace of ``a`` (NumPy, CuPy, …).
Crossing between host and device is explicit: :func:`to_host` and :func:`to_device`, nowhere else.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_cupy_array, is_numpy_array

Array: TypeAlias = Any
"""An array of whichever library holds the data; typed as Any because the Array API has no static type yet."""


def namespace(array: Array) -> Any:
    """The Array API namespace of `array`."""
    return array_namespace(array)


def is_array(value: object) -> bool:
    """Whether `value` is an array of some library."""
    return bool(is_array_api_obj(value))


def on_host(array: Array) -> bool:
    """Whether `array` is a NumPy array."""
    return bool(is_numpy_array(array))


def is_cupy(array: Array) -> bool:
    """Whether `array` is a CuPy array."""
    return bool(is_cupy_array(array))


def to_host(array: Array) -> Array:
    """`array` as a NumPy array; waits for the device where there is one."""
    if is_numpy_array(array):
        return array
    if is_cupy_array(array):
        return array.get()
    # Any other Array API library: by its own move to its host device, then the exchange protocol.
    host = array_namespace(array).__array_namespace_info__().default_device()
    return np.from_dlpack(array_namespace(array).asarray(array, device=host))


def to_device(array: Array, like: Array) -> Array:
    """The NumPy array `array` in the library, and on the device, of `like`."""
    if is_numpy_array(like):
        return array
    return array_namespace(like).asarray(array, device=device(like))


_RESIDENT: dict[tuple[int, str], Array] = {}


def resident(constant: Array, like: Array) -> Array:
    """:func:`to_device` of a NumPy array that never changes: sent once, and kept there as long as it lives here."""
    if is_numpy_array(like):
        return constant
    key = id(constant), repr(device(like))  # CuPy's devices have no hash
    if key not in _RESIDENT:
        _RESIDENT[key] = to_device(constant, like)
        weakref.finalize(constant, _RESIDENT.pop, key, None).atexit = False
    return _RESIDENT[key]


def sparse_to_device(csr: Any, like: Array) -> Any:
    """SciPy's CSR array `csr` in the sparse library that goes with `like`.

    Raises
    ------
    TypeError
        If newtonfl knows no sparse matrices of that library.
    """
    if is_numpy_array(like):
        return csr
    if is_cupy_array(like):
        from cupyx.scipy.sparse import csr_matrix

        return csr_matrix(csr)
    raise TypeError(f"sparse rows live in SciPy or CuPy, not in {type(like).__module__}: make them dense")


def zeros(shape: int | tuple[int, ...], like: Array) -> Array:
    """Float64 zeros in the library, and on the device, of `like`."""
    xp = array_namespace(like)
    return xp.zeros(shape, dtype=xp.float64, device=device(like))


def eye(dim: int, like: Array) -> Array:
    """Where a (dim, dim) matrix has its diagonal, as booleans in the library, and on the device, of `like`."""
    xp = array_namespace(like)
    return xp.eye(dim, dtype=xp.bool, device=device(like))


def norm(vector: Array) -> float:
    """‖v‖₂ of a `vector` on the host, also where squares of its entries have no place among doubles."""
    largest = float(np.max(np.abs(vector), initial=0.0))
    if not 0.0 < largest < np.inf or 1e-140 < largest < 1e140:
        return float(np.linalg.norm(vector))
    return largest * float(np.linalg.norm(vector / largest))


class Unavailable(RuntimeError):
    """A library, a device or memory that was asked for is not on this machine."""


def cupy() -> Any:
    """The CuPy module, or an error that names what is missing.

    Raises
    ------
    Unavailable
        If CuPy is not installed, or finds no GPU.
    """
    try:
        import cupy as module
    except ImportError:
        raise Unavailable("device 'cuda' needs CuPy, which is not installed: pip install 'newtonfl[gpu]'") from None
    if not module.cuda.is_available():
        raise Unavailable("device 'cuda' was asked for, and CuPy finds no usable GPU here: use device 'cpu'")
    return module


def pick_device(name: str) -> str:
    """Resolve ``auto`` to ``cuda`` or ``cpu``, and check that the named device is there.

    Raises
    ------
    ValueError
        If `name` is none of cpu, cuda, auto.
    Unavailable
        If cuda is named and cannot be had.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device: given {name!r}, allowed are cpu, cuda, auto; a GPU is cuda")
    if name == "auto":
        try:
            cupy()
        except RuntimeError:
            return "cpu"
        return "cuda"
    if name == "cuda":
        cupy()
    return name


def empty_on(name: str) -> Array:
    """An empty array of the library that goes with the device `name`, as :func:`pick_device` takes it."""
    return cupy().zeros(0) if pick_device(name) == "cuda" else np.zeros(0)


_holding, _holders, _limit = threading.Lock(), list[int](), None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread: ranks share the cores, and bits must not depend on a thread count.

    The limit is the process's: of several threads that hold it the last one gives it back.
    """
    global _limit
    with _holding:
        if not _holders:
            _limit = _blas(len(sys.modules)).limit(limits=1)
        _holders.append(1)
    try:
        yield
    finally:
        with _holding:
            _holders.pop()
            if not _holders:
                _limit.restore_original_limits()


@lru_cache(maxsize=1)
def _blas(modules: int) -> Any:
    """The libraries that are loaded: looked for anew, which takes milliseconds, where a module may have brought one."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
