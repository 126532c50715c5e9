"""The documents say what the code says: boxes, notation, pictures, and the files for whoever carries on."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import newtonfl
from newtonfl.registry import METHODS

ROOT = Path(__file__).parents[2]
PACKAGE = Path(newtonfl.__file__).parent


def script(path: str) -> ModuleType:
    """A script of the checkout, imported."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


boxes, drawing, keys = map(script, ("docs/write_boxes.py", "docs/draw_architecture.py", "docs/write_keys.py"))
PAGES = {path.name: path.read_text(encoding="utf-8") for path in boxes.PAGES}
DOCUMENTS = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not any(part[0] == "." or part == "runs" for part in path.relative_to(ROOT).parts)
]
NAMES = {
    node.name: ".".join(("newtonfl", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef | ast.FunctionDef)
}
"""Every class and function of the library, and a module that has it."""


def spans(cell: str) -> list[str]:
    """What a table's cell has in code spans."""
    return re.findall(r"`([^`]+)`", cell)


def rows(page: str) -> list[list[str]]:
    """The cells of a page's table rows, without heads and rules."""
    lines = re.sub(r"```.*?```", "", page, flags=re.DOTALL).splitlines()
    tables = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in tables]


def has(module: str, name: str) -> bool:
    """Whether a module has a class or function, or a class in it such a member, field or argument."""
    first, _, member = name.partition(".")
    thing = getattr(importlib.import_module(module), first, None)
    if thing is None or not member:
        return thing is not None
    fields = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    return (
        hasattr(thing, member)
        or member in fields
        or f"self.{member} = " in Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    )


# --- the keys of a problem file


def test_the_page_of_problem_files_has_every_key_as_its_model_has_it():
    """Write it with ``python docs/write_keys.py``."""
    page = keys.PAGE.read_text(encoding="utf-8")
    assert keys.written(page) == page


# --- the papers' boxes


@pytest.mark.parametrize("name", PAGES)
def test_a_box_is_the_transcription(name):
    """Write it with ``python docs/write_boxes.py``."""
    assert boxes.written(PAGES[name]) == PAGES[name]


def test_every_box_has_its_end():
    for page in PAGES.values():
        assert page.count("<!-- box ") == page.count("<!-- end -->") == len(boxes.BOX.findall(page))


def test_every_preset_has_its_box_and_is_in_the_contents():
    titles = re.findall(r"^## `([^`]+)`", "\n".join(PAGES.values()), re.MULTILINE)
    assert sorted(titles) == sorted(METHODS)
    links = set(re.findall(r"\]\(([\w-]+\.md)\)", PAGES["README.md"]))
    assert links == PAGES.keys() - {"README.md"}


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"README.md"}))
def test_a_table_quotes_the_box_above_it_and_names_what_exists(name):
    """Every line that a table speaks of stands in a box of its section, or of the page's beginning."""
    page = PAGES[name]
    beginning, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    for section in sections:
        code = "\n".join(re.findall(r"```python\n(.*?)```", beginning + section, re.DOTALL))
        for quoted, _, where in [row for row in rows(section) if row[0] != "line" and len(row) == 3]:
            for line in spans(quoted):
                assert line in code, f"{name}: no box has the line {line}"
            for thing in spans(where):
                if re.fullmatch(r"[A-Z]\w+(\.\w+)?|renews", thing):
                    first = thing.partition(".")[0]
                    assert first in NAMES and has(NAMES[first], thing), f"{name}: newtonfl has no {thing}"


CALLS = [
    (title, line.strip())
    for page in PAGES.values()
    for title, section in re.findall(r"^## `([^`]+)`(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^    nf\..*", section, re.MULTILINE)
]


@pytest.mark.parametrize("title, line", CALLS, ids=[title for title, _ in CALLS])
def test_a_pages_call_makes_the_preset_of_its_section(title, line):
    made = eval(line, {"nf": newtonfl, "x_star": np.zeros(3)})
    assert made.name == title


# --- links


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_link_leads_somewhere(path):
    page = path.read_text(encoding="utf-8")
    titles = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)", page, re.M)}
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page):
        assert (path.parent / target).exists(), f"{path.name}: {target} does not exist"
        assert target or anchor in titles, f"{path.name}: no title is #{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_that_a_document_names_exists(path):
    folders = "newtonfl|tests|docs|benchmarks|problems|mpi_examples|notebooks"
    named = re.findall(
        rf"(?<![\w./])((?:{folders})/[\w./-]+\.(?:pyi?|md|toml|svg|json))", path.read_text(encoding="utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


# --- notation


def test_every_name_in_the_notation_exists():
    page = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
    checked = [(module, name) for row in rows(page) for module in spans(row[3]) for name in spans(row[2])]
    assert len(checked) > 50
    assert [(module, name) for module, name in checked if not has(module, name)] == []


# --- pictures


@pytest.mark.parametrize("name", drawing.DRAWN)
def test_a_picture_shows_the_code(name):
    """Draw it with ``python docs/draw_architecture.py``."""
    assert drawing.DRAWN[name]() == (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_a_picture_draws_an_arrow_for_every_import_that_no_chain_makes():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"a"}}
    assert drawing.reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a"}}
    assert drawing.levels(graph) == {"a": 2, "b": 1, "c": 0, "d": 3}
