"""Three commands on a machine with only python3 and pip:

    python3 bootstrap.py run     make .venv, solve a first problem on 4 MPI ranks, draw its picture
    python3 bootstrap.py test    make .venv, run every test on two cores; further words go to pytest
                                 (with --fast no slow test and none that launches ranks: about a minute)
    python3 bootstrap.py docs    make .venv, run the notebooks, build the documentation into build/site
                                 (with --fast the notebooks are shown as they last ran, or without outputs)

What is needed is installed into .venv once; nothing outside this folder is touched.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / "bin"
SITE = Path("build") / "site" / "index.html"
SPREAD = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")  # a file's tests share what they solved
FAST = ("-m", "not slow and not mpi")
EXTRAS = {"run": "mpi,plot", "test": "test", "docs": "docs"}
ALLOWED: dict[str, set[str]] = {"run": set(), "docs": {"--fast"}}


def main(words: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have an older one
        print(f"newtonfl needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    if not words or words[0] not in EXTRAS or not (words[0] == "test" or set(words[1:]) <= ALLOWED[words[0]]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        set_up(EXTRAS[words[0]])
        if words[0] == "test":
            return call(*tests(words[1:]), check=False)
        return run() if words[0] == "run" else docs("--fast" in words)
    except subprocess.CalledProcessError as error:
        print(f"bootstrap: this command failed with status {error.returncode}: {' '.join(error.cmd)}", file=sys.stderr)
        return 1


def tests(words: list[str]) -> list[object]:
    """The command that runs the tests; ``--fast`` is ours, the other words are pytest's."""
    chosen = FAST if "--fast" in words else ()
    return [BIN / "python", "-m", "pytest", *SPREAD, *chosen, *(word for word in words if word != "--fast")]


def run() -> int:
    """The first solve, its picture, and what to try next."""
    folder = Path("runs") / "breast_cancer"
    call(BIN / "mpiexec", "-n", 4, BIN / "newtonfl", "solve", "problems/breast_cancer.toml", "--out", folder, "--force")
    call(BIN / "newtonfl", "plot", folder)
    print(f"""
Solved on 4 MPI ranks; the picture is {folder / "gap.png"}. Try next:

    .venv/bin/newtonfl solve breast_cancer                                 the same bits in one process
    .venv/bin/mpiexec -n 2 .venv/bin/newtonfl solve digits --method fednl  other data, another method, 2 ranks
    .venv/bin/newtonfl compare breast_cancer --methods lattice-newton bl1  methods side by side
    .venv/bin/newtonfl methods newton-3pc                                  the method's paper, settings and conditions
""")
    return 0


def docs(fast: bool) -> int:
    """The site, strictly: a warning is an error; and where to open it."""
    if not fast:
        call(BIN / "python", ROOT / "docs" / "site" / "tutorials.py")
    call(BIN / "python", "-m", "mkdocs", "build")
    print(f"\nBuilt; nothing in it needs a network. Open in a browser:\n\n    {(ROOT / SITE).as_uri()}\n")
    return 0


def set_up(extras: str) -> None:
    """Make .venv and install newtonfl with `extras`, unless that was done for this pyproject.toml already."""
    want = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    stamp = ENVIRONMENT / f".installed-{extras.replace(',', '-')}"
    if stamp.exists() and stamp.read_text() == want:
        return
    fresh = not any(old.read_text() == want for old in ENVIRONMENT.glob(".installed-*"))
    print(f"Installing newtonfl[{extras}] into .venv; this takes a minute or two …", flush=True)
    try:
        if fresh:
            venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip = [str(BIN / "python"), "-m", "pip"] if (BIN / "pip").exists() else None
    except (subprocess.CalledProcessError, SystemExit):  # a Debian without python3-venv has no ensurepip
        venv.create(ENVIRONMENT, with_pip=False, clear=True)
        pip = None
    pip = pip or [sys.executable, "-m", "pip", "--python", str(BIN / "python")]
    call(*pip, "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location", "-e", f".[{extras}]")
    stamp.write_text(want)


def call(*words: object, check: bool = True) -> int:
    """Run a command in this folder with one BLAS thread a process, and say which."""
    command = [str(word) for word in words]
    print("+", " ".join(word.replace(f"{ROOT}/", "") for word in command), flush=True)
    env = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NO_MKDOCS_2_WARNING": "1",  # a notice of the theme's, about versions that pyproject.toml leaves out
    }
    env.pop("PYTHONPATH", None)
    return subprocess.run(command, cwd=ROOT, env=env, check=check).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
