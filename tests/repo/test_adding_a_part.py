"""docs/adding-a-part.md: its blocks are files in an empty folder outside the package, where its commands run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from mpi_launch import launch
from reference_data import need

from newtonfl import checks
from newtonfl.checks.own_file import parts_of
from newtonfl.registry import Part, from_spec, load_file, lookup

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-part.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
OTHERS = {block.split()[1]: block for block in BLOCKS if block.startswith("# ")}
PARTS = "\n\n".join(block for block in BLOCKS if not block.startswith("# "))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
KINDS = ["compressor", "mechanism", "basis", "loss", "participation", "aggregator", "method", "problem"]


def marked(line):
    """A command with what it takes to run it."""
    marks = [pytest.mark.data] if "a1a" in line else []
    return pytest.param(line, marks=[*marks, pytest.mark.mpi] if "mpiexec" in line else marks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's files; the names that their parts take are free again after these tests."""
    made, before = tmp_path_factory.mktemp("parts"), lookup.taken_names()
    for name, text in {"parts.py": PARTS, **OTHERS}.items():
        (made / name).write_text(text, "utf-8")
    yield made
    for file in made.glob("*.py"):
        lookup.give_back(str(file.resolve()), before)


def run(words, folder, monkeypatch):
    """A command of the page, by this python; status, stdout and stderr."""
    monkeypatch.chdir(folder)
    if words[0] == "mpiexec":
        assert words[1] == "-n" and words[3] == "newtonfl"
        ended = launch(int(words[2]), "-m", "newtonfl", *words[4:], timeout=240)
        return ended.status, ended.out, ended.err
    assert words[0] == "newtonfl"
    command = [sys.executable, "-m", "newtonfl", *words[1:]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    return ended.returncode, ended.stdout, ended.stderr


def found(out):
    """What a solve found and counted: all of its table but where and how fast."""
    return [line for line in out.splitlines() if not line.startswith(("clients", "seconds"))]


def test_the_page_has_a_part_and_a_check_of_every_kind():
    for kind in KINDS:
        assert re.search(rf"^\| {kind} \|.*`checks.check_{kind}` \|$", PAGE, re.M), kind
        assert hasattr(checks, f"check_{kind}")
    assert "robust.py" in OTHERS and len(COMMANDS) >= 6


@pytest.mark.parametrize("line", [marked(line) for line in COMMANDS])
def test_every_command_of_the_page_runs(line, folder, monkeypatch):
    if "a1a" in line:
        need("a1a")
    status, out, err = run(shlex.split(line), folder, monkeypatch)
    assert (status, err) == (0, ""), err
    words = {"check": " ok", "solve": "converged", "compare": "1e-12 is reached", "methods": "Settings"}
    assert words[next(word for word in words if f"newtonfl {word}" in line)] in out
    if "newtonfl check" in line:
        assert all(row.endswith(" ok") for row in out.splitlines()) and "broken" not in out


@pytest.mark.mpi
@pytest.mark.parametrize("line", [marked(line) for line in COMMANDS if "newtonfl solve" in line])
def test_every_solve_of_the_page_has_the_same_bits_on_two_ranks(line, folder, monkeypatch):
    if "a1a" in line:
        need("a1a")
    words = shlex.split(line)
    plain = words[words.index("newtonfl") :]
    alone, two = (run([*prefix, *plain], folder, monkeypatch)[1] for prefix in ([], ["mpiexec", "-n", "2"]))
    assert found(alone) == found(two) and any(line.startswith("x_sha256") for line in found(alone))
    assert "on 2 ranks" in two


def test_the_parts_read_back_from_their_texts(folder):
    made = [part.make() for part in parts_of(load_file(folder / "parts.py")) if part.make is not None]
    parts = [part for part in made if isinstance(part, Part)]
    assert {part.kind for part in parts} == set(KINDS[:6])
    for part in parts:
        assert from_spec(part.kind, part.to_spec()) == part


def test_in_python_objects_and_texts_do_alike(folder, monkeypatch):
    """The parts imported, with nothing of the library before them."""
    monkeypatch.chdir(folder)
    program = (
        "from parts import BestRun, Cosine; import newtonfl as nf; p = nf.load('robust.py'); "
        "one = nf.solve(p, nf.newton_3pc(compressor=BestRun(7), basis=Cosine()), rounds=9); "
        "other = nf.solve(p, 'newton-3pc,compressor=best-run:7,basis=cosine', rounds=9); "
        "assert one.x_sha256 == other.x_sha256 and one.rounds == 9"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("r", [0.0, 1e-12, -1e-8, 1e-5, -0.01, 0.4, 0.999, 1.0, -3.0, 40.0, -700.0, 1e4])
def test_the_pages_loss_is_accurate_near_zero_and_in_the_tails(folder, r):
    """Against e^r in 60 digits."""
    loss = load_file(folder / "parts.py").LogCosh()
    with localcontext(prec=60):
        up, down = Decimal(r).exp(), Decimal(-r).exp()
        exact = [((up + down) / 2).ln(), (up - down) / (up + down), 4 / (up + down) ** 2]
    mine = [float(f(np.array([r]), np.zeros(1))[0]) for f in (loss.value, loss.slope, loss.curvature)]
    np.testing.assert_allclose(mine, [float(number) for number in exact], rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("math.ceil(size / self.k))", "math.ceil(size / self.k) - 1)", r"BestRun\(\) .*broken: .*Contractive\(δ = "),
        ("np.log1p(2.0 * np.sinh", "np.log(1.0 + 2.0 * np.sinh", r"LogCosh\(\) .*broken: .*value loses digits"),
        ("4.0 * small /", "4.1 * small /", r"LogCosh\(\) .*broken: "),
        ("self.zeta).constants", "0.1).constants", r"Patient\(.* broken: .*\(A, B\) = "),
        ("points.own + 1.0, 0.0)", "points.own.mean() + 1.0, 0.0)", r"Patient\(.* broken: .*who shares its process"),
        ("fft.idctn", "fft.dctn", r"Cosine\(\) .*broken: "),
        ("return self.width / n_clients", "return 0.9 * self.width / n_clients", r"Turns\(\) .*broken: .*share\(12\)"),
        ("BestRun(30)", "'no-such'", r"patient_newton\(\) .*broken: it could not be made: .*no-such"),
    ],
)
def test_a_broken_copy_is_found(tmp_path, monkeypatch, old, new, words):
    assert PARTS.count(old) == 1
    (tmp_path / "parts.py").write_text(PARTS.replace(old, new), "utf-8")
    status, out, _ = run(["newtonfl", "check", "parts.py"], tmp_path, monkeypatch)
    assert status == 1 and re.search(words, out), out
    assert out.count(" ok\n") == 6
