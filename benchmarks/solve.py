"""Logistic regression to ‖∇f‖ ≤ 1e-8 beside other solvers: python benchmarks/solve.py [--limit SECONDS] [CASE …]

f(w) = (1/N) Σ_j log-loss + (λ/2)‖w‖², without an intercept, so that all minimise the same: ours, every solver of
scikit-learn's LogisticRegression and SciPy's minimise. Each runs with the loosest of its own tolerances at which the
gradient that is computed here is small enough, in turn, one thread, three times, in a process that has solved before;
one that takes more than --limit CPU seconds (20) or --memory GiB (6), or never comes so far, is named without figures.
CPU time of the fit alone, and the ratio to the fastest. The first four cases need the data that NEWTONFL_DATA names,
the others are drawn from a seed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from timing import calls_in_turn, machine, run

GOAL = 1e-8
WARM = 1.0  # CPU seconds of our solves before any is measured: numba's forms come after 0.4, where they can be had
LADDER = (1e-4, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-14)
CASES = ("phishing", "phishing-dense", "a9a", "w8a", "dense", "classes", "text", "hashed", "columns")


@dataclass(frozen=True)
class Case:
    """Rows, labels from 0 on, and λ."""

    title: str
    X: Any
    y: Any
    l2: float

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1


def make(name: str) -> Case:
    """The case of that name."""
    import numpy as np
    from scipy import sparse

    draw = np.random.Generator(np.random.Philox(17))
    match name:
        case "phishing" | "phishing-dense" | "a9a" | "w8a":
            from newtonfl.datasets import sources

            table = sources.read(f"libsvm:{name.removesuffix('-dense')}")
            X, y = sparse.csr_array(table.rows), np.unique(table.labels, return_inverse=True)[1]
            if name == "phishing-dense":
                X = X.toarray()
            return Case(f"{name}, {'sparse' if sparse.issparse(X) else 'dense'} {shape(X)}, 2 classes", X, y, 1e-3)
        case "dense" | "classes":
            count = 2 if name == "dense" else 20
            X = draw.normal(size=(4000, 30))
            scores = X @ draw.normal(size=(30, count)) / 4 + draw.gumbel(size=(4000, count))
            return Case(f"dense {shape(X)}, {count} classes", X, scores.argmax(axis=1), 1e-3)
        case "text" | "hashed":
            width = 2510 if name == "text" else 20_000
            X = documents(draw, 4000, width, 60)
            y = (X @ draw.normal(size=width) + 0.3 * draw.normal(size=4000) > 0).astype(int)
            return Case(f"{name}, sparse {shape(X)}, 2 classes", X, y, 1e-4)
        case "columns":
            where = (np.repeat(np.arange(200, dtype=np.int32), 6), draw.integers(10**6, size=1200, dtype=np.int32))
            X = sparse.csr_array((draw.normal(size=1200), where), shape=(200, 10**6))
            return Case(f"sparse {shape(X)}, {X.nnz} entries, 2 classes", X, draw.integers(2, size=200), 1e-3)
    raise SystemExit(f"case: given {name!r}, allowed are {', '.join(CASES)}")


def shape(X: Any) -> str:
    return " × ".join(f"{side:,}" for side in X.shape)


def documents(draw: Any, count: int, width: int, words: int) -> Any:
    """Rows like tf-idf: words by Zipf's law, about so many a row, weighed by rarity, of length 1."""
    import numpy as np
    from scipy import sparse

    chances = 1.0 / np.arange(1, width + 1)
    drawn = draw.choice(width, size=(count, words), p=chances / chances.sum())
    where = (np.repeat(np.arange(count, dtype=np.int32), words), drawn.ravel().astype(np.int32))  # as liblinear wants
    X = sparse.csr_array((np.ones(count * words), where), (count, width))
    X.sum_duplicates()
    present = np.bincount(X.indices, minlength=width)
    X.data *= np.log((1 + count) / (1 + present[X.indices])) + 1
    X.data /= np.repeat(np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1])), np.diff(X.indptr))
    return X


class Objective:
    """f and its derivatives, in NumPy alone: of w, shape (c,), for two classes, and of W, shape (K, c), for more."""

    def __init__(self, case: Case) -> None:
        import numpy as np

        self.case, self.shape = case, (case.classes, case.X.shape[1])[case.classes == 2 :]
        self.size = int(np.prod(self.shape))

    def value_and_gradient(self, point: Any) -> tuple[float, Any]:
        import numpy as np
        from scipy.special import expit, log_softmax

        X, y, l2, N = self.case.X, self.case.y, self.case.l2, len(self.case.y)
        w = point.reshape(self.shape)
        if self.case.classes == 2:
            margins, signs = X @ w, 2.0 * y - 1.0
            value = np.logaddexp(0, -signs * margins).mean()
            gradient = X.T @ (-signs * expit(-signs * margins)) / N
        else:
            scores = log_softmax(X @ w.T, axis=1)
            value, slopes = -scores[np.arange(N), y].mean(), np.exp(scores)
            slopes[np.arange(N), y] -= 1.0
            gradient = (X.T @ slopes).T / N
        return float(value + 0.5 * l2 * np.sum(w * w)), (gradient + l2 * w).ravel()

    def product(self, point: Any, v: Any) -> Any:
        """∇²f(w) v."""
        from scipy.special import expit, softmax

        X, l2, N = self.case.X, self.case.l2, len(self.case.y)
        if self.case.classes == 2:
            p = expit(X @ point)
            return X.T @ (p * (1 - p) * (X @ v)) / N + l2 * v
        p, moved = softmax(X @ point.reshape(self.shape).T, axis=1), X @ v.reshape(self.shape).T
        moved = p * (moved - (p * moved).sum(axis=1, keepdims=True))
        return (X.T @ moved).T.ravel() / N + l2 * v

    def norm(self, point: Any) -> float:
        import numpy as np

        return float(np.linalg.norm(self.value_and_gradient(point.ravel())[1]))


def ours(case: Case) -> Iterator[tuple[str, Callable[[float], Any]]]:
    """Our ways, each from a tolerance of ‖∇f‖ to the coefficients."""
    import numpy as np

    import newtonfl as nf
    from newtonfl.objectives.multinomial import contrasts

    def fit(tol: float) -> Any:
        model = nf.FederatedLogisticRegression(alpha=case.l2, fit_intercept=False, tol=tol, rtol=0.0, max_rounds=10_000)
        return model.fit(case.X, case.y).coef_

    def newton(tol: float) -> Any:
        two = case.classes == 2
        problem = nf.from_arrays(case.X, case.y, "logistic" if two else "multinomial", l2=case.l2)
        x = nf.solve(problem, "newton", tol=tol, rounds=100).x
        return x if two else contrasts(case.classes) @ np.reshape(x, (case.classes - 1, -1))

    yield "FederatedLogisticRegression", fit
    yield "from_arrays, newton", newton


def scikit_learn(case: Case) -> Iterator[tuple[str, Callable[[float], Any]]]:
    """The solvers of LogisticRegression, each from its own tolerance to the coefficients."""
    from sklearn.linear_model import LogisticRegression

    def fit(solver: str, tol: float) -> Any:
        C = 1.0 / (case.l2 * len(case.y))
        return LogisticRegression(C=C, fit_intercept=False, solver=solver, tol=tol, max_iter=10_000).fit(
            case.X, case.y
        ).coef_  # fmt: skip

    solvers = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", *(["liblinear"] if case.classes == 2 else []))
    for solver in solvers:
        yield f"scikit-learn {solver}", partial(fit, solver)


def scipy_minimize(case: Case) -> Iterator[tuple[str, Callable[[float], Any]]]:
    """Methods of SciPy's minimise that use the gradient, each from its own tolerance to the coefficients."""
    import numpy as np
    from scipy.optimize import minimize

    f = Objective(case)
    options: dict[str, Callable[[float], dict[str, Any]]] = {
        "L-BFGS-B": lambda tol: {"gtol": tol, "ftol": 0.0, "maxiter": 10_000, "maxfun": 100_000},
        "Newton-CG": lambda tol: {"xtol": tol, "maxiter": 10_000},
        "trust-ncg": lambda tol: {"gtol": tol, "maxiter": 10_000},
    }

    def fit(method: str, tol: float) -> Any:
        more = {} if method == "L-BFGS-B" else {"hessp": f.product}
        return minimize(
            f.value_and_gradient, np.zeros(f.size), jac=True, method=method, options=options[method](tol), **more
        ).x

    for method in options:
        yield f"SciPy {method}", partial(fit, method)


class TooLong(Exception):
    """A call took more than its limit."""


def limited(call: Callable[[], Any], seconds: float) -> Any:
    """What `call` returns; TooLong where it takes more CPU seconds."""
    import signal

    def stop(signum: int, frame: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def arrived(case: Case, solve: Callable[[float], Any], exact: bool, limit: float) -> tuple[float | None, str]:
    """The loosest tolerance at which `solve` reaches the goal; or None, and in words why there is none."""
    norm = Objective(case).norm
    best, begun = float("inf"), time.process_time()
    for tol in (GOAL,) if exact else LADDER:
        try:
            left = limit - (time.process_time() - begun)
            best = min(best, norm(limited(lambda tol=tol: solve(tol), max(left, 0.01))))
        except TooLong:
            return None, f"more than {limit:g} s"
        except Exception as error:
            return None, textwrap.shorten(str(error) or type(error).__name__, 90, placeholder=" …")
        if best <= GOAL * 1.001:  # the two gradients are rounded in different orders
            return tol, f"{best:.1e}"
    return None, f"ends at {best:.1e}"


def child(name: str, limit: float, memory: float, repeats: int) -> None:
    """Measure one case and print its table."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (int(memory * 2**30),) * 2)
    case = make(name)
    print(f"\n### {case.title}, λ = {case.l2:g}\n\n| solver | ms | times the fastest | ‖∇f‖ |\n|---|--:|--:|--:|")
    ready: dict[str, Callable[[], Any]] = {}
    norms, late = {}, []
    for exact, family in ((True, ours), (False, scikit_learn), (False, scipy_minimize)):
        for title, solve in family(case):
            tol, words = arrived(case, solve, exact, limit)
            if tol is None:
                late.append(f"| {title} | – | – | {words} |")
            else:
                ready[title], norms[title] = partial(solve, tol), words
    begun = time.process_time()
    while time.process_time() < begun + WARM:
        for title, _ in ours(case):
            if title in ready:
                ready[title]()
    seconds = calls_in_turn(ready, repeats)
    at_best = {title: statistics.median(taken) for title, taken in seconds.items()}
    fastest = min(at_best, key=at_best.__getitem__)
    for title in sorted(at_best, key=at_best.__getitem__):
        times = statistics.median(a / b for a, b in zip(seconds[title], seconds[fastest], strict=True))
        print(f"| {title} | {1e3 * at_best[title]:,.1f} | {times:.2f} | {norms[title]} |")
    print(*late, sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Logistic regression to a gradient of 1e-8, beside other solvers.")
    parser.add_argument("cases", nargs="*", metavar="CASE", default=list(CASES))
    parser.add_argument("--limit", type=float, default=20.0, help="CPU seconds of one solver's tries")
    parser.add_argument("--memory", type=float, default=6.0, help="GiB that one case may take")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.cases[0], asked.limit, asked.memory, asked.repeats)
        return
    print(machine())
    for name in asked.cases:
        options = [f"--limit={asked.limit}", f"--memory={asked.memory}", f"--repeats={asked.repeats}"]
        print(*run([sys.executable, __file__, "--child", name, *options]).output, sep="\n", flush=True)


if __name__ == "__main__":
    main()
