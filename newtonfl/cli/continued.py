"""compare --continue: what a comparison's folder holds whole is read, and not run again."""

from __future__ import annotations

from newtonfl.cli.run_spec import RunSpec
from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.ledger import Ledger
from newtonfl.comm.transport import Transport
from newtonfl.results.history import History
from newtonfl.results.record import Record
from newtonfl.results.run_folder import Run
from newtonfl.solver.result import Reason, Result
from newtonfl.solver.solve import solve

Key = tuple[str, int]
"""A method's label, and a seed."""

Goal = dict[str, float]
"""The most rounds, and the accuracy: what ends a comparison's runs, and stands in their result.json."""


def whole_runs(plans: dict[Key, RunSpec], goal: Goal, transport: Transport) -> dict[Key, Result]:
    """The results of those of the `plans` whose folders hold them whole. Collective: rank 0 reads.

    A run that a signal or a kill has cut off is not whole. The results have no ledger: their folders have it.

    Raises
    ------
    ValueError
        If a folder holds a run of other settings or data.
    """
    found: dict[Key, Run] = {}
    with transport.agreed("reading --out"):
        if transport.rank == 0:
            found = {key: run for key, plan in plans.items() if (run := _whole(plan, goal))}
    buffer = None
    if transport.rank == 0:
        arrays = {f"{place} x": run.solution() for place, run in enumerate(found.values())}
        runs = [[*key, run.history.to_jsonl(), run.ending] for key, run in found.items()]
        buffer = pack(arrays, runs=runs)
    arrays, values = unpack(transport.broadcast(buffer))
    results = {}
    for place, (label, seed, lines, reason) in enumerate(values["runs"]):
        plan = plans[label, seed]
        history = History([Record.from_json(line) for line in lines.splitlines()])
        ledger = Ledger(plan.problem.n_clients)
        results[label, seed] = Result(arrays[f"{place} x"], Reason[reason], history, ledger, plan.method)
    _check_data(plans, results, transport)
    return results


def _whole(plan: RunSpec, goal: Goal) -> Run | None:
    """The run in the folder of a plan, on rank 0; None where it is not there, or not whole."""
    assert plan.folder is not None
    if not plan.folder.has_result:
        return None
    run = Run.read(plan.folder.path)
    if run.ending == Reason.STOPPED.name and not run.result.get("converged"):
        return None
    rounds, plan.rounds = plan.rounds, run.history[-1].round  # which a comparison's run.toml states
    plan.write(plan.folder)
    same = plan.folder.holds_this_run() and run.goal == goal
    plan.rounds = rounds
    plan.write(plan.folder)
    if not same:
        raise ValueError(
            f"--continue: {plan.folder.path} holds a run of another problem, other settings, or other --rounds or "
            "--accuracy than asked for; give another folder, or --force"
        )
    return run


def _check_data(plans: dict[Key, RunSpec], results: dict[Key, Result], transport: Transport) -> None:
    """Refuse runs that began with other values than they would now: on other rows, or in another environment."""
    if not results:
        return
    plan = plans[next(iter(results))]
    now = solve(plan.problem, plan.method, rounds=0, tol=0.0, x0=plan.x0, seed=plan.seed).history[0]
    with transport.agreed("comparing the start"):
        for key, result in results.items():
            first = result.history[0]
            if (first.f, first.gradient_norm) != (now.f, now.gradient_norm):
                raise ValueError(
                    f"--continue: the run of {key[0]}, seed {key[1]}, began with f = {first.f!r}, and now it is "
                    f"{now.f!r}: the data have changed, or what computes with them; give another folder, or --force"
                )
