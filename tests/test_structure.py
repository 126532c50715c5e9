"""The house: imports go one way, and few files may name a library or the environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import newtonfl

PACKAGE = Path(newtonfl.__file__).parent

ORDER = [
    ["backend", "kernels", "triangle", "blocks", "keys", "mfac"],
    ["coding", "messages", "wire"],
    ["table", "datasets", "readers", "data", "splits", "catalogue", "problem_file", "silos"],
    ["losses", "rows", "smoothness", "transport", "regularisers", "point", "problem", "functions"],
    ["row_problem", "glm", "multinomial", "assembly"],
    ["compressors", "bases"],
    ["mechanisms"],
    ["methods"],
    ["mpi", "ledger", "session"],
    ["history", "progress", "network", "costs", "labels", "run_folder"],
    ["plots", "pictures"],
    ["bounds"],
    ["solver", "reference"],
    ["loading", "names"],
    ["collective", "federation", "arrays", "estimators"],
    ["entries", "comparison", "checks"],
    ["starts", "plan"],
    ["solve_command", "compare_command", "cli", "__main__"],
]
"""From the bottom up; a module imports from its own line and the lines above it."""

LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The part of the house that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports, other than for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    inside = {id(child) for node in skipped for child in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "newtonfl"
            names = [f"newtonfl.{alias.name}" for alias in node.names] if whole else [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("newtonfl.")}
    return found


def test_every_module_has_its_place():
    assert {room(path) for path in MODULES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    if room(path) == "__init__":
        return
    upward = {name for name in imports(path) & set(LEVEL) if LEVEL[name] > LEVEL[room(path)]}
    assert not upward, f"{path.name} imports {upward} from above"


@pytest.mark.parametrize(
    ("word", "allowed"),
    [
        ("cupy", {"backend", "kernels"}),
        ("mpi4py", {"mpi"}),
        ("matplotlib", {"plots"}),
        ("environ", {"datasets", "mpi"}),
        ("pickle", set()),
        ("eval", set()),
        ("yaml", set()),
    ],
)
def test_few_files_use_it(word, allowed):
    """By name in code: imports, attributes and calls; strings and comments may speak of it."""
    users = set()
    for path in MODULES:
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
                users.add(room(path))
    assert users - allowed == set()
