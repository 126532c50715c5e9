"""The files for whoever carries on: citation, workflow, hooks, contributing, the layers of the tests, bootstrap."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import newtonfl
from newtonfl.registry import METHODS

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
WITHOUT_A_PAPER = {
    "newton", "gd", "accelerated-gd", "bfgs", "l-bfgs", "lattice-newton", "extragradient", "robust-newton"
}  # fmt: skip


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))
MARKS = {line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}


# --- CITATION.cff: mappings, sequences and quoted strings, two spaces a level


def parsed(text: str) -> Any:
    """What a file of block mappings, block sequences and plain or double-quoted scalars says."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]

    def block(at: int, depth: int) -> tuple[Any, int]:
        found: Any = [] if lines[at][1].startswith("- ") else {}
        while at < len(lines) and lines[at][0] == depth:
            words = lines[at][1]
            if isinstance(found, list):
                assert words.startswith("- "), f"{words}: a sequence goes on with a dash"
                if re.match(r"- [\w-]+: ?", words):
                    lines[at] = (depth + 2, words[2:])
                    value, at = block(at, depth + 2)
                else:
                    value, at = scalar(words[2:]), at + 1
                found.append(value)
                continue
            key, colon, rest = words.partition(":")
            assert colon and re.fullmatch(r"[\w-]+", key) and key not in found, f"{words}: no key, or one given twice"
            if rest.strip():
                found[key], at = scalar(rest.strip()), at + 1
            else:
                found[key], at = block(at + 1, lines[at + 1][0])
        assert at == len(lines) or lines[at][0] < depth, f"{lines[at][1]}: indented as nothing before it"
        return found, at

    return block(0, 0)[0]


def scalar(words: str) -> str:
    quoted = re.fullmatch(r'"([^"\\]*)"', words)
    assert quoted or not re.search(r'["#&*!|>\'%@`{}\[\]]|: ', words), f"{words}: has to stand in double quotes"
    return quoted[1] if quoted else words


CITATION = parsed(read("CITATION.cff"))
ROOT_KEYS = {"cff-version", "message", "type", "title", "abstract", "version", "license", "authors", "keywords",
             "references"}  # fmt: skip
REFERENCE_KEYS = {"type", "title", "year", "authors", "identifiers", "url", "notes"}


def test_the_citation_is_of_the_format():
    """Citation File Format 1.2.0: the keys that it asks for, and none that it does not know."""
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert {"authors", "message", "title"} <= CITATION.keys() <= ROOT_KEYS
    assert CITATION["version"] == newtonfl.__version__ and CITATION["license"] == PROJECT["project"]["license"]
    assert all(set(author) == {"name"} for author in CITATION["authors"])
    for reference in CITATION["references"]:
        assert reference.keys() == REFERENCE_KEYS and reference["type"] == "article"
        assert all(set(author) == {"family-names", "given-names"} for author in reference["authors"])
        assert re.fullmatch(r"20\d\d|19\d\d", reference["year"])
        (identifier,) = reference["identifiers"]
        assert identifier["type"] == "other" and reference["url"].endswith(identifier["value"].removeprefix("arXiv:"))


def test_every_method_has_its_paper_and_no_other_is_cited():
    cited = {name.strip() for one in CITATION["references"] for name in re.split("[,;]", one["notes"])}
    assert set(METHODS) - cited == WITHOUT_A_PAPER
    library = "".join(path.read_text(encoding="utf-8") for path in Path(newtonfl.__file__).parent.rglob("*.py"))
    for reference in CITATION["references"]:
        assert reference["url"].rpartition("/")[2] in library, f"{reference['title']}: newtonfl cites it nowhere"


@pytest.mark.parametrize(
    "text", ["a: 1\n   b: 2\n", "a: x: y\n", "a: 1\na: 2\n", "- a\nb: 1\n", "a\n", 'a: "b" c\n', "a: [1]\n"]
)
def test_what_is_no_such_file_is_refused(text):
    with pytest.raises(AssertionError):
        parsed(text)
    assert parsed("a: 1\nb:\n  - c: 2\n    d: e\n  - f\n") == {"a": "1", "b": [{"c": "2", "d": "e"}, "f"]}


# --- the workflow and the hooks


def test_the_workflow_runs_the_readmes_command_on_every_python():
    workflow = read(".github/workflows/tests.yml")
    (command,) = re.findall(r"^ +(python3 bootstrap.py test)\b", read("README.md"), re.MULTILINE)
    assert workflow.count(f"run: {command} -rs") == 2 and "openmpi-bin" in workflow
    assert '["3.11", "3.12", "3.13", "3.14"]' in workflow and PROJECT["project"]["requires-python"] == ">=3.11"
    assert not re.search(r"secrets\.|https?://|\t", workflow)


def test_the_hooks_are_the_commands_of_the_tests():
    hooks = re.findall(r"entry: \.venv/bin/(.*)", read(".pre-commit-config.yaml"))
    style = read("tests/repo/test_style.py")
    assert len(hooks) == 3 and all(f'"{hook}"' in style for hook in hooks)


# --- the layers and the marks of the tests


def test_every_test_lies_in_a_layer_that_the_tests_readme_explains():
    readme = read("tests/README.md")
    layers = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert layers == {"unit", "methods", "integration", "repo", "support"}
    assert {path.name for path in TESTS.iterdir() if path.is_file()} == {"README.md", "conftest.py"}
    assert all(f"`{layer}/`" in readme for layer in layers) and all(f"`{mark}`" in readme for mark in MARKS)
    assert not list((TESTS / "support").glob("test_*.py"))


@pytest.mark.parametrize(
    "text, fault",
    [
        ("def test_a():\n    import reference_data\n    reference_data.need('a1a')\n", "give it the mark data"),
        ("def test_a():\n    import mpi_launch\n    mpi_launch.launch(1, '-c', '')\n", "give it the mark mpi"),
    ],
    ids=["data", "mpi"],
)
def test_a_test_without_its_mark_fails(text, fault, tmp_path):
    """conftest.py shows data and launchers to those that have the mark alone."""
    (tmp_path / "conftest.py").write_text(read("tests/conftest.py"), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath={TESTS / 'support'}", tmp_path]
    ended = subprocess.run(
        [sys.executable, *map(str, command)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1 and fault in ended.stdout, ended.stdout + ended.stderr


# --- bootstrap

spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
bootstrap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bootstrap)


@pytest.mark.parametrize(
    "words, last",
    [
        (["test"], []),
        (["test", "-k", "ef21"], ["-k", "ef21"]),
        (["test", "--fast"], ["-m", "not slow and not mpi"]),
        (["test", "-x", "--fast", "tests/unit"], ["-m", "not slow and not mpi", "-x", "tests/unit"]),
    ],
)
def test_bootstrap_runs_pytest_on_two_cores(words, last, monkeypatch):
    """``--fast`` is bootstrap's; further words go to pytest."""
    made, run = [], []
    monkeypatch.setattr(bootstrap, "set_up", made.append)
    monkeypatch.setattr(bootstrap, "call", lambda *command, check: run.extend(map(str, command)) or 0)
    assert bootstrap.main(words) == 0
    assert made == ["test"] and run[:3] == [str(ROOT / ".venv" / "bin" / "python"), "-m", "pytest"]
    assert run[3:8] == ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"] and run[8:] == last
    chosen = re.findall(r"not (\w+)", run[9]) if "--fast" in words else []
    assert set(chosen) <= MARKS


@pytest.mark.parametrize("words, steps", [(["docs"], ["tutorials.py", "build"]), (["docs", "--fast"], ["build"])])
def test_bootstrap_builds_the_site_and_says_where(words, steps, monkeypatch, capsys):
    """``--fast`` runs no notebook. A quiet build would not: MkDocs then counts no warnings."""
    made, run = [], []
    monkeypatch.setattr(bootstrap, "set_up", made.append)
    monkeypatch.setattr(bootstrap, "call", lambda *command: run.append([*map(str, command)]) or 0)
    assert bootstrap.main(words) == 0 and bootstrap.main([*words, "no-such-word"]) == 2
    assert made == ["docs"] and [Path(command[-1]).name for command in run] == steps
    assert run[-1][1:] == ["-m", "mkdocs", "build"] and "strict: true" in read("mkdocs.yml")
    assert (ROOT / "build" / "site" / "index.html").as_uri() in capsys.readouterr().out
    assert "build/" in read(".gitignore").splitlines() and "site_dir: build/site" in read("mkdocs.yml")
