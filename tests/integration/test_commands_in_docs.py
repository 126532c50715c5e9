"""Every command that the documents show, run in an empty folder: it ends as the words around it promise.

A solve converges and a compare brings every method to 1e-12, unless a table here says what it comes to instead.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from mpi_launch import launch
from reference_data import need

from newtonfl.cli.main import main
from newtonfl.datasets.fetch import KNOWN
from newtonfl.experiments.grids import expand

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md", "CONTRIBUTING.md", "bootstrap.py", "mpi_examples/README.md", "notebooks/README.md", "tests/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]  # fmt: skip

NOT_RUN = {
    "pip install": "changes the environment that the tests run in",
    "python3 bootstrap.py": "makes an environment; test_project_files looks at what it starts",
    "jupyter lab": "opens a browser",
    "jupytext --to": "writes beside the notebooks; test_notebooks runs them all",
    "python mpi_examples/": "test_mpi_examples runs all of them, on one to three ranks",
    "same_bits.py": "for two commits, minutes long; test_mpi runs the program",
    "git switch": "is for a branch of the reader's",
    "cmp before.jsonl": "is for files of two commits",
    "parts.py": "test_adding_a_part runs them, in the folder of the page's files",
}
"""Commands by a word in them, and why they are not run."""

UNREACHED = {
    "--methods lattice-newton newton-3pc newton-3pc,compressor=topk:120 bl1 gd --rounds 200": {"gd"},
}
"""Methods that a compare shows for not reaching 1e-12, as the words beside it say."""

COMMAND = r"(?:\.venv/bin/)?(?:newtonfl|mpiexec|python3?|pip|jupyter|jupytext|git|cmp) \S.*"


def commands(page: str) -> list[str]:
    """The command lines of a page's indented and fenced blocks, without their comments."""
    blocks = re.findall(r"^    (\S[^\n]*)$|^```sh\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)
    lines = [line for indented, fenced in blocks for line in (indented or fenced).splitlines()]
    if page.endswith(".py"):  # whose indented lines are its code, but for those that it prints
        lines = [line for line in lines if line.startswith(".venv/bin/")]
    found = [re.split(r" +# | {2,}", line)[0].strip() for line in lines if re.fullmatch(COMMAND, line)]
    return [line.replace(".venv/bin/", "") for line in found]


COMMANDS = {line: page for page in PAGES for line in commands(page)}
RUN = [line for line in COMMANDS if not any(word in line for word in NOT_RUN)]


def out_of(line: str) -> str:
    """The folder that a command writes; empty where it writes none."""
    return " ".join(re.findall(r"--(?:out|checkpoint) (\S+)", line))


def needed(line: str) -> list[str]:
    """The commands before it, on its page, that write the folders that a command reads."""
    words = re.sub(r"--(?:out|checkpoint) \S+", "", line)
    return [other for other in RUN if out_of(other) and re.search(rf"\b{re.escape(out_of(other))}\b", words)]


def marked(line: str):
    """A command with what it takes to run it, and what it reads."""
    both = " ".join([line, *needed(line)])
    marks = [pytest.mark.data] if any(re.search(rf"\b{name}\b", both) for name in KNOWN) else []
    return pytest.param(line, marks=[*marks, pytest.mark.mpi] if "mpiexec" in both else marks, id=line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("docs")


@cache
def ended(line: str, folder: Path) -> tuple[int, str]:
    """A command's status and stdout, after those that write what it reads."""
    for other in needed(line):
        assert ended(other, folder)[0] == 0
    for name in KNOWN:
        if re.search(rf"\b{name}\b", line):
            need(name)
    words = [
        path
        for word in shlex.split(line)
        for path in (sorted(str(p.relative_to(folder)) for p in folder.glob(word)) if "/*" in word else [word])
    ]
    words += ["--quiet"] if {"solve", "resume", "compare"} & set(words) else []
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
        if words[0] == "mpiexec":
            assert words[1] == "-n" and words[3] == "newtonfl"
            job = launch(int(words[2]), "-m", "newtonfl", *words[4:])
            return job.status, job.out
        assert words[0] == "newtonfl"
        with pytest.raises(SystemExit) as status:
            main(words[1:])
    return status.value.code, out.getvalue()


def test_every_page_with_commands_is_looked_at():
    assert {"README.md", "bootstrap.py", "docs/algorithms/3pc.md"} <= {COMMANDS[line] for line in RUN}
    assert len(RUN) >= 18 and len(COMMANDS) >= 35
    for word in NOT_RUN:
        assert any(word in line for line in COMMANDS), f"no command has {word}: it is passed over for nothing"
    for words in UNREACHED:
        assert any(words in line for line in RUN), words


@pytest.mark.slow
@pytest.mark.parametrize("line", [marked(line) for line in RUN])
def test_a_command_comes_to_what_it_promises(line, folder, monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    status, out = ended(line, folder)
    assert status == 0 and out.strip(), out
    written = folder / out_of(line)
    if "newtonfl solve" in line:
        assert re.search(r"^ended +converged: ", out, re.M), out
        files = {"run.toml", "history.jsonl", "x.npy", "result.json"}
        assert "--out" not in line or files <= {path.name for path in written.iterdir()}
    if "newtonfl compare" in line:
        ends = dict(re.findall(r"^(\S+) +[\d,]+ +\S+  (.*)$", out.partition("\nended ")[2], re.M))
        named = {words[0]: words[1:] for words in map(shlex.split, re.split(r" (?=--)", line.partition("compare ")[2]))}
        problems = shlex.split(line.partition("compare ")[2].partition(" --")[0])
        methods = [method for spec in named["--methods"] for method in expand(spec)]
        seeds, accuracy = int(named.get("--seeds", ["1"])[0]), float(named.get("--accuracy", ["1e-12"])[0])
        assert list(ends) == methods
        missed = {method for method, words in ends.items() if words != f"{accuracy:g} is reached"}
        assert missed == next((gone for words, gone in UNREACHED.items() if words in line), set()), out
        if out_of(line):
            column = f"{named['--y'][0]}-" if "--y" in named else ""
            pictures = {f"{column}{name}" for name in ("rounds.svg", "rounds.png", "bytes.svg")}
            assert pictures <= {path.name for path in written.iterdir()}
            for each in [written] if len(problems) == 1 else [written / problem for problem in problems]:
                assert {"comparison.csv", "comparison.txt"} <= {path.name for path in each.iterdir()}
                assert sum((path / "result.json").is_file() for path in each.iterdir()) == len(methods) * seeds
    if "newtonfl plot" in line:
        drawn = [folder / path for path in out.splitlines()]
        assert len(drawn) >= 2 and all(path.stat().st_size > 1000 for path in drawn)
        assert {path.suffix for path in drawn} == {".svg", ".png"}
    if line.endswith("run.toml"):
        before = json.loads((folder / Path(shlex.split(line)[-1]).with_name("result.json")).read_text("utf-8"))
        assert re.search(rf"^x_sha256 +{before['x_sha256'][:16]}$", out, re.M), "the same run again, the same bits"
