"""The documentation as a site: it builds without a warning, is whole, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import docstrings
import nbformat
import pytest
import tutorials

import newtonfl
from newtonfl import checks, estimators

ROOT = Path(__file__).parents[2]
MODULES = [newtonfl, checks, estimators, newtonfl.monitors]
OFFERED = {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in module.__all__}
TWICE = {name for name in OFFERED if name.startswith("newtonfl.estimators.")}  # which nf has too
PUBLIC = sorted(OFFERED.keys() - TWICE)


class Page(HTMLParser):
    """What a page of a site has: anchors, links, what it loads, and what it stresses."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.loaded, self.stressed = {"", "__top"}, [], [], []
        self.in_stress = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in ("link", "script", "img", "iframe", "source"):
            self.loaded += [found[key] for key in ("src", "href") if found.get(key) and found.get("rel") != "canonical"]
        self.in_stress = tag == "em"

    def handle_endtag(self, tag):
        self.in_stress = False

    def handle_data(self, data):
        self.stressed += [data] if self.in_stress else []


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def astray(site: Path) -> list[str]:
    """Links and loaded files of a site that are not there: no such file, no such anchor, or another host's file."""
    every, wrong = pages(site), []
    for path, page in every.items():
        for words in page.links + page.loaded:
            to = urlsplit(words)
            there = (path.parent / unquote(to.path)).resolve() if to.path else path
            lost = not there.is_file() or (there in every and unquote(to.fragment) not in every[there].anchors)
            if words in page.loaded if to.scheme else lost:
                wrong.append(f"{path.relative_to(site)}: {words}")
    return wrong


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as ``python3 bootstrap.py docs --fast`` builds it."""
    folder = tmp_path_factory.mktemp("site").resolve()
    build = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ended = subprocess.run(build, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and "WARNING" not in ended.stderr, ended.stdout + ended.stderr
    return folder


@pytest.mark.slow
def test_every_link_and_anchor_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    assert len(pages(site)) > 70
    assert astray(site) == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", styles)


@pytest.mark.slow
def test_every_public_name_has_its_place_in_the_reference(site):
    assert {OFFERED[name].__name__ for name in TWICE} <= set(newtonfl.__all__)
    assert {each for each in OFFERED.values() if isinstance(each, ModuleType)} <= set(MODULES)
    anchors = {anchor: path for path, page in pages(site / "reference").items() for anchor in page.anchors}
    assert [name for name in PUBLIC if name not in anchors] == []
    contents = Page(site / "reference" / "index.html").links
    assert [name for name in PUBLIC if not any(link.endswith(f"#{name}") for link in contents)] == []
    shown = anchors["newtonfl.newton_3pc"].read_text(encoding="utf-8")
    assert "How many trial steps one exchange asks for" in shown, "the settings that methods share are not there"


@pytest.mark.slow
def test_no_formula_is_read_as_stress_and_none_is_left_to_a_script(site):
    """Between two stars of x* Markdown sees words to stress: in a document write ``x\\*`` where it does."""
    assert {
        words for page in pages(site).values() for words in page.stressed if not re.fullmatch(r"[\w -]+", words)
    } == set()
    written = "".join(path.read_text(encoding="utf-8") for path in (site / "notebooks").glob("*.html"))
    assert "<math" in written and "arithmatex" not in written


@pytest.mark.parametrize(
    "body, fault",
    [
        ('<a href="other.html#here">', ""),
        ('<a href="https://arxiv.org/abs/2206.03588">', ""),
        ('<a href="other.html#gone">', "other.html#gone"),
        ('<a href="gone.html">', "gone.html"),
        ('<img src="gone.png">', "gone.png"),
        ('<script src="https://example.org/a.js"></script>', "https://example.org/a.js"),
        ('<link rel="stylesheet" href="https://example.org/a.css">', "https://example.org/a.css"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(body, fault, tmp_path):
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "other.html").write_text('<h2 id="here">')
    assert astray(tmp_path) == ([f"a.html: {fault}"] if fault else [])


def test_a_docstrings_formulas_stay_and_its_names_and_examples_too():
    doc = "‖x* - y*‖_F and `a_*` of :func:`newtonfl.solve`.\n\nParameters\n----------\nline_search : int\n    [H]_i.\n"
    assert docstrings.markdown(doc) == doc.replace("x* - y*‖_F", r"x\* - y\*‖\_F").replace(
        ":func:`newtonfl.solve`", "`newtonfl.solve`"
    ).replace("[H]_i", r"\[H\]\_i")
    assert docstrings.markdown("Examples\n--------\n>>> a_b * 2\n[_]") == "Examples\n--------\n>>> a_b * 2\n[_]"


def test_a_notebooks_page_has_its_outputs_while_they_are_of_its_source(tmp_path, monkeypatch):
    path = tmp_path / "01_a.py"
    path.write_text("# %% [markdown]\n# # 1. A\n#\n# ## A part\n\n# %%\nprint(1)\n")
    monkeypatch.setattr(tutorials, "RUN", tmp_path)
    assert "its outputs are not shown" in tutorials.page(path)[0]
    ran = tutorials.current(path)
    picture = {"output_type": "display_data", "data": {"image/png": "aGk="}, "metadata": {}}
    table = {"output_type": "display_data", "data": {"text/html": "<b>t</b>", "text/plain": "t"}, "metadata": {}}
    text = {"output_type": "stream", "name": "stdout", "text": "one\n"}
    ran.cells[1].outputs = [nbformat.from_dict(output) for output in (text, picture, table)]
    nbformat.write(ran, tmp_path / "01_a.ipynb")
    shown, pictures = tutorials.page(path)
    assert pictures == {"01_a_1.png": b"hi"} and "![A part](01_a_1.png)" in shown
    assert "```text {.output}\none\n```" in shown and "<b>t</b>" in shown and "are not shown" not in shown
    path.write_text(path.read_text().replace("print(1)", "print(2)"))
    assert "one" not in tutorials.page(path)[0]
