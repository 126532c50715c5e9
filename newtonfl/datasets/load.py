"""load(): a problem file or a catalogue name → the Problem, its rows handed to the ranks that hold its clients."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from newtonfl.comm.packets import pack, unpack
from newtonfl.comm.transport import InProcess, Transport, enough_clients
from newtonfl.core.backend import Array, empty_on, pick_device
from newtonfl.datasets.build import assemble
from newtonfl.datasets.catalogue import catalogue, find
from newtonfl.objectives.base import Problem
from newtonfl.objectives.losses import Loss

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

    Rank 0 reads one file and hands out rows; of several files, one a client, each is read by its client's rank. Nothing
    of that is on the ledger.

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
        If a file is missing, or what it or an argument says is not allowed: every mistake with file and key.
    Fault
        If that happened on another rank; the message names the rank.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.load("breast_cancer", clients=8).n_clients
    8
    """
    transport = connected(comm)
    path, file = open_problem(problem, transport, clients, l2, nonconvex)
    return build(path, file, transport, device)


def open_problem(
    problem: str | Path,
    transport: Transport,
    clients: int | None = None,
    l2: float | None = None,
    nonconvex: float | None = None,
) -> tuple[Path, ProblemFile | PythonRun]:
    """Find and check the problem on rank 0, and tell every rank; what :func:`build` needs."""
    from newtonfl.datasets.problem_file import ProblemFile, PythonRun, check_numbers, read

    with transport.agreed("reading the problem file"):
        told = b""
        if transport.rank == 0:
            path = find(problem)
            check_numbers(clients, l2, nonconvex)
            numbers = {"clients": clients, "l2": l2, "nonconvex": nonconvex}
            given = {key: value for key, value in numbers.items() if value is not None}
            file = PythonRun(problem=str(path), arguments=given) if path.suffix == ".py" else read(path)
            if isinstance(file, PythonRun) and path.suffix == ".toml":
                known = str(_known_python(file, path))
                file = file.model_copy(update={"problem": known, "arguments": {**file.arguments, **given}})
            elif isinstance(file, ProblemFile):
                file = file.replaced(clients, l2, nonconvex)
            kind = type(file).__name__
            told = pack({}, path=str(path), kind=kind, file=file.model_dump_json())
    facts = unpack(transport.broadcast(told if transport.rank == 0 else None))[1]
    model = PythonRun if facts["kind"] == "PythonRun" else ProblemFile
    opened = model.model_validate_json(facts["file"])
    opened._where = facts["path"]
    return Path(facts["path"]), opened


def _known_python(file: PythonRun, path: Path) -> Path:
    """The catalogue's Python problem that a run.toml names; Python from elsewhere runs only when it is given itself."""
    known = catalogue().get(file.problem)
    if known is None or known.suffix != ".py":
        raise ValueError(
            f"{path}: this run's problem is Python code, {file.problem}, and a settings file does not run code. "
            "Give that path to newtonfl solve, with the [method] and [run] of this file as options"
        )
    return known


def build(path: Path, file: ProblemFile | PythonRun, transport: Transport, device: str) -> Problem:
    """The problem that was opened, its rows on the ranks that hold its clients."""
    from newtonfl.datasets.problem_file import PythonRun

    with transport.agreed("choosing the device"):
        device = pick_device(device)
    if isinstance(file, PythonRun):
        with transport.agreed("running the problem's Python file"):
            made = _run_python(Path(file.problem), transport, file.arguments, device)
    else:
        made = _from_file(file, path.parent, transport, device)
    with transport.agreed("spreading the clients"):
        enough_clients(transport.size, made.n_clients)
    return made


def connected(comm: Any) -> Transport:
    """The transport that `comm` stands for: itself, one over an MPI communicator, or this process alone for None."""
    if comm is None:
        return InProcess()
    if isinstance(comm, Transport):
        return comm
    from newtonfl.comm.mpi import connect

    return connect(comm)


def _run_python(path: Path, transport: Transport, given: dict[str, Any], device: str) -> Problem:
    """Call ``problem(comm=…)`` of a Python file."""
    if device != "cpu":
        raise ValueError(f"device: given {device}, {path.name} builds its problem itself and decides where it lives")
    spec = importlib.util.spec_from_file_location(f"newtonfl_problem_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # find() has seen that it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: not Python: {error.msg}") from None
    make = getattr(module, "problem", None)
    if not callable(make):
        raise ValueError(f"{path}: a Python problem file must define problem(comm=None)")
    for key, value in given.items():
        if key not in inspect.signature(make).parameters:
            raise ValueError(f"{key}: given {value}, and problem() of {path} takes no argument of that name")
    made = make(comm=None if isinstance(transport, InProcess) else transport, **given)
    if not isinstance(made, Problem):
        raise TypeError(f"{path}: problem() must return a newtonfl Problem, returned {type(made).__name__}")
    if transport.size > 1 and made.transport is None:
        raise ValueError(f"{path}: problem(comm) must hand comm on, as in FromFunctions(…, transport=comm)")
    made.title = ((module.__doc__ or "").strip() or made.title or path.stem).splitlines()[0]
    return made


def _from_file(file: ProblemFile, folder: Path, transport: Transport, device: str) -> Problem:
    """The problem that a checked file states."""
    from newtonfl.datasets import partition

    whole = file.clients.split != "files"
    with transport.agreed("reading the data"):
        like = empty_on(device)
        found = partition.client_sources(file, folder) if transport.rank == 0 or not whole else []
    if whole:
        with transport.agreed("reading the data"):
            shares = scatter_rows(file, folder, transport) if transport.rank == 0 else None
        arrays, facts = unpack(transport.scatter(shares))
    else:
        arrays, facts = _read_own(file, folder, found, transport)
    rows = (
        scipy.sparse.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(facts["shape"]))
        if "data" in arrays
        else arrays["rows"]
    )
    objective = file.objective
    return assemble(
        rows, arrays["labels"], arrays["sizes"], _loss(file), clients=arrays["clients"], n_clients=facts["n_clients"],
        total=facts["total"], transport=transport, l2=objective.l2, nonconvex=objective.nonconvex,
        intercept=objective.intercept, penalise_intercept=objective.penalise_intercept, like=like,
        f_star=file.reference.f_star, title=file.title or "",
    )  # fmt: skip


def scatter_rows(file: ProblemFile, folder: Path, transport: Transport) -> list[bytes]:
    """Rank 0's part: every rank's rows as bytes."""
    from newtonfl.datasets import partition

    table, parts = partition.rows(file, folder)
    total = int(sum(len(part) for part in parts))
    shares = []
    for clients in transport.shares(len(parts)):
        held = [parts[client] for client in clients]
        index = np.concatenate(held) if held else np.zeros(0, np.int64)
        arrays = {**_as_arrays(table.rows[index]), "labels": table.labels[index],
                  "sizes": np.array([len(part) for part in held], np.int64), "clients": clients}  # fmt: skip
        shape = (len(index), table.rows.shape[1])
        shares.append(pack(arrays, shape=shape, total=total, n_clients=len(parts)))
    return shares


def _read_own(
    file: ProblemFile, folder: Path, found: list[str], transport: Transport
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Every rank's part where each client has a file: read its own, agree with the others."""
    from newtonfl.datasets import partition

    clients = transport.share(len(found))
    with transport.agreed("reading the data"):
        tables = [partition.silo(file, folder, found[client]) for client in clients]
        mine = [asdict(partition.summary(file, table)) for table in tables]
    told = transport.gather(pack({"clients": clients}, summaries=mine))
    with transport.agreed("reading the data"):
        if transport.rank == 0:
            by_client: dict[int, dict[str, Any]] = {}
            for arrays, facts in map(unpack, told):
                by_client.update(zip(arrays["clients"].tolist(), facts["summaries"], strict=True))
            summaries = [partition.Summary(**by_client[client]) for client in range(len(found))]
            agreement = asdict(partition.agree(file, summaries))
    told_all = transport.broadcast(pack({}, **agreement) if transport.rank == 0 else None)
    agreed = partition.Agreement(**unpack(told_all)[1])
    with transport.agreed("reading the data"):
        tables = [partition.finish(file, table, agreed) for table in tables]
        rows = [table.rows for table in tables]
        stacked = np.concatenate(rows) if agreed.dense else scipy.sparse.vstack(rows, format="csr")
        labels = np.concatenate([table.labels for table in tables])
        sizes = np.array([len(table.labels) for table in tables], np.int64)
    counts = transport.gather(pack({}, rows=len(labels)))
    total = sum(unpack(count)[1]["rows"] for count in counts)
    total = unpack(transport.broadcast(pack({}, total=total) if transport.rank == 0 else None))[1]["total"]
    arrays = {**_as_arrays(stacked), "labels": labels, "sizes": sizes, "clients": clients}
    return arrays, {"shape": stacked.shape, "total": total, "n_clients": len(found)}


def _as_arrays(rows: Array) -> dict[str, Array]:
    if scipy.sparse.issparse(rows):
        return {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}
    return {"rows": rows}


def _loss(file: ProblemFile) -> Loss:
    return file.objective.part
