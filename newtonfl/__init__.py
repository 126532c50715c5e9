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
    if name in __all__ or name.startswith("__"):
        return _offered(name)
    raise AttributeError(f"newtonfl has no {name}; {_nearest(name)}", name=name)


def _nearest(name: str) -> str:
    """The public name that was meant, in words: large and small letters, hyphens and underscores count last."""
    import difflib

    plain = {known: known.replace("_", "").casefold() for known in __all__}
    close = difflib.get_close_matches(name.replace("_", "").casefold(), plain.values(), 1)
    same = [known for known in plain if [plain[known]] == close]
    near = difflib.get_close_matches(name, same, 1, 0.0)
    return f"did you mean {near[0]}?" if near else "dir(newtonfl) lists what it has"


if (_launcher.launched() or 1) > 1 and not _launcher.is_child_of_rank():
    from newtonfl.comm import mpi_end as _mpi_end

    _mpi_end.end_job_on_failure()  # a rank that fails before its first call would keep the others waiting
