"""What a user gets: the wheel, in another folder, away from the checkout; and a light import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from newtonfl.datasets.catalogue import catalogue

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the wheel's files, and an environment in which it comes first."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder / "site", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    (folder / "elsewhere").mkdir()
    return folder, {**os.environ, "PYTHONPATH": str(folder / "site")}


def python(installed, *words):
    folder, env = installed
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder / "elsewhere",
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_the_wheel_lists_the_same_catalogue(installed):
    where = python(installed, "-c", "import newtonfl; print(newtonfl.__file__)")
    assert str(installed[0]) in where
    names = [
        line.split()[0] for line in python(installed, "-m", "newtonfl", "problems").splitlines() if line[:1].strip()
    ]
    assert names[: len(catalogue())] == list(catalogue()) and len(catalogue()) == 13
    assert (installed[0] / "site" / "newtonfl" / "py.typed").exists()


def test_the_readmes_python_start_runs_from_the_wheel(installed):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.split("```python\n")[1].split("```")[0]
    assert len(start.splitlines()) == 4
    out = python(installed, "-c", start)
    assert out.startswith("the gradient norm reached the tolerance Record(round=7")


def test_the_readme_begins_with_the_two_commands():
    lines = [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.strip()]
    assert lines[1].startswith("python3 bootstrap.py run") and lines[2].startswith("python3 bootstrap.py test")


def test_importing_loads_nothing_heavy():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, newtonfl; print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout.split()  # fmt: skip
    for heavy in ("mpi4py", "cupy", "numba", "matplotlib", "sklearn", "pooch", "pydantic"):
        assert heavy not in loaded
