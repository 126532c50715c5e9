"""The house: districts import one way, no file imports itself by way of others, few files may name a library."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import newtonfl
from newtonfl.methods.round import Descent

PACKAGE = Path(newtonfl.__file__).parent

FACE = {"__init__.py", "__init__.pyi", "__main__.py", "py.typed"}
MODULES = {
    ".".join(("newtonfl", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def district(module: str) -> str:
    """The district that a module lies in; the package's own name for its face."""
    return module.split(".")[1] if module.count(".") else module


def imports(module: str) -> set[str]:
    """The library's modules that one imports, for types as well."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole.values()}
    return found & set(MODULES) - {module}


def circles(imported: dict[str, set[str]]) -> set[str]:
    """Who imports itself by way of others: what stays when all are gone that import nobody who is left."""
    left = dict(imported)
    while done := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in done}
    return set(left)


def importers(name: str) -> set[str]:
    """The districts that may import one, as its docstring has it."""
    text = ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(text) > 250, f"{name}/__init__.py must say what lives there"
    (allowed,) = re.findall(r"^May be imported by: ([^.]*)\.$", text, re.MULTILINE)
    return {"every district": DISTRICTS, "no other district": {"no other district"}}.get(allowed) or set(
        re.split(r",\s+", allowed)
    )


DISTRICTS = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__", "problems"}  # the wheel's


def test_every_file_lies_in_a_district():
    assert {path.name for path in PACKAGE.iterdir() if path.is_file()} == FACE
    assert all(importers(name) <= DISTRICTS | {"no other district"} for name in DISTRICTS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_where_the_districts_allow(module):
    here = district(module)
    if here not in DISTRICTS:
        return
    for other in {district(name) for name in imports(module)} & DISTRICTS - {here}:
        assert here in importers(other), f"{module} imports {other}, whose docstring does not allow it"


def test_districts_and_files_form_no_circle():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}  # it can fail
    allowed = {
        name: {other for other in DISTRICTS - {name} if name in importers(other)} for name in DISTRICTS - {"core"}
    }
    assert not circles(allowed)
    assert not circles({module: imports(module) for module in MODULES})


@pytest.mark.parametrize(
    ("word", "allowed"),
    [
        ("cupy", {"core.backend", "kernels"}),
        ("mpi4py", {"comm.mpi", "comm.mpi_wait", "comm.mpi_end"}),
        ("matplotlib", {"results.plots"}),
        ("environ", {"datasets.fetch", "comm.launcher"}),
        ("pickle", set()),
        ("eval", set()),
        ("yaml", set()),
    ],
)
def test_few_files_use_it(word, allowed):
    """By name in code: imports, attributes and calls; strings and comments may speak of it."""
    users = set()
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.Name):
                names = [node.id]
            if any(word == part for name in names for part in name.split(".")):
                users.add(module.removeprefix("newtonfl."))
    assert not {user for user in users if user not in allowed and user.split(".")[0] not in allowed}


def test_no_component_remembers_just_anything():
    """States of components, and what their methods take and return of them, are typed: no Any (mypy holds the rest)."""
    loose = []
    for module in [name for name in MODULES if name.startswith(("newtonfl.components", "newtonfl.mechanisms"))]:
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
            typed = []
            if isinstance(node, ast.ClassDef) and re.search(r"State$|Memory$|Round$|Points$", node.name):
                typed = [line.annotation for line in node.body if isinstance(line, ast.AnnAssign)]
            elif isinstance(node, ast.FunctionDef) and "components" in module and not module.endswith("protocol"):
                typed = [a.annotation for a in node.args.args if a.annotation] + [node.returns] * bool(node.returns)
            loose += [f"{module}:{each.lineno}" for each in typed if re.search(r"\bAny\b", ast.unparse(each))]
    assert not loose


def test_the_round_reads_like_the_papers_box():
    """One method of at most 25 lines, in the papers' letters."""
    lines = inspect.getsource(Descent.round).splitlines()
    assert len(lines) <= 25
    words = set(re.findall(r"∇?[A-Za-zξ]+", "\n".join(lines)))
    assert {"H", "l", "w", "∇f", "x", "S", "ξ", "z"} <= words
