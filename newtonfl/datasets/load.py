"""load(): a problem file or a catalogue name → the Problem, its rows on the ranks that hold its clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.transport import InProcess, Transport, enough_clients
from newtonfl.core.backend import pick_device
from newtonfl.datasets.catalogue import find
from newtonfl.datasets.python_problem import known_python, run_python
from newtonfl.objectives.base import Problem

if TYPE_CHECKING:
    from newtonfl.datasets.problem_file import ProblemFile, PythonRun


def load(
    problem: str | Path,
    *,
    comm: Any = None,
    clients: int | None = None,
    l2: float | None = None,
    nonconvex: float | None = None,
    device: str = "cpu",
) -> Problem:
    """The problem that a file states.

    Rank 0 reads a single file and sends each rank its rows; of several files, one a client, each is read by the rank of
    its client. None of this is on the ledger.

    Parameters
    ----------
    problem : str or Path
        A problem file, .toml or .py, or a name of the catalogue. Python is run.
    comm : mpi4py.MPI.Comm, Transport or None
        Where to spread the clients; every rank then calls this. None keeps them in this process.
    clients : int or None
        Instead of the file's number of clients.
    l2 : float or None
        Instead of the file's λ.
    nonconvex : float or None
        Instead of the file's ρ: ρ Σ x_j²/(1 + x_j²) is added to every client's function.
    device : {"cpu", "cuda", "auto"}
        Where rows, Hessians and steps live.

    Returns
    -------
    Problem
        With its rows on the ranks that hold its clients.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, or a value in it or of an argument is not allowed: every mistake with file and key.
    Fault
        If that happened on another rank; the message names the rank.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.load("breast_cancer", clients=8).n_clients
    8
    """
    transport = connected(comm)
    with transport.keeping_interrupts():
        path, file = open_problem(problem, transport, clients, l2, nonconvex)
        return build(path, file, transport, device)


def open_problem(
    problem: str | Path,
    transport: Transport,
    clients: int | None = None,
    l2: float | None = None,
    nonconvex: float | None = None,
) -> tuple[Path, ProblemFile | PythonRun]:
    """Find and check the problem on rank 0, and send it to every rank; what :func:`build` needs."""
    from newtonfl.datasets.problem_file import ProblemFile, PythonRun, check_numbers
    from newtonfl.datasets.problem_reader import read

    with transport.agreed("reading the problem file"):
        opened = b""
        if transport.rank == 0:
            path = find(problem)
            check_numbers(clients, l2, nonconvex)
            numbers = {"clients": clients, "l2": l2, "nonconvex": nonconvex}
            arguments = {key: value for key, value in numbers.items() if value is not None}
            file = PythonRun(problem=str(path), arguments=arguments) if path.suffix == ".py" else read(path)
            if isinstance(file, PythonRun) and path.suffix == ".toml":
                known = str(known_python(file, path))
                file = file.model_copy(update={"problem": known, "arguments": {**file.arguments, **arguments}})
            elif isinstance(file, ProblemFile):
                file = file.replaced(clients, l2, nonconvex)
            opened = pack({}, path=str(path), kind=type(file).__name__, file=file.model_dump_json())
    values = unpack(transport.broadcast(opened if transport.rank == 0 else None))[1]
    model = PythonRun if values["kind"] == "PythonRun" else ProblemFile
    loaded = model.model_validate_json(values["file"])
    loaded._where = values["path"]
    return Path(values["path"]), loaded


def build(path: Path, file: ProblemFile | PythonRun, transport: Transport, device: str) -> Problem:
    """The problem that was opened, its rows on the ranks that hold its clients."""
    from newtonfl.datasets.problem_file import PythonRun

    with transport.agreed("choosing the device"):
        device = pick_device(device)
    clients = "clients"
    if isinstance(file, PythonRun):
        with transport.agreed("running the problem's Python file"):
            try:
                made = run_python(Path(file.problem), transport, file.arguments, device)
            except ValueError as error:
                error.add_note(f"as {path} asks")
                raise
    else:
        made = _from_file(file, path.parent, transport, device)
        clients = "files, one a client" if file.clients.split == "files" else clients
    with transport.agreed("spreading the clients"):
        enough_clients(transport.size, made.n_clients, clients)
    return made


def connected(comm: Any) -> Transport:
    """The transport that `comm` stands for: itself, one over an MPI communicator, or this process alone for None."""
    if comm is None:
        return InProcess()
    if isinstance(comm, Transport):
        return comm
    from newtonfl.comm.mpi import connect

    return connect(comm)


def _from_file(file: ProblemFile, folder: Path, transport: Transport, device: str) -> Problem:
    """The problem that a checked file states."""
    from newtonfl.datasets.partition import distribute_file

    objective = file.objective
    with file.clients.guard:
        federation = distribute_file(file, folder, transport)
        made: Problem = federation.problem(
            federation.labels, None, objective.part, device=device, l2=objective.l2, nonconvex=objective.nonconvex,
            intercept=objective.intercept, penalise_intercept=objective.penalise_intercept,
            f_star=file.reference.f_star, title=file.title or "",
        )  # fmt: skip
        if objective.personal:
            with transport.agreed("taking the personal columns apart"):
                made = made.personal(objective.personal, l2=objective.personal_l2)
                made.f_star = file.reference.f_star  # the file's value is that of what it states
        return made
