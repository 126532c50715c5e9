"""Public docstrings: everything has one, it fits the signature, it names its source, and its examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import textwrap
from enum import Enum
from functools import cache, cached_property
from pathlib import Path

import pytest
import reference_data
from numpydoc.docscrape import NumpyDocString, get_doc_object
from numpydoc.validate import validate

import newtonfl as nf
from newtonfl import checks, registry
from newtonfl.bases import Basis
from newtonfl.datasets.fetch import KNOWN
from newtonfl.objectives import losses
from newtonfl.registry import METHODS

ROOT = Path(__file__).parents[2]
MODULES = [
    importlib.import_module(each.name)
    for each in pkgutil.walk_packages(nf.__path__, "newtonfl.")
    if not each.name.endswith("__main__")
]

# --- what is public


def in_house(thing) -> bool:
    return getattr(thing, "__module__", "").startswith("newtonfl")


def functions_and_classes(module) -> dict:
    """What a module or package offers of its own."""
    found = {name: each for name, each in vars(module).items() if inspect.isfunction(each) or inspect.isclass(each)}
    own = {name: each for name, each in found.items() if each.__module__.startswith(module.__name__)}
    return {name: each for name, each in own.items() if not name.startswith("_")}


PUBLIC = {name: getattr(nf, name) for name in nf.__all__}
for module in (checks, registry, losses):
    PUBLIC |= {f"{module.__name__.split('.')[1]}.{name}": each for name, each in functions_and_classes(module).items()}
CLASSES = {
    f"{base.__module__}.{base.__name__}": base
    for each in PUBLIC.values()
    if inspect.isclass(each)
    for base in each.__mro__
    if in_house(base) and not base.__name__.startswith("_")
}
FUNCTIONS = {name: each for name, each in PUBLIC.items() if inspect.isfunction(each)}


def members(cls) -> dict:
    """The methods and properties that a class itself makes."""
    kinds = property | cached_property | classmethod | staticmethod
    own = {name: each for name, each in vars(cls).items() if inspect.isfunction(each) or isinstance(each, kinds)}
    return {name: each for name, each in own.items() if not name.startswith("_")}


# --- what a docstring has to be

FORM = {"GL01", "GL03", "GL05", "GL06", "GL07", "GL08", "GL10", "SS01", "SS03", "SS06", "PR04", "PR05", "PR07", "PR10"}
"""numpydoc's codes that always count; its taste in verbs, capitals and cross-references is not the house's."""
FITS = {"PR01", "PR02", "PR03", "RT03", "YD01"}
"""Those of a function whose parameters and returned value have sections."""


def complaints(thing, codes) -> list[str]:
    """What numpydoc finds; a type that tells its shape needs no more words."""
    shaped = {f'Parameter "{each.name}" has no description' for each in sections(thing)["Parameters"] if says(each)}
    shaped |= {"Return value has no description"} if any(map(says, sections(thing)["Returns"])) else set()
    errors = validate(get_doc_object(thing))["errors"]
    return [f"{code}: {words}" for code, words in errors if code in codes and words not in shaped]


def says(entry) -> bool:
    return "shape" in entry.type


def bare(member):
    """The function behind a member."""
    if isinstance(member, property | cached_property):
        return getattr(member, "fget", None) or member.func
    return getattr(member, "__func__", member)


@cache
def sections(thing) -> NumpyDocString:
    return NumpyDocString(inspect.getdoc(thing) or "")


def described(thing, *titles: str) -> list[str]:
    """The names that these sections of a docstring hold."""
    return [name.strip() for title in titles for names, _, _ in sections(thing)[title] for name in names.split(",")]


def returns_something(function) -> bool:
    return function.__annotations__.get("return") not in (None, "None")


@cache
def raised(function, deep: bool = True) -> set[str]:
    """ValueError and TypeError, where the function raises them, or a helper of the house that it calls by name."""
    if not inspect.isfunction(function) or function.__code__.co_filename.startswith("<"):  # a dataclass's own __init__
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = {
        name.id
        for each in ast.walk(tree)
        if isinstance(each, ast.Raise) and each.exc is not None
        for name in ast.walk(each.exc)
        if isinstance(name, ast.Name) and name.id in ("ValueError", "TypeError")
    }
    for each in ast.walk(tree) if deep else ():
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            helper = function.__globals__.get(each.func.id)
            if inspect.isfunction(helper) and in_house(helper):
                found |= raised(helper, deep=False)
    return found


def untold(doc: str, errors: set[str]) -> set[str]:
    """The errors that a docstring keeps to itself: it has no Raises for them, and no sentence."""
    told = " ".join(f"{each.name} {each.type}" for each in NumpyDocString(doc)["Raises"]) or doc
    return {error for error in errors if error not in told}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_tells_what_it_takes_gives_and_raises(name):
    function = FUNCTIONS[name]
    assert complaints(function, FORM | FITS) == []
    assert sections(function)["Returns"] or not returns_something(function), "no Returns"
    assert untold(inspect.getdoc(function), raised(function)) == set()


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_tells_what_it_is_made_of(name):
    """Parameters or Attributes, its own or, for what it inherits, those of a public base."""
    cls = CLASSES[name]
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), "no docstring of its own"
    assert complaints(cls, FORM) == []
    if issubclass(cls, Enum | Warning):  # a category takes a text, as all do
        return
    family = [cls, *(base for base in cls.__mro__[1:] if base in PUBLIC.values())]
    signature = inspect.signature(cls).parameters
    if cls in PUBLIC.values():
        told = {each for base in family for each in described(base, "Parameters", "Attributes")}
        assert [each for each in signature if each not in told] == []
    own = described(cls, "Parameters")
    assert [each for each in own if each not in signature] == []
    in_order = [each for each in own if signature[each].kind is not inspect.Parameter.KEYWORD_ONLY]
    assert in_order == [each for each in signature if each in in_order], "not in the signature's order"
    makers = [vars(base)[way] for base in family for way in ("__init__", "__post_init__") if way in vars(base)]
    errors = set().union(*map(raised, makers))
    assert set.intersection(errors, *(untold(inspect.getdoc(base), errors) for base in family)) == set()


def faults(cls, attribute: str, member) -> list[str]:
    """What is wrong with a member's docstring; without one, with what a base says of it."""
    function = bare(member)
    if not function.__doc__:
        family = [base for base in cls.__mro__ if in_house(base)]
        told = [vars(base)[attribute] for base in family if getattr(bare(vars(base).get(attribute)), "__doc__", None)]
        if not told or not inspect.isfunction(function):
            known = bool(told) or any(attribute in described(base, "Attributes") for base in family)
            return [] if known else ["no docstring"]
        untold_of = untold(inspect.cleandoc(bare(told[0]).__doc__), raised(function, deep=False))
        return [f"its base does not tell of {error}" for error in untold_of]
    found = [f"does not tell of {error}" for error in untold(inspect.getdoc(function), raised(function, deep=False))]
    if isinstance(member, property | cached_property):
        return found + complaints(function, FORM)
    if described(function, "Parameters") or getattr(function, "__isabstractmethod__", False):
        # Others write these, and need to know all; a built-in may say it in a sentence.
        silent = returns_something(function) and not sections(function)["Returns"]
        return found + complaints(function, FORM | FITS) + ["no Returns"] * silent
    takes = [each for each in inspect.signature(function).parameters if each not in ("self", "cls")]
    found += [f"its sentence does not name `{each}`" for each in takes if f"`{each}`" not in function.__doc__]
    return found + complaints(function, FORM)


@pytest.mark.parametrize("name", CLASSES)
def test_members_are_told_where_they_are_made_or_where_they_come_from(name):
    cls = CLASSES[name]
    wrong = {attribute: faults(cls, attribute, member) for attribute, member in members(cls).items()}
    assert {attribute: found for attribute, found in wrong.items() if found} == {}


# --- sources and examples

PARTS = {
    name: each
    for name, each in PUBLIC.items()
    if inspect.isclass(each)
    and issubclass(each, nf.Compressor | nf.Mechanism | Basis | nf.MFAC | nf.StaticMFAC)
    and not inspect.isabstract(each)
}
WITHOUT_A_PAPER = {
    "Grid": "the library's own",
    "Identity": "C(x) = x",
    "Contracted": "its constant is worked out in its docstring",
    "Support": "the library's own",
    "preset gd": "elementary",
    "preset accelerated-gd": "Nesterov's book, which it names",
    "preset extragradient": "an article of 1976, which it names",
    "preset newton": "elementary",
    "preset lattice-newton": "the library's own",
    "preset robust-newton": "the library's own",
    "preset bfgs": "Nocedal and Wright's book, which it names",
    "preset l-bfgs": "Nocedal and Wright's book, which it names",
}
SOURCED = PARTS | {f"preset {name}": preset for name, preset in METHODS.items()}


@pytest.mark.parametrize("name", SOURCED)
def test_a_part_and_a_preset_name_their_paper(name):
    paper = re.search(r"arXiv \d{4}\.\d{5}", inspect.getdoc(SOURCED[name]))
    assert (paper is None) == (name in WITHOUT_A_PAPER)


SHOWN = [*PARTS, "All", "Uniform", "Independent", "Trace", "newton_3pc", "fednl", "bl1", "ef21"]
SHOWN += ["Key", "Problem", "FromFunctions", "load", "from_arrays", "solve", "compare", "optimum"]


@pytest.mark.parametrize("name", SHOWN)
def test_what_most_people_use_shows_how(name):
    assert ">>> " in PUBLIC[name].__doc__


def examples() -> dict:
    """Every docstring of the package with an example; presets one by one, for the decorator's module is another."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in MODULES for test in finder.find(module)]
    for name, preset in METHODS.items():
        found += finder.find(preset, f"preset {name}", module=False)
    return {test.name: test for test in found if test.examples}


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write a file
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(EXAMPLES[name], out=said.append)
    assert runner.tries == len(EXAMPLES[name].examples) and not runner.failures, "".join(said)


def test_no_example_is_lost():
    assert len(EXAMPLES) >= 64 and sum(len(test.examples) for test in EXAMPLES.values()) >= 173


# --- documents

ELSEWHERE = {
    "the start": "nf.newton_3pc(compressor=nf.TopK(30)), tol=1e-10)",  # test_install runs it from the wheel
    "an own compressor": "check_compressor(Sparsify())",  # test_checks looks at what it leaves
}
DOCUMENTS = {
    str(path.relative_to(ROOT)): [
        block
        for block in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
        if not any(phrase in block for phrase in ELSEWHERE.values())
    ]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


@pytest.mark.parametrize("name", [name for name, blocks in DOCUMENTS.items() if blocks])
def test_a_documents_python_runs(name, tmp_path):
    """Its blocks one after the other, as a reader would paste them, in a process of their own: some speak of MPI."""
    program = "\n".join(DOCUMENTS[name])
    program = program.replace('"w8a"', '"breast_cancer"')  # the largest set takes too long, and shows no more
    program += "\nfor found in [*globals().values()]:\n    assert getattr(found, 'converged', True), found.reason"
    for data in sorted(set(re.findall(r'load\("(\w+)"', program)) & set(KNOWN)):
        reference_data.need(data)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
