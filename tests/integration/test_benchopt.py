"""benchmarks/benchopt: every solver comes to the minimum on its data sets. A stand-in takes benchopt's place here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from reference_data import need

FOLDER = Path(__file__).parents[2] / "benchmarks" / "benchopt"
SOLVERS = sorted(path.stem for path in (FOLDER / "solvers").glob("*.py"))
DATASETS = ("breast_cancer", "simulated")


class Base:
    """What benchopt's base classes do that these use: the parameters' values are attributes."""

    parameters: dict = {}  # noqa: RUF012

    def __init__(self, **values):
        for names, first in self.parameters.items():
            split = names.split(", ")
            for name, value in zip(split, first[0] if len(split) > 1 else [first[0]], strict=True):
                setattr(self, name, values.get(name, value))


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    module = ModuleType("benchopt")
    module.BaseDataset = module.BaseObjective = module.BaseSolver = Base
    monkeypatch.setitem(sys.modules, "benchopt", module)


def loaded(path):
    spec = importlib.util.spec_from_file_location(f"benchopt_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_comes_to_the_minimum(solver, dataset):
    objective = loaded(FOLDER / "objective.py").Objective()
    objective.set_data(**loaded(FOLDER / "datasets" / f"{dataset}.py").Dataset().get_data())
    made = loaded(FOLDER / "solvers" / f"{solver}.py").Solver()
    made.set_objective(**objective.get_objective())
    getattr(made, "warm_up", lambda: None)()
    first = objective.evaluate_result(**objective.get_one_result())
    assert first["value"] == pytest.approx(np.log(2.0))
    made.run(400)
    last = objective.evaluate_result(**made.get_result())
    assert last["gradient_norm"] < 1e-6 * first["gradient_norm"]
    assert np.isfinite(last["kilobytes_a_client"]) == (solver == "newtonfl_methods")


@pytest.mark.data
def test_libsvm_files():
    need("a1a")
    dataset = loaded(FOLDER / "datasets" / "libsvm.py").Dataset()
    dataset.prepare()
    found = dataset.get_data()
    assert found["X"].shape[0] == len(found["y"]) == 1605 and set(found["y"]) == {-1.0, 1.0}


def test_a_libsvm_file_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NEWTONFL_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="a1a: no such file; NEWTONFL_DATA names the folder"):
        loaded(FOLDER / "datasets" / "libsvm.py").Dataset().prepare()
