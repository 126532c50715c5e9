"""newtonfl: minimise convex finite sums over clients, when sending numbers is what costs.

What the package offers stands in __init__.pyi, and is imported when it is asked for: scikit-learn takes a second.
"""

import lazy_loader

from newtonfl.comm import launcher as _launcher

__version__ = "0.1.0"

_offered, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_RENAMED = {f"V{i}": f"ThreePCv{i}" for i in range(1, 6)} | {"lag": "LAG", "bag": "BAG", "data": "datasets.sources"}
"""Names of the release before, with today's: they go with the next. One with a dot is a module."""


def __getattr__(name: str) -> object:
    if name in _RENAMED:
        import warnings

        warnings.warn(f"newtonfl.{name} is now newtonfl.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
        name = _RENAMED[name]
    if "." in name:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    return _offered(name)


if (_launcher.launched() or 1) > 1 and not _launcher.is_child_of_rank():
    from newtonfl.comm import mpi as _mpi

    _mpi.end_job_on_failure()  # a rank that fails before its first call would keep the others waiting
