"""Ctrl-C and SIGTERM: a command's rounds end with a result, anything else ends at once; a script gets its exception."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mpi_launch import Launched, begin, end, heed_ctrl_c

from newtonfl.results.history import History

ENDLESS = '''
"""Rounds without end"""
import os
import time
from pathlib import Path
import numpy as np
import newtonfl as nf

def problem(comm=None):
    rank = 0 if comm is None else comm.rank
    Path(__file__).with_name(f"rank{rank}").write_text(str(os.getpid()))
    time.sleep(READING)
    def gradient(i, x):
        time.sleep(ROUND)
        return x * 1e-3
    return nf.FromFunctions(4, 2, lambda i, x: x @ x * 5e-4, gradient, lambda i, x: np.eye(2) * 1e-3, transport=comm,
                           verify=False)
'''
WORDS = ["--tol", "0", "--x0", "start.npy", "--rounds", "1000000", "--quiet", "--out", "out"]
GD = ["--method", "gd", "--set", "stepsize=1e-3"]


@pytest.fixture
def folder(tmp_path):
    """Where a command runs on a problem whose rounds do not end."""
    (tmp_path / "endless.py").write_text(ENDLESS.replace("READING", "0.0").replace("ROUND", "0.005"))
    np.save(tmp_path / "start.npy", np.ones(2))
    return tmp_path


def run(folder: Path, ranks: int, words: list[str]) -> subprocess.Popen[str]:
    """A command that runs, in one process where `ranks` is 0."""
    program = ["-c", f"import os, sys; os.chdir({str(folder)!r}); from newtonfl.cli.main import main; main()", *words]
    if ranks:
        return begin(ranks, *program)
    return subprocess.Popen(
        [sys.executable, *program], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, preexec_fn=heed_ctrl_c,
    )  # fmt: skip


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not happens():
        assert time.monotonic() < deadline, "never came so far"
        time.sleep(0.02)


def has_lines(path: Path, least: int = 3) -> bool:
    return path.exists() and path.read_text().count("\n") >= least


def stopped(folder: Path, ranks: int, number: int, whom: str, words: list[str], history: str) -> Launched:
    """How a command ends that gets a signal in its rounds: its launcher, its whole group or one rank."""
    job = run(folder, ranks, words)
    wait_until(lambda: has_lines(folder / history))
    match whom:
        case "group":
            os.killpg(job.pid, number)
        case "launcher":
            os.kill(job.pid, number)
        case rank:
            os.kill(int((folder / rank).read_text()), number)
    return end(job, 30)


def check_stopped(ended: Launched, out: Path, number: int) -> None:
    """One line, the status of the signal, a whole history, and the last iterate with a result that says why."""
    name = signal.Signals(number).name
    assert ended.status == 128 + number, ended
    assert ended.err == f"newtonfl: {name}: this round ends, and then the run; once more ends it at once\n"
    result, history = json.loads((out / "result.json").read_text()), History.read(out / "history.jsonl")
    assert result["reason"] == "stopped, as a callback or a signal asked for" and result["notes"][0].startswith(
        f"{name} came in round"
    )
    assert result["rounds"] == history[-1].round == len(history) - 1
    x = np.load(out / "x.npy")
    # From (1, 1) each round of gradient descent on 5e-4 ‖x‖² multiplies x by 1 - 1e-3 · 1e-3.
    np.testing.assert_allclose(x, (1 - 1e-6) ** result["rounds"], rtol=1e-9)
    assert not (out / ".newtonfl.lock").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_solve_in_one_process_is_written_as_far_as_it_came(folder, number):
    ended = stopped(folder, 0, number, "launcher", ["solve", "endless.py", *GD, *WORDS], "out/history.jsonl")
    check_stopped(ended, folder / "out", number)
    assert "stopped, as a callback or a signal asked for" in ended.out


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "number", "whom"),
    [
        (1, signal.SIGINT, "launcher"),
        (3, signal.SIGINT, "launcher"),
        (3, signal.SIGTERM, "group"),
        (3, signal.SIGINT, "rank0"),
        (3, signal.SIGTERM, "rank2"),
    ],
)
def test_a_signal_to_ranks_stops_all_of_them_well(folder, ranks, number, whom):
    ended = stopped(folder, ranks, number, whom, ["solve", "endless.py", *GD, *WORDS], "out/history.jsonl")
    check_stopped(ended, folder / "out", number)


@pytest.mark.parametrize("ranks", [0, pytest.param(3, marks=[pytest.mark.mpi, pytest.mark.slow])])
def test_a_comparison_keeps_what_ended_and_what_was_begun(folder, ranks):
    methods = ["newton", "gd,stepsize=1e-3", "gd,stepsize=1e-4"]
    words = ["compare", "endless.py", "--methods", *methods, *WORDS[2:]]
    ended = stopped(folder, ranks, signal.SIGINT, "launcher", words, "out/gd_stepsize=1e-3/history.jsonl")
    assert "gd,stepsize=1e-4" not in ended.out and "newton" in ended.out  # the table of what there is
    check_stopped(ended, folder / "out" / "gd_stepsize=1e-3", signal.SIGINT)
    assert (folder / "out" / "newton" / "result.json").exists()
    assert not (folder / "out" / "gd_stepsize=1e-4").exists()  # not begun


@pytest.mark.parametrize(
    ("ranks", "whom"),
    [
        (0, "launcher"),
        pytest.param(3, "launcher", marks=[pytest.mark.mpi, pytest.mark.slow]),
        pytest.param(3, "rank1", marks=[pytest.mark.mpi, pytest.mark.slow]),
    ],
)
def test_before_the_first_round_a_command_ends_at_once(folder, ranks, whom):
    (folder / "endless.py").write_text(ENDLESS.replace("READING", "60.0"))
    job = run(folder, ranks, ["solve", "endless.py", *WORDS])
    wait_until(lambda: all((folder / f"rank{rank}").exists() for rank in range(max(ranks, 1))))
    os.kill(job.pid if whom == "launcher" else int((folder / whom).read_text()), signal.SIGINT)
    ended = end(job, 10)
    # mpiexec kills the other ranks, and now and then reports that
    assert ended.status == 130 or (ranks and ended.status == 9)
    assert ended.err == "newtonfl: SIGINT: stopped before the first round\n"
    assert not (folder / "out").exists()


@pytest.mark.parametrize("ranks", [0, pytest.param(3, marks=[pytest.mark.mpi, pytest.mark.slow])])
def test_a_second_signal_ends_a_long_round_at_once(folder, ranks):
    (folder / "endless.py").write_text(ENDLESS.replace("READING", "0.0").replace("ROUND", "60.0 * (x[0] < 1)"))
    job = run(folder, ranks, ["solve", "endless.py", *GD, *WORDS])
    wait_until(
        lambda: (folder / "out" / "history.jsonl").exists() and (folder / "out" / "history.jsonl").stat().st_size > 0
    )
    time.sleep(0.3)
    os.kill(int((folder / "rank0").read_text()), signal.SIGINT)
    time.sleep(1.0)
    assert job.poll() is None  # the round is not over
    os.kill(int((folder / "rank0").read_text()), signal.SIGINT)
    ended = end(job, 10)
    assert ended.status == 130 or (ranks and ended.status == 9)
    assert len(ended.err.splitlines()) == 1 and has_no_result(folder / "out")
    assert run_again(folder) == 0  # the lock of a job that ended so holds nobody up


def has_no_result(out: Path) -> bool:
    return not (out / "result.json").exists() and not (out / "x.npy").exists()


def run_again(folder: Path) -> int:
    words = [
        "solve",
        "endless.py",
        "--method",
        "newton",
        "--rounds",
        "0",
        *WORDS[2:4],
        "--quiet",
        "--out",
        "out",
        "--force",
    ]
    (folder / "endless.py").write_text(ENDLESS.replace("READING", "0.0").replace("ROUND", "0.0"))
    return end(run(folder, 0, words), 30).status


def test_a_signal_that_was_ignored_stays_so(folder):
    """As after nohup, or for what a script starts in its background."""
    program = (
        f"import os, signal; os.chdir({str(folder)!r}); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from newtonfl.cli.main import main; main()"
    )
    words = ["solve", "endless.py", *GD, "--rounds", "100", *WORDS[:4], "--quiet", "--out", "out"]
    job = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL)
    wait_until(lambda: has_lines(folder / "out" / "history.jsonl"))
    os.kill(job.pid, signal.SIGINT)
    assert job.wait(30) == 0
    assert json.loads((folder / "out" / "result.json").read_text())["rounds"] == 100


@pytest.mark.mpi
@pytest.mark.slow
def test_of_ranks_that_get_a_signal_while_they_import_one_speaks(folder):
    program = (
        "import os, signal, sys\nclass Interrupting:\n    def find_spec(self, name, path, target=None):\n"
        "        if name == 'newtonfl.comm.transport':\n            os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.meta_path.insert(0, Interrupting())\nos.chdir({str(folder)!r})\n"
        "from newtonfl.cli.main import main\nmain()"
    )
    ended = end(begin(3, "-c", program, "solve", "endless.py", *WORDS), 30)
    assert ended.status in (130, 9) and ended.err == "newtonfl: SIGINT: stopped before the first round\n"


def test_a_signal_while_the_folder_is_opened_leaves_it_closed(folder):
    """It lets the first round end: the folder then holds a result, and no lock."""
    program = (
        "import newtonfl.results.folder_lock as folder_lock, os, signal\nheld = folder_lock._held\n"
        "def held_and_interrupted(*of):\n    file = held(*of)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return file\nfolder_lock._held = held_and_interrupted\n"
        f"os.chdir({str(folder)!r})\nfrom newtonfl.cli.main import main\nmain()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "solve", "endless.py", *GD, *WORDS], capture_output=True, text=True, timeout=60
    )
    check_stopped(Launched(ended.returncode, ended.stdout, ended.stderr), folder / "out", signal.SIGINT)


def test_a_signal_after_a_command_changes_nothing(folder):
    """While Python ends, which takes a while; a caller of main(argv) that goes on gets its own handlers back."""
    program = (
        "import atexit, os, signal, sys\nfrom newtonfl.cli.main import main\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n"
        "    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\nmain()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "methods", "gd"], capture_output=True, text=True, timeout=60,
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    assert ended.returncode == 0 and ended.stderr == "" and ended.stdout.count("True\n") == 1, ended


SCRIPT = """
import os, sys, time
from pathlib import Path
import newtonfl as nf
from newtonfl.comm.launcher import launched
comm = None
if launched():
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
folder = Path(sys.argv[1])
(folder / f"rank{0 if comm is None else comm.rank}").write_text(str(os.getpid()))
p = nf.load("breast_cancer", clients=4, comm=comm)
def callback(record):
    if record.round == 3:
        (folder / "begun").write_text("")
caught = "nothing"
try:
    nf.solve(p, "gd", tol=0.0, rounds=10**8, callback=callback)
except BaseException as error:
    caught = type(error).__name__
try:
    time.sleep(0.5)  # a launcher's signal may reach this rank after another's fault has
except KeyboardInterrupt:
    pass
line = f"{caught} {nf.solve(p, 'newton', rounds=3).rounds}"  # the ranks still work together
lines = [line] if comm is None else comm.gather(line)
if lines is not None:
    print(*lines, sep="\\n")
"""


@pytest.mark.parametrize(
    ("ranks", "whom", "caught"),
    [
        (0, "launcher", {"KeyboardInterrupt"}),
        pytest.param(3, "launcher", {"KeyboardInterrupt", "Fault"}, marks=[pytest.mark.mpi, pytest.mark.slow]),
        pytest.param(3, "rank1", {"KeyboardInterrupt", "Fault"}, marks=[pytest.mark.mpi, pytest.mark.slow]),
        pytest.param(3, "rank0", {"KeyboardInterrupt", "Fault"}, marks=[pytest.mark.mpi, pytest.mark.slow]),
    ],
)
def test_a_script_gets_its_keyboard_interrupt(tmp_path, ranks, whom, caught):
    """And on ranks none hangs: whoever got no signal gets a Fault, and all can go on."""
    (tmp_path / "script.py").write_text(SCRIPT)
    words = [tmp_path / "script.py", tmp_path]
    job = (
        begin(ranks, *words)
        if ranks
        else subprocess.Popen(
            [sys.executable, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_ctrl_c
        )
    )
    wait_until((tmp_path / "begun").exists)
    os.kill(job.pid if whom == "launcher" else int((tmp_path / whom).read_text()), signal.SIGINT)
    ended = end(job, 30)
    lines = [line for line in ended.out.splitlines() if not line.startswith("[mpiexec")]
    assert ended.status == 0 and len(lines) == max(ranks, 1), ended
    kinds = {line.split()[0] for line in lines}
    assert "KeyboardInterrupt" in kinds and kinds <= caught and all(line.endswith(" 3") for line in lines), lines


BETWEEN = """
import os, signal, sys
import numpy as np
from mpi4py import MPI
import newtonfl as nf
import newtonfl.datasets.from_arrays, newtonfl.datasets.load, newtonfl.estimators.base, newtonfl.experiments.compare
import newtonfl.solver.optimum
from newtonfl.estimators import FederatedLogisticRegression
comm = MPI.COMM_WORLD
X = np.random.default_rng(0).standard_normal((40, 3))
y = np.sign(X[:, 0] + X[:, 1] ** 2 - 0.5)
p = nf.load("breast_cancer", clients=4, comm=comm)

def interrupted(module, name, work, times=1):
    \"\"\"What `work` raises where rank 1 gets Ctrl-C between two calls that all ranks make: as `name` is called.\"\"\"
    whole = getattr(module, name)
    def interrupt(*args, **keywords):
        for _ in range(times * (comm.rank == 1)):
            os.kill(os.getpid(), signal.SIGINT)
        return whole(*args, **keywords)
    setattr(module, name, interrupt)
    try:
        work()
    except BaseException as error:
        return type(error).__name__
    finally:
        setattr(module, name, whole)

found = [
    interrupted(nf.datasets.load, "build", lambda: nf.load("breast_cancer", clients=4, comm=comm)),
    interrupted(sys.modules["newtonfl.datasets.from_arrays"], "distribute_arrays",
                lambda: nf.from_arrays(X, y, clients=4, l2=0.1, comm=comm)),
    interrupted(nf.estimators.base, "distribute_arrays",
                lambda: FederatedLogisticRegression(0.1, clients=4, ranks="same").fit(X, y)),
    interrupted(sys.modules["newtonfl.experiments.compare"], "run_methods", lambda: nf.compare(p, ["newton"])),
    interrupted(sys.modules["newtonfl.solver.optimum"], "Session", lambda: nf.optimum(p)),
]
lines = comm.gather(f"{' '.join(map(str, found))} {nf.solve(p, 'newton', rounds=3).rounds}")
if lines is not None:
    print(*lines, sep="\\n", flush=True)
if sys.argv[1:]:
    interrupted(nf.datasets.load, "build", lambda: nf.load("breast_cancer", clients=4, comm=comm), 2)
    nf.solve(p, "newton")
"""


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True])
def test_a_ctrl_c_between_the_calls_of_all_ranks_is_kept(tmp_path, twice):
    """Raised there it would leave the others in a load, a fit or a comparison. A second one does so: the job ends."""
    (tmp_path / "script.py").write_text(BETWEEN)
    ended = end(begin(2, tmp_path / "script.py", *["twice"] * twice), 30)
    assert sorted(ended.out.splitlines())[-2:] == ["Fault " * 5 + "3", "KeyboardInterrupt " * 5 + "3"], ended
    if twice:
        assert ended.status and "a second Ctrl-C took this rank out of a call that the others are still in" in ended.err
    else:
        assert ended.status == 0 and not ended.err
