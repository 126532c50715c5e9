"""Components combined at will: what does not go together is refused in words, and the rest converges."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from cases import dense_glm, functions_problem, sparse_glm
from played import played
from preset_cases import C, small

from newtonfl.compressors import Identity, Natural, RandK, RankR, TopK
from newtonfl.mechanisms import (
    BAG,
    CBAG,
    CLAG,
    EF21,
    LAG,
    AdaCGD,
    AdaptiveTopK,
    Marina,
    ThreePCv1,
    ThreePCv2,
    ThreePCv3,
    ThreePCv4,
    ThreePCv5,
)
from newtonfl.methods import (
    All,
    Independent,
    Method,
    Uniform,
    fednl,
    fednl_bc,
    fednl_pp,
    newton,
    newton_3pc,
    newton_3pc_ls,
    newton_star,
)
from newtonfl.solver.result import Reason
from newtonfl.solver.solve import solve

REFUSED: list[tuple[Callable[[], Method], type[Exception], str]] = [
    *(
        (partial(make, participation=Uniform(2), **settings), ValueError, "FedNL without l cannot take part partially")
        for make, settings in product(
            (fednl, newton_3pc), ({"step": "project"}, {"step": "plain"}, {"step": "cubic"}, {"line_search": 5})
        )
    ),
    (lambda: fednl(participation=Uniform(2)), ValueError, "step_uses=after"),
    (lambda: fednl(participation=Uniform(2), gradient=TopK(3)), ValueError, "gradient=exact"),
    (lambda: fednl(participation=Uniform(9)), ValueError, "at most 5"),
    (lambda: fednl(participation=Uniform(0)), ValueError, "at least 1"),
    (lambda: fednl(participation=Independent(0.0)), ValueError, r"probability in \(0, 1\]"),
    (lambda: fednl(participation=8), TypeError, "must be a Participation"),
    (
        lambda: fednl_pp(step="project"),
        TypeError,
        "fednl-pp: given 'step'",
    ),
    (lambda: fednl_bc(participation=Uniform(2)), TypeError, "fednl-bc: given 'participation'"),
    (lambda: newton(compressor=C), TypeError, "newton: given 'compressor'"),
    (lambda: newton_3pc(mechanism=CLAG(C), compressor=C), ValueError, "holds its own compressor"),
    (lambda: newton_3pc(mechanism="clagg"), ValueError, "did you mean clag"),
    (lambda: newton_3pc(mechanism=3), TypeError, "must be a Mechanism"),
    (lambda: newton_3pc(mechanism=Marina(C)), ValueError, "must be unbiased"),
    (lambda: newton_3pc(mechanism=ThreePCv2(C, C)), ValueError, "must be unbiased"),
    (lambda: newton_3pc(mechanism=ThreePCv3(C, EF21(C, 0.5))), ValueError, "and alpha = 1"),
    (lambda: newton_3pc(mechanism=AdaptiveTopK(RankR(1))), ValueError, "must be a TopK"),
    (lambda: newton_3pc(mechanism=CBAG(C, 0.0)), ValueError, r"probability in \(0, 1\]"),
    (lambda: newton_3pc(mechanism=CLAG(C, -1.0)), ValueError, "zeta: given -1"),
    (lambda: newton_3pc(compressor=RandK(9), alpha=1.0), ValueError, "alpha=theory"),
    (lambda: newton_3pc(compressor=RandK(9), wire="natural"), ValueError, "wire=natural"),
    (lambda: newton_3pc_ls(gradient_p=0.5), ValueError, "line search needs gradient_p=1"),
    (lambda: newton_3pc(gradient_p=0.0), ValueError, "gradient_p"),
    (lambda: newton_3pc(gradient="lazy"), ValueError, "gradient: given 'lazy'"),
    (lambda: newton_3pc(model=RankR(1)), ValueError, "these are vectors"),
    (lambda: newton_3pc(model=3), TypeError, "must be 'exact', a Compressor or a Mechanism"),
    (lambda: newton_3pc(basis="fourier"), ValueError, "basis: given 'fourier' .allowed are data, rotation, symmetric"),
    (lambda: newton_3pc(basis="support"), ValueError, "needs sparse rows"),
    (lambda: newton_3pc(basis="data", ridge="clients"), ValueError, "the ridge does not"),
    (lambda: newton_3pc(basis="data", init="zero-total"), ValueError, "the ridge does not"),
    (lambda: newton_3pc(step="jump"), ValueError, "shift, project, plain, cubic"),
    (lambda: newton_3pc(step="cubic", lipschitz=-1.0), ValueError, "lipschitz"),
    (lambda: newton_3pc(line_search=5, armijo=0.9), ValueError, "armijo"),
    (lambda: newton_star(), ValueError, "optimum"),
    (lambda: newton_star(optimum=np.zeros(3)), ValueError, "d = 14"),
]


@pytest.mark.parametrize("make, kind, words", REFUSED)
def test_what_does_not_go_together_is_refused_in_words(make, kind, words):
    with pytest.raises(kind, match=words):
        make().resolved(small())


def test_a_cubic_step_without_a_lipschitz_constant_is_refused():
    with pytest.raises(ValueError, match="lipschitz"):
        newton_3pc(step="cubic").resolved(functions_problem()[0])


SMALL = TopK(9)
GRID: dict[str, list[Any]] = {
    "rows": ["dense", "sparse"],
    "mechanism": [
        EF21(SMALL), EF21(RankR(1)), EF21(RandK(12)), EF21(Natural()), LAG(1.0), CLAG(SMALL), CBAG(SMALL, 0.7),
        BAG(0.7), ThreePCv1(SMALL), ThreePCv2(SMALL, RandK(14)), ThreePCv3(SMALL, CLAG(SMALL)),
        ThreePCv4(SMALL, RandK(12)), ThreePCv5(SMALL, 0.3),
        Marina(RandK(14), 0.3), AdaCGD((TopK(3), SMALL, TopK(28))), AdaptiveTopK(SMALL),
    ],
    "basis": ["auto", "symmetric", "symmetric-plain", "support", "data", "rotation", "psd"],
    "gradient": ["exact", EF21(TopK(4)), BAG(0.5)],
    "gradient_p": [1.0, 0.6],
    "model": ["exact", TopK(4), ThreePCv4(TopK(2), TopK(2))],
    "participation": [All(), Uniform(2), Independent(0.6)],
    "step": ["shift", "project", "cubic"],
    "shift_norm": ["frobenius", "spectral"],
    "l": ["fresh", "last"],
    "line_search": [0, 5],
    "init": ["hessian", "zero", "zero-total"],
    "step_uses": ["after", "before"],
    "ridge": ["server", "clients"],
    "wire": ["float64", "float32", "natural"],
}  # fmt: skip


def mixed() -> list[dict[str, Any]]:
    """Combinations of the grid such that every two of its values, of different keys, meet in one of them."""
    draw, places = np.random.default_rng(0), list(combinations(range(len(GRID)), 2))
    size = [len(values) for values in GRID.values()]
    open_ = {(a, i, b, j) for a, b in places for i in range(size[a]) for j in range(size[b])}
    found = []
    while open_:
        a, i, b, j = min(open_)
        tries = [[int(draw.integers(most)) for most in size] for _ in range(30)]
        for one in tries:
            one[a], one[b] = i, j
        meets = [open_ & {(a, one[a], b, one[b]) for a, b in places} for one in tries]
        best = max(range(len(tries)), key=lambda t: len(meets[t]))
        open_ -= meets[best]
        found.append({key: values[i] for (key, values), i in zip(GRID.items(), tries[best], strict=True)})
    return found


def mended(given: dict[str, Any]) -> dict[str, Any]:
    """The combination with what its parts need of each other."""
    made = dict(given)
    if made["participation"].partial:
        made |= {"step": "shift", "line_search": 0, "gradient": "exact", "step_uses": "after"}
    if made["gradient_p"] < 1:
        made |= {"line_search": 0}
    if made["participation"].partial and made["wire"] == "natural":
        made |= {"wire": "float32"}
    if made["basis"] == "data":
        made |= {"ridge": "server", "init": "hessian" if made["init"] == "zero-total" else made["init"]}
    if made["basis"] == "support":
        made |= {"rows": "sparse", "basis": "support" if made["mechanism"].acts_on == "vector" else "symmetric"}
    sends_whole = isinstance(made["mechanism"], ThreePCv1 | ThreePCv5)
    if sends_whole or not all(isinstance(c, TopK | Identity) for c in made["mechanism"].compressors()):
        made |= {"wire": "float32" if made["wire"] == "natural" else made["wire"]}
    return made


ROWS = {"dense": dense_glm, "sparse": sparse_glm}
MIXED = mixed()


def test_what_needs_no_mending_is_taken_and_all_else_refused_in_words():
    for given in MIXED:
        settings = dict(given)
        problem = ROWS[settings.pop("rows")]()
        if mended(given) == given:
            newton_3pc(**settings).resolved(problem)
            continue
        with pytest.raises(ValueError, match=r"\b(use|needs)\b"):
            newton_3pc(**settings).resolved(problem)


@pytest.mark.parametrize("which", range(len(MIXED)))
def test_a_combination_that_no_paper_has_converges(which):
    settings = mended(MIXED[which])
    result = solve(ROWS[settings.pop("rows")](n=3), newton_3pc(**settings), tol=1e-6, rounds=400)
    assert result.reason is Reason.CONVERGED, result.reason


@pytest.mark.parametrize("model", ["exact", TopK(4), ThreePCv2(TopK(4), RandK(5))], ids=["exact", "topk", "v2"])
def test_a_round_in_which_nobody_takes_part_changes_nothing(model):
    method = newton_3pc(participation=Independent(0.2), model=model)
    rounds = list(played(dense_glm(), method, np.zeros(7), 40))
    empty = [k for k, (_, heard) in enumerate(rounds) if not len(heard[0][1].clients)]
    assert len(empty) > 5
    for k in empty:
        np.testing.assert_array_equal(rounds[k][0], rounds[k - 1][0])
    assert not np.array_equal(rounds[-1][0], rounds[0][0])
