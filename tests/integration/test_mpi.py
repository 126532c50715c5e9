"""The same answer on any number of ranks, an honest ledger, and no hang: one launch a rank count."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mpi_launch import launch, processes_with
from mpi_programs.same_bits import HANDS
from reference_data import need

pytestmark = [pytest.mark.mpi, pytest.mark.slow, pytest.mark.data]

PROGRAMS = Path(__file__).parents[1] / "support" / "mpi_programs"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def jobs():
    """Every job whose data are at hand, but for the presets."""
    always = ["breast_cancer", "random", "rank", "project", "game", "chunks"]
    at_hand = [name for name in ("a1a", "w8a") if (Path(os.environ.get("NEWTONFL_DATA", "/nowhere")) / name).is_file()]
    return always + at_hand


@pytest.fixture(scope="module")
def in_process():
    """What one process without MPI finds, by job."""
    command = [sys.executable, PROGRAMS / "same_bits.py", *jobs(), *HANDS]
    out = subprocess.run(command, env=ONE_THREAD, capture_output=True, text=True, check=True, timeout=120).stdout
    return {told["job"]: told for told in map(json.loads, out.splitlines())}


def check_ledger(told):
    for way, count in told["counted"].items():
        assert count == told["ledger"]["bytes"][way]["total"], (told["job"], way)


def test_the_ledger_is_what_passed_in_process(in_process):
    for told in in_process.values():
        check_ledger(told)
        assert told["counted"]["up"] > 0 and told["counted"]["setup_up"] > 0


def test_data_for_this_module_are_at_hand():
    """a1a and w8a belong to the promise; without them this says so."""
    need("a1a")
    need("w8a")


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_same_bits_on_any_number_of_ranks(ranks, in_process):
    """x, history and ledger: equal to one process's, also with the clients dealt to the ranks at random."""
    assert found_again(in_process, ranks, jobs()) == set(jobs())


@pytest.mark.parametrize("hand", HANDS)
def test_same_bits_of_the_presets_on_three_ranks(hand, in_process):
    assert found_again(in_process, 3, [hand]) == set(HANDS[hand])


def found_again(in_process, ranks, jobs):
    """The names of the `jobs`, which gave on `ranks` ranks what they gave in process."""
    ended = launch(ranks, PROGRAMS / "same_bits.py", *jobs, timeout=240)
    assert ended.status == 0, ended.err
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert {told["order"] for told in lines} == ({None, 1} if ranks > 1 else {None})
    for told in lines:
        check_ledger(told)
        same = in_process[told["job"]]
        for key in ("x", "rounds", "reason", "history", "ledger", "each"):
            assert told[key] == same[key], (told["job"], told["order"], key)
    return {told["job"] for told in lines}


def test_the_command_line_gives_the_same_run_on_three_ranks(tmp_path):
    """The main job, as a user starts it: history, ledger and x, but for times and the number of ranks."""
    words = ["-m", "newtonfl", "solve", "breast_cancer", "--quiet", "--out"]
    alone = subprocess.run(
        [sys.executable, *words, tmp_path / "alone"], env=ONE_THREAD, capture_output=True, text=True, timeout=60
    )
    spread = launch(3, *words, tmp_path / "spread")
    assert alone.returncode == spread.status == 0, spread.err
    told = {}
    for name in ("alone", "spread"):
        lines = [json.loads(line) for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        result = json.loads((tmp_path / name / "result.json").read_text())
        told[name] = [{**line, "seconds": 0} for line in lines], {**result, "seconds": 0, "ranks": 0}
    assert told["alone"] == told["spread"]
    assert spread.out.count("x_sha256") == 1  # rank 0 alone prints


SILOS = """
[data]
source = "csv:silo_*.csv"
[objective]
loss = "logistic"
l2 = 1e-2
intercept = true
[clients]
split = "files"
"""


def test_every_rank_reads_its_own_clients_files(tmp_path):
    """Five silos on three ranks: the same bits as in process; and a bad file is named with the rank that read it."""
    draw = np.random.Generator(np.random.Philox(8))
    for silo in range(5):
        rows = np.round(draw.standard_normal((6 + silo, 3)), 3)
        labels = (rows.sum(axis=1) > 0).astype(int) if silo else np.zeros(6, int)  # the first holds one class alone
        lines = [",".join(map(str, [*row, label])) for row, label in zip(rows.tolist(), labels, strict=True)]
        (tmp_path / f"silo_{silo}.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "silos.toml").write_text(SILOS)
    words = ["-m", "newtonfl", "solve", tmp_path / "silos.toml", "--quiet", "--out"]
    alone = subprocess.run([sys.executable, *words, tmp_path / "alone"], env=ONE_THREAD, timeout=60)
    spread = launch(3, *words, tmp_path / "spread")
    assert alone.returncode == spread.status == 0, spread.err
    told = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("alone", "spread")]
    assert told[0]["x_sha256"] == told[1]["x_sha256"] and told[0]["n_clients"] == 5
    with (tmp_path / "silo_4.csv").open("a") as file:
        file.write("1,nan,2,1\n")
    ended = launch(3, *words, tmp_path / "bad")
    assert ended.status == 2 and "rank 2" in ended.err and "silo_4.csv" in ended.err, ended.err


@pytest.mark.parametrize("comm", ["", "MPI.COMM_WORLD"])
def test_a_launcher_of_another_mpi_is_noticed(comm):
    """It started three ranks, and this library sees one: three solves of one rank each would pass for one of three."""
    program = f"from mpi4py import MPI; import newtonfl as nf; nf.connect({comm})"
    env = {**ONE_THREAD, "SLURM_STEP_NUM_TASKS": "3"}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "the launcher started 3 ranks, and this process sees 1" in ended.stderr


def test_a_rank_that_comes_late_is_waited_for_and_told_of(tmp_path):
    """Until every rank has called newtonfl nothing else can be known of it; the others say what they wait for."""
    program = tmp_path / "late.py"
    program.write_text(
        "import time, newtonfl.comm.mpi\nfrom mpi4py import MPI\nnewtonfl.comm.mpi_wait._PATIENCE = 0.3\n"
        "time.sleep(2.0 * (MPI.COMM_WORLD.rank == 1))\nprint(newtonfl.comm.mpi.connect().size)"
    )
    ended = launch(2, program)
    assert ended.status == 0 and "".join(ended.out.split()) == "22"  # two ranks may write on one line
    assert ended.err.count("rank 0 has waited 0.3 s for every rank to call newtonfl") == 1
    assert "python -m mpi4py" in ended.err


def test_more_ranks_than_clients_are_refused():
    ended = launch(3, "-m", "newtonfl", "solve", "breast_cancer", "--clients", "2")
    assert ended.status == 2 and "3 ranks and 2 clients" in ended.err


FAULTY = '''
"""Fails on purpose"""
import os, signal, sys
import numpy as np
import newtonfl as nf

def fail():
    if {how!r} == "raise":
        raise ArithmeticError("a fault on purpose")
    if {how!r} == "exit":
        sys.exit(0)
    os.kill(os.getpid(), signal.SIGKILL)

def problem(comm=None):
    if {phase!r} == "load" and comm.rank == {rank}:
        fail()
    seen = set()
    def gradient(i, x):
        seen.add(x.tobytes())
        if comm.rank == {rank} and len(seen) == {{"load": 0, "first": 1, "middle": 6}}[{phase!r}]:
            fail()
        return x * (1 + i) + np.tanh(x - 1)
    return nf.FromFunctions(
        6, 4, lambda i, x: 0.5 * x @ x * (1 + i) + np.log(np.cosh(x - 1)).sum(), gradient,
        lambda i, x: np.diag(1 + i + 1 / np.cosh(x - 1) ** 2), transport=comm, verify=False,
    )
'''


COUNT_WHAT_IS_SENT = """import inspect
        if any(frame.function == "encode" for frame in inspect.stack()):
            seen.add(len(seen))"""
"""In the place of points: the gradients that a rank computes for its messages, two a round."""


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("phase", ["load", "first", "middle"])
@pytest.mark.parametrize("how", ["raise", "exit", "kill"])
def test_one_failing_rank_ends_the_job(tmp_path, how, phase, rank):
    """Non-zero, within 10 s, naming rank and phase where a survivor can speak; nothing left, no result."""
    file = tmp_path / "faulty_on_purpose.py"
    file.write_text(FAULTY.format(how=how, phase=phase, rank=rank))
    begun = time.monotonic()
    ended = launch(
        3, "-m", "newtonfl", "solve", file, "--tol", "0", "--rounds", "50", "--out", tmp_path / "out", timeout=30
    )
    assert time.monotonic() - begun < 10
    assert ended.status != 0
    if how != "kill":  # after kill -9 the launcher names neither
        where = {"load": "running the problem's Python file", "first": "answering evaluate", "middle": "evaluate"}
        assert f"rank {rank}" in ended.err and where[phase] in ended.err, ended.err
    assert not processes_with(str(file))
    assert not (tmp_path / "out" / "result.json").exists()
    if phase == "middle":
        assert len((tmp_path / "out" / "history.jsonl").read_text().splitlines()) >= 3


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("how", ["raise", "exit", "kill"])
def test_a_rank_that_fails_among_neighbours_ends_the_job(tmp_path, how, rank):
    """Before it has sent what its neighbours wait for."""
    file = tmp_path / "faulty_neighbour.py"
    text = FAULTY.format(how=how, phase="middle", rank=rank).replace("seen.add(x.tobytes())", COUNT_WHAT_IS_SENT)
    file.write_text(text)
    words = "--method", "exact-diffusion", "--set", "stepsize=0.1", "--tol", "0", "--rounds", "50"
    ended = launch(3, "-m", "newtonfl", "solve", file, *words, "--out", tmp_path / "out", timeout=30)
    assert ended.status != 0 and not processes_with(str(file))
    if how != "kill":
        assert f"rank {rank}, round 2" in ended.err, ended.err
    assert not (tmp_path / "out" / "result.json").exists()
    assert 3 <= len((tmp_path / "out" / "history.jsonl").read_text().splitlines()) < 10


INTERRUPTED = """
import os, signal
import numpy as np
import newtonfl as nf

comm, seen = nf.connect(), []

def value(i, x):
    seen.append(i)
    if comm.rank == {rank} and len(seen) == 31:  # at the last question before a round: it is kept until that begins
        os.kill(os.getpid(), signal.SIGINT)
    return 0.5 * x @ x

problem = nf.FromFunctions(
    6, 4, value, lambda i, x: x, lambda i, x: np.eye(4), transport=comm, verify=False, client_smoothness=1.0
)
nf.solve(problem, "exact-diffusion,graph=line,stepsize=0.01", tol=0.0, rounds=400, x0=np.ones(4))
"""


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_ctrl_c_on_one_rank_does_not_keep_its_neighbours_waiting(tmp_path, rank):
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED.format(rank=rank))
    ended = launch(3, script, timeout=30)
    assert ended.status != 0 and "KeyboardInterrupt" in ended.err
    assert re.search(rf"rank {rank}, round [78]", ended.err), ended.err


def test_a_plain_script_does_not_hang_on_a_raise(tmp_path):
    """`mpiexec python script.py`, a rank raising outside the library while the others wait in it."""
    script = tmp_path / "plain_script.py"
    script.write_text(
        "import newtonfl as nf\n"
        "from mpi4py import MPI\n"
        "p = nf.load('breast_cancer', comm=MPI.COMM_WORLD)\n"
        "if MPI.COMM_WORLD.rank == 1:\n"
        "    raise ArithmeticError('outside the library')\n"
        "nf.solve(p, nf.newton_3pc())\n"
    )
    ended = launch(3, script, timeout=30)
    assert ended.status != 0
    assert "outside the library" in ended.err
    assert not processes_with(str(script))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_plain_script_does_not_hang_on_an_exit(tmp_path, rank):
    """A rank that leaves outside the library, with status 0 even, while the others wait in it."""
    script = tmp_path / "early_exit.py"
    script.write_text(
        "import sys\n"
        "import newtonfl as nf\n"
        "from mpi4py import MPI\n"
        "p = nf.load('breast_cancer', comm=MPI.COMM_WORLD)\n"
        f"if MPI.COMM_WORLD.rank == {rank}:\n"
        "    sys.exit(0)\n"
        "nf.solve(p, nf.newton_3pc())\n"
    )
    begun = time.monotonic()
    ended = launch(3, script, timeout=30)
    assert time.monotonic() - begun < 10
    assert ended.status != 0
    assert f"rank {rank} ended early" in ended.err
    assert not processes_with(str(script))


def test_a_failing_server_ends_every_rank(tmp_path):
    """A callback runs on rank 0 alone: its failure reaches the others with its own words."""
    script = tmp_path / "failing_callback.py"
    script.write_text(
        "import newtonfl as nf\n"
        "from mpi4py import MPI\n"
        "p = nf.load('breast_cancer', comm=MPI.COMM_WORLD)\n"
        "def callback(record):\n"
        "    if record.round == 3:\n"
        "        raise KeyError('no such thing')\n"
        "try:\n"
        "    nf.solve(p, nf.newton_3pc(), callback=callback)\n"
        "except BaseException as error:\n"
        "    MPI.COMM_WORLD.barrier()\n"
        "    lines = MPI.COMM_WORLD.gather(f'{type(error).__name__}: {error}')\n"
        "    if MPI.COMM_WORLD.rank == 0:\n"
        "        print(*lines, sep='\\n')\n"
    )
    ended = launch(3, script, timeout=30)
    assert ended.status == 0, ended.err
    own, *others = ended.out.splitlines()
    assert own.startswith("KeyError")
    assert len(others) == 2 and all("rank 0" in line and "no such thing" in line for line in others)


def test_long_messages_travel_in_chunks(tmp_path, in_process):
    """With the limit of one MPI call lowered to 1000 bytes the answer is the same."""
    script = tmp_path / "small_chunks.py"
    script.write_text(
        "import sys, runpy\n"
        "import newtonfl.comm.mpi\n"
        "newtonfl.comm.mpi.CHUNK = 1000\n"
        f"sys.argv = ['same_bits', 'chunks']\n"
        f"runpy.run_path({str(PROGRAMS / 'same_bits.py')!r}, run_name='__main__')\n"
    )
    ended = launch(2, script, timeout=60)
    assert ended.status == 0, ended.err
    for line in ended.out.splitlines():
        assert json.loads(line)["x"] == in_process["chunks"]["x"]


MISUSE = """
import numpy as np
import newtonfl as nf
from mpi4py import MPI

world = MPI.COMM_WORLD
p = nf.load("breast_cancer", comm=world)

def refusal(act):
    try:
        act()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"

# Ranks that mean different things.
print(refusal(lambda: nf.solve(p, nf.newton_3pc(compressor=nf.TopK(30 - world.rank)), rounds=3)))
print(refusal(lambda: nf.solve(p, nf.newton_3pc(), seed=world.rank, rounds=3)))
print(refusal(lambda: nf.solve(p, nf.newton_3pc() if world.rank else nf.gd(), rounds=3)))
# A solve inside a solve.
print(refusal(lambda: nf.solve(p, nf.newton_3pc(), rounds=3, callback=lambda record: nf.solve(p, nf.gd()))))
# After all that, the ranks still work together.
print(nf.solve(p, nf.newton_3pc()).x_sha256)
# Many connections to one communicator are one; a part of the ranks is a job of its own.
for _ in range(1500):
    nf.connect(world)
half = world.Split(world.rank == 0, world.rank)
print(nf.solve(nf.load("breast_cancer", comm=half), nf.newton_3pc()).x_sha256)
MPI.Finalize()
"""


def test_misuse_is_refused_on_every_rank_and_does_no_harm(tmp_path, in_process):
    script = tmp_path / "misuse.py"
    log = tmp_path / "rank"
    script.write_text(
        f"import sys\nfrom mpi4py import MPI\nsys.stdout = open(f'{log}{{MPI.COMM_WORLD.rank}}', 'w')\n"
        + MISUSE.replace("MPI.Finalize()", "sys.stdout.close()\nsys.stdout = sys.__stdout__\nMPI.Finalize()")
    )
    ended = launch(3, script, timeout=60)
    assert ended.status == 0, ended.err
    for rank in range(3):
        method, seed, other, nested, same, part = Path(f"{log}{rank}").read_text().splitlines()
        for line in (method, seed, other):
            assert "was given another solve than rank 0" in line
        assert "a solve is under way" in nested
        assert same == part == in_process["breast_cancer"]["x"]


def test_a_python_problem_that_forgets_the_ranks_is_refused(tmp_path):
    (tmp_path / "forgets.py").write_text(
        "import numpy as np\nimport newtonfl as nf\n\ndef problem(comm=None):\n"
        "    return nf.FromFunctions(4, 2, lambda i, x: x @ x / 2, lambda i, x: x, lambda i, x: np.eye(2))\n"
    )
    ended = launch(2, "-m", "newtonfl", "solve", tmp_path / "forgets.py")
    assert ended.status == 2 and "hand comm on" in ended.err


def test_bad_input_has_the_same_status_on_several_ranks():
    ended = launch(2, "-m", "newtonfl", "solve", "breast_cancer", "--set", "compressor=topk:466")
    assert ended.status == 2 and "at most 465" in ended.err
    ended = launch(2, "-m", "newtonfl", "solve", "breast_cancer", "--x0", "optimum+nan")
    assert ended.status == 2 and "optimum+nan" in ended.err
