"""The notebooks run from top to bottom and in time, and hold no logic and no outputs."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from mpi_launch import mpiexec
from reference_data import need

from newtonfl.datasets.fetch import KNOWN

pytestmark = [pytest.mark.mpi, pytest.mark.slow, pytest.mark.data]

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
SECONDS = 120.0
"""What all notebooks may take together, on two cores."""

OWN_PARTS = "08_bring_your_own"
"""The one that defines parts of the reader's own: that is what it shows."""


def source(name):
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


@cache
def executed(name):
    """The notebook after all its cells ran, and the CPU seconds of its kernel and of what that started.

    CPU seconds, because a wall clock also counts whoever else uses the machine; where nobody does, two cores take no
    longer.
    """
    import jupytext
    from nbformat.v4 import new_code_cell
    from tutorials import execute

    notebook = jupytext.read(FOLDER / f"{name}.py")
    clock = (
        "import resource as _r; print(sum(sum(_r.getrusage(who)[:2]) for who in (_r.RUSAGE_SELF, _r.RUSAGE_CHILDREN)))"
    )
    notebook.cells.append(new_code_cell(clock))
    execute(notebook)
    return notebook, float(notebook.cells.pop().outputs[0].text)


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def available(name):
    """Skip, in words, where the notebook needs a data set or a launcher that is not at hand."""
    for data in set(re.findall(r"""load\(["'](\w+)["']""", source(name))) & set(KNOWN):
        need(data)
    if "mpiexec" in source(name):
        mpiexec()


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom(name):
    available(name)
    shown = outputs(executed(name)[0])
    told = "".join(output.text for output in shown if output.output_type == "stream" and output.name == "stderr")
    assert not told, f"{name}: a reader would see on stderr:\n{told}"
    values = [output["data"] for output in shown if "data" in output]
    assert all({"image/png", "text/html"} & set(value) for value in values), (
        f"{name}: a cell's value is shown as text, or a picture was not"
    )


def test_all_notebooks_together_run_in_time():
    for name in NAMES:
        available(name)
    seconds = {name: executed(name)[1] for name in NAMES}
    print({name: round(taken, 1) for name, taken in seconds.items()})
    assert sum(seconds.values()) < SECONDS, seconds


def test_no_outputs_are_kept():
    """What a reader makes of them here is the reader's: git says which files belong, and without git all do."""
    files = [path.name for path in FOLDER.iterdir() if path.name != "__pycache__"]
    if shutil.which("git") and (FOLDER.parent / ".git").exists():
        files = subprocess.check_output(["git", "ls-files", "."], cwd=FOLDER, text=True).split()
    kept = [name for name in files if not name.endswith((".py", ".md"))]
    assert not kept, f"notebooks/ holds text alone, and there are {kept}"


def test_the_readme_names_every_notebook():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d\d_\w+)\.py\)", readme) == NAMES
    assert [name[:3] for name in NAMES] == [f"{number:02}_" for number in range(1, len(NAMES) + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_no_logic_of_its_own(name):
    own = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.While, ast.Try)
    tree = ast.parse(source(name))
    defined = [node for node in ast.walk(tree) if isinstance(node, own)]
    if name != OWN_PARTS:
        assert not defined, f"{name}, line {defined[0].lineno}: what needs more than a call belongs into the library"
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)), f"{name}: nothing holds its text to be true"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_names_the_kernel_that_everybody_has(name):
    import jupytext

    notebook = jupytext.reads(source(name), fmt="py:percent")
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith(f"# {int(name[:2])}. ")
