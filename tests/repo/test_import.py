"""What `import newtonfl` costs, in fresh processes."""

from __future__ import annotations

import json
import pkgutil
import statistics
import subprocess
import sys
from types import ModuleType

import pytest

import newtonfl as nf

PROGRAM = """
import json, sys, time
import numpy, scipy
begun = time.process_time()
import pytest

import newtonfl
seconds = time.process_time() - begun
{use}
print(json.dumps([seconds, sorted(sys.modules)]))
"""
HEAVY = ("mpi4py", "cupy", "numba", "matplotlib", "sklearn", "pandas")


def fresh(use=""):
    """CPU seconds of the import, and the modules that are there after `use` as well."""
    out = subprocess.run([sys.executable, "-c", PROGRAM.format(use=use)], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def test_importing_takes_a_fifth_of_a_second_at_most():
    """CPU beyond importing numpy and scipy, the median of five; and nothing heavy comes along."""
    runs = [fresh() for _ in range(5)]
    assert statistics.median(seconds for seconds, _ in runs) <= 0.2
    assert not [name for name in runs[0][1] if name.split(".")[0] in HEAVY]


def test_a_solve_imports_nothing_heavy():
    """On functions; scikit-learn comes with the estimators and with most of its own data sets alone."""
    use = (
        "p = newtonfl.FromFunctions(2, 2, lambda i, x: x @ x / 2, lambda i, x: x, lambda i, x: numpy.eye(2))\n"
        "assert newtonfl.solve(p, newtonfl.newton_3pc(compressor=newtonfl.TopK(1)), x0=[1.0, 2.0]).converged"
    )
    assert not [name for name in fresh(use)[1] if name.split(".")[0] in HEAVY]
    estimators = {name.split(".")[0] for name in fresh("newtonfl.FederatedRidge")[1]}
    assert "sklearn" in estimators and not estimators & {"mpi4py", "cupy", "numba", "matplotlib"}


@pytest.mark.parametrize("problem", ["breast_cancer", "a.toml"])
def test_a_first_solve_of_a_file_takes_a_second_at_most(tmp_path, monkeypatch, problem):
    """CPU of the import, the load and the solve beyond importing numpy and scipy, the median of three."""
    (tmp_path / "a.svm").write_text("1 1:1 3:.5\n0 2:1\n1 2:1 3:-1\n0 1:2 # four rows\n")
    (tmp_path / "a.toml").write_text(
        '[data]\nsource = "libsvm:./a.svm"\n[objective]\nloss = "logistic"\nl2 = 0.1\n[clients]\ncount = 2\n'
    )
    monkeypatch.chdir(tmp_path)
    use = (
        f"assert newtonfl.solve(newtonfl.load({problem!r}), 'newton-3pc').converged\n"
        "seconds = time.process_time() - begun"
    )
    runs = [fresh(use) for _ in range(3)]
    assert statistics.median(seconds for seconds, _ in runs) <= 1.0
    unneeded = (*HEAVY, "narwhals", "pooch", "tqdm")
    assert not [name for name in runs[0][1] if name.split(".")[0] in unneeded]


def test_no_name_is_a_modules_too():
    """Whichever came first would win: a function by its name, or the module once something imports it."""
    modules = {module.name for module in pkgutil.iter_modules(nf.__path__)}
    names = {name for name in nf.__all__ if not isinstance(getattr(nf, name), ModuleType)}
    assert "solver" in modules and not modules & names and set(nf.__all__) - names == {"monitors"}


@pytest.mark.parametrize("old, new", [("V1", "ThreePCv1"), ("V5", "ThreePCv5"), ("lag", "LAG"), ("bag", "BAG")])
def test_names_of_the_release_before_still_serve_and_say_the_new_one(old, new):
    with pytest.warns(DeprecationWarning, match=f"newtonfl.{old} is now newtonfl.{new}"):
        assert getattr(nf, old) is getattr(nf, new)
    assert old not in nf.__all__
    with pytest.raises(AttributeError, match="nosuchname"):
        _ = nf.nosuchname


def test_the_module_of_sources_still_serves_by_the_name_of_the_release_before():
    with pytest.warns(DeprecationWarning, match="newtonfl.data is now newtonfl.datasets.sources"):
        from newtonfl import data
    assert data.read("sklearn:breast_cancer").rows.shape == (569, 30)
