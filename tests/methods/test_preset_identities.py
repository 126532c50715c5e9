"""Second-order presets that are the same method; and rounds in which nobody computes a Hessian."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from played import iterates, played
from preset_cases import ROUNDS, C, coin, setting, small

from newtonfl.compressors import Identity
from newtonfl.mechanisms import BAG, CBAG, CLAG, LAG, AdaCGD
from newtonfl.methods import Method, Uniform, bl1, fednl, fednl_bc, newton, newton_3pc, newton_3pc_bc_pp, robust_newton

# name: (one, the other, largest difference relative to the largest iterate; 0 asks for the same bits)
IDENTITIES: dict[str, tuple[Callable[[], Method], Callable[[], Method], float]] = {
    "newton-3pc with EF21 is fednl that steps after": (
        lambda: newton_3pc(compressor=C), lambda: fednl(compressor=C, step_uses="after"), 0.0
    ),
    "bl1 in the symmetric basis, stepping after, is newton-3pc": (
        lambda: bl1(basis="symmetric", compressor=C, step_uses="after"),
        lambda: newton_3pc(basis="symmetric", compressor=C, step="project"),
        0.0,
    ),
    "robust-newton of the mean is newton-3pc": (
        lambda: robust_newton(aggregator="mean", compressor=C, gradient=C, ridge="clients"),
        lambda: newton_3pc(basis="symmetric", compressor=C, gradient=C, ridge="clients"),
        1e-12,
    ),
    "robust-newton of the mean that projects is newton-3pc that projects": (
        lambda: robust_newton(aggregator="mean", compressor=C, step="project"),
        lambda: newton_3pc(basis="symmetric", compressor=C, step="project"),
        1e-12,
    ),
    "CLAG with ζ = 0 is EF21": (lambda: newton_3pc(mechanism=CLAG(C, 0.0)), lambda: newton_3pc(compressor=C), 0.0),
    "CBAG with p = 1 is EF21": (lambda: newton_3pc(mechanism=CBAG(C, 1.0)), lambda: newton_3pc(compressor=C), 0.0),
    "AdaCGD with one level is CLAG": (
        lambda: newton_3pc(mechanism=AdaCGD((C,), 2.0)), lambda: newton_3pc(mechanism=CLAG(C, 2.0)), 0.0
    ),
    "LAG is CLAG with the identity": (
        lambda: newton_3pc(mechanism=LAG(0.5)),
        lambda: newton_3pc(mechanism=partial(CLAG, zeta=0.5), compressor=Identity()),
        0.0,
    ),
    "newton-3pc-bc-pp with everyone, whole models and ξ = 1 is newton-3pc": (
        lambda: newton_3pc_bc_pp(compressor=C, participation=Uniform(5), model="exact", gradient_p=1.0),
        lambda: newton_3pc(compressor=C),
        1e-11,
    ),
    "the rotation is the data basis": (
        lambda: newton_3pc(basis="rotation", compressor=C), lambda: newton_3pc(basis="data", compressor=C), 1e-10
    ),
    "the rotation is the data basis, projected": (
        lambda: bl1(basis="rotation", compressor=C), lambda: bl1(compressor=C), 1e-10
    ),
    "fednl-bc with whole models and gradients is fednl": (
        lambda: fednl_bc(compressor=C, model="exact", gradient_p=1.0), lambda: fednl(compressor=C, step="project"), 0.0
    ),
    "the clients' ridge is the server's": (
        lambda: newton_3pc(compressor=C, ridge="clients"), lambda: newton_3pc(compressor=C), 1e-11
    ),
    "EF21 with the identity is newton": (
        lambda: newton_3pc(compressor=Identity(), alpha=1.0, step="plain"), lambda: newton(), 0.0
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity(name):
    one, other, within = IDENTITIES[name]
    a, b = (iterates(small(), made(), np.full(14, 0.3)) for made in (one, other))
    assert np.abs(a - b).max() <= within * np.abs(b).max()
    assert len(np.unique(a, axis=0)) > 5  # it moves


@pytest.mark.data
@pytest.mark.parametrize("uses, behind", [("after", 0), ("before", 1)])
def test_the_identity_compressor_gives_newton_perhaps_a_round_behind(uses, behind):
    s = setting(50)
    x = [s.optimum + 0.1]
    for k in range(ROUNDS):
        x.append(x[-1] - np.linalg.solve(s.p.total_hessian(x[max(k - behind, 0)]), s.p.total_gradient(x[-1])))
    for step in ("project", "plain"):
        ours = iterates(
            s.problem, newton_3pc(compressor=Identity(), alpha=1.0, step_uses=uses, step=step), x[0], ROUNDS
        )
        assert np.abs(ours - np.stack(x[1:])).max() <= 1e-11


@pytest.mark.parametrize(
    "settings, always",
    [({"step": "project"}, False), ({"l": "last"}, False), ({"l": "fresh"}, True)],
    ids=["project", "last l", "fresh l"],
)
def test_on_tails_hessians_are_computed_for_a_fresh_l_alone(settings, always):
    """CBAG, BAG: on tails nobody computes one, unless l is to be of this round; and the notes say so."""
    problem = small()
    heads = [coin("curvature coin", 0.5)(k) for k in range(ROUNDS)]
    assert set(heads[1:]) == {True, False}
    for mechanism in (CBAG(C, 0.5), BAG(0.5)):
        method = newton_3pc(mechanism=mechanism, **settings)
        counts = [problem.hessian_counts.copy() for _ in played(problem, method, np.full(14, 0.3), ROUNDS)]
        for k in range(1, ROUNDS):
            assert (counts[k] - counts[k - 1] == (1 if always or heads[k] else 0)).all()
        assert any("fresh l" in note for note in method.resolved(problem).notes()) == always
    assert newton_3pc(compressor=C, **settings).resolved(problem).notes() == []
