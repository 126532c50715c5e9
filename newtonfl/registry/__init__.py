"""Registry: every part by its name, for the command line, problem files, estimators and Python strings.

A part is a compressor, mechanism, basis, loss, participation, aggregator or method. ``"topk:8d"`` ⇄ ``TopK("8d")``,
``"newton-3pc,compressor=topk:30"`` ⇄ ``nf.newton_3pc(compressor=nf.TopK(30))``. What is not known is refused with the
nearest name.

part
    ``Part``: a class says its kind, name and parameters once, and is registered by being defined.
lookup
    The names, and what is loaded when one is asked for: the library's districts, other distributions' entry points of
    group ``newtonfl.parts``.
nearest
    What is said of a name that is not known.
parts_file
    Files of one's own, whose parts get their names when the file is run.
spec
    The grammar: ``from_spec(kind, text)`` and ``part.to_spec()``; ``coerce(kind, value)`` takes either.
declared, text, values, read, write
    What a class says of its parameters; pieces and quotes; values by their annotations; parts from text, and to text.
methods
    Names and settings of methods.
wording, describe
    What a setting means and allows; what ``newtonfl methods NAME`` prints.

May be imported by: compressors, bases, mechanisms, objectives, datasets, components, methods, solver, estimators,
checks, results, experiments, cli.
"""

from typing import Any

from newtonfl.registry.declared import Maker
from newtonfl.registry.lookup import find, known, register_method
from newtonfl.registry.methods import (
    asks_for_optimum,
    coerce_method,
    defaults,
    method,
    method_parameters,
    method_spec,
    parse,
)
from newtonfl.registry.nearest import nearest
from newtonfl.registry.part import Part
from newtonfl.registry.parts_file import load_file, text_digest
from newtonfl.registry.spec import coerce, coerce_maker, from_spec
from newtonfl.registry.write import maker_spec

__all__ = [
    "Maker", "Part", "asks_for_optimum", "coerce", "coerce_maker", "coerce_method", "defaults", "find", "from_spec",
    "known", "load_file", "maker_spec", "method", "method_parameters", "method_spec",
    "nearest", "parse", "register_method", "text_digest",
]  # fmt: skip


def __getattr__(key: str) -> Any:
    if key == "METHODS":  # the functions by name, once they are all there
        return {name: find("method", name).made_by for name in known("method")}
    raise AttributeError(f"module {__name__!r} has no attribute {key!r}")
