"""newtonfl: minimise convex finite sums over clients, when sending numbers is what costs.

What the package offers stands in __init__.pyi, and is imported when it is asked for: scikit-learn takes a second.
"""

import lazy_loader

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
