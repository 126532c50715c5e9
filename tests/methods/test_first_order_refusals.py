"""What first-order presets refuse, in words, and settings that come back from their words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature

import numpy as np
import pytest
from cases import dense_glm, functions_problem, sparse_glm
from first_order_setting import made, small

from newtonfl import registry
from newtonfl.compressors import RandK, RankR, TopK
from newtonfl.mechanisms import CLAG, EF21, LAG, ThreePCv3
from newtonfl.methods import Independent, Method, Trace, Uniform
from newtonfl.registry import METHODS
from newtonfl.solver.solve import solve

REFUSED: list[tuple[Callable[[], Method], type[Exception], str]] = [
    *(
        (partial(METHODS["ef21"], stepsize=given), ValueError, "stepsize: given .* must be a positive number, 'theory'")
        for given in ("theory*", "thery", "theory*0", "theory*-2", "theory**2", "*2", "", -1, -1.0, 0.0, True, None,
                      np.nan, np.inf, "theory*nan", "theory-pl*inf", [0.1])
    ),
    (lambda: METHODS["ef21-hb"](stepsize="theory-pl"), ValueError, "no linear rate of this method is known"),
    (lambda: METHODS["error-feedback"](stepsize="theory-pl"), ValueError, "no linear rate of this method is known"),
    *(
        (partial(METHODS[name], compressor=TopK(3)), ValueError, "topk:3 is not unbiased")
        for name in ("marina", "vr-marina", "pp-marina", "dasha", "diana", "artemis", "dore", "adiana")
    ),
    (lambda: METHODS["artemis"](down=TopK(3)), ValueError, "topk:3 is not unbiased"),
    (lambda: METHODS["artemis"](down=EF21(TopK(3))), TypeError, "down: given .* unbiased Compressor"),
    (lambda: METHODS["dore"](down="exact"), TypeError, "down: given 'exact', must be an unbiased Compressor"),
    (lambda: METHODS["dore"](eta=2.0), ValueError, "eta: given 2.0"),
    *(
        (partial(METHODS[name], participation=Uniform(2)), TypeError, f"{name}: given 'participation'")
        for name in ("gd", "lag", "clag", "3pc-v1", "3pc-v2", "3pc-v3", "3pc-v5", "adacgd", "marina", "diana", "ef-bv",
                     "adiana", "econtrol", "dasha")
    ),
    (lambda: METHODS["ef21"](participation=Uniform(9)), ValueError, "at most 5"),
    (lambda: METHODS["ef21"](participation=8), TypeError, "must be a Participation"),
    (lambda: METHODS["ef21"](participation=Uniform(2), down=TopK(3)), ValueError, "hold another estimate"),
    (lambda: METHODS["ef21"](compressor=RankR(1)), ValueError, "these are vectors"),
    (lambda: METHODS["ef21-plus"](compressor=RankR(1)), ValueError, "these are vectors"),
    (lambda: METHODS["marina"](compressor=RankR(1)), ValueError, "unbiased|these are vectors"),
    (lambda: METHODS["ef21"](compressor="topk"), ValueError, "topk needs k"),
    (lambda: METHODS["ef21"](compressor=3), TypeError, "must be a Compressor"),
    (lambda: METHODS["ef21"](init="half"), ValueError, "init: given 'half', allowed are gradient, zero"),
    (lambda: METHODS["ef21"](ridge="nobody"), ValueError, "ridge: given 'nobody', allowed are server, clients"),
    (lambda: METHODS["ef21"](wire="float16"), ValueError, "wire: given 'float16'"),
    (lambda: METHODS["ef21"](down="whole"), ValueError, "down: given 'whole'"),
    (lambda: METHODS["ef21"](down=3), TypeError, "down: given 3, must be 'exact', a Compressor or a Mechanism"),
    (lambda: METHODS["ef21"](down=RankR(1)), ValueError, "these are vectors"),
    *(
        (partial(METHODS["ef21-sgd"], batch=given), ValueError, "batch: given .* whole number")
        for given in (0, 1.5, True, "all")
    ),
    *(
        (partial(METHODS[name], batch=given), kind, "batch: given")
        for name in ("ef21-page", "vr-marina")
        for given, kind in ((0, ValueError), (True, ValueError), ("half", ValueError))
    ),
    (lambda: METHODS["ef21-page"](p=0.0), ValueError, r"p: given 0.0, must be a probability in \(0, 1\]"),
    (lambda: METHODS["vr-marina"](p=2.0), ValueError, r"p: given 2.0, must be a probability in \(0, 1\]"),
    (lambda: METHODS["ef21-hb"](eta=1.0), ValueError, "eta: given 1.0, .* below 1"),
    (lambda: METHODS["ef21-sgdm"](eta=0.0), ValueError, "eta: given 0.0, .* above 0"),
    (lambda: METHODS["accelerated-gd"](mu=-1.0), ValueError, "mu: given -1.0"),
    (lambda: METHODS["clag"](zeta=-1.0), ValueError, "zeta: given -1.0"),
    (lambda: METHODS["adacgd"](levels=()), ValueError, "levels: given none"),
    (lambda: METHODS["adacgd"](levels=(3,)), TypeError, "levels: given 3"),
    (lambda: METHODS["3pc-v2"](first=TopK(3)), ValueError, "must be unbiased"),
    (lambda: METHODS["3pc-v3"](inner=TopK(3)), TypeError, "inner: given .* must be a Mechanism"),
    (lambda: METHODS["3pc-v3"](inner=EF21(RandK(3))), ValueError, "moves by less than its message says"),
    (lambda: METHODS["3pc-v5"](p=0.0), ValueError, r"p: given 0.0, must be a probability in \(0, 1\]"),
    (lambda: METHODS["marina"](p=1.5), ValueError, r"p: given 1.5, must be a probability in \(0, 1\]"),
    (lambda: METHODS["adiana"](p=0.0), ValueError, r"p: given 0.0, must be a probability in \(0, 1\]"),
    (lambda: METHODS["adiana"](p="half"), ValueError, "p: given 'half', must be a number or theory"),
    (lambda: METHODS["ef-bv"](lam=2.0), ValueError, "lam: given 2.0"),
    (lambda: METHODS["ef-bv"](nu=0.0), ValueError, "nu: given 0.0"),
    *(
        (partial(METHODS["econtrol"], eta=given), ValueError, f"eta: given {given!r}, must be 'theory', or a number")
        for given in (-0.1, 1.1, True)
    ),
    *(
        (partial(METHODS["dasha"], momentum=given), ValueError, f"momentum: given {given!r}, must be 'theory', or a")
        for given in (0.0, 1.1, True)
    ),
    (lambda: METHODS["clip21-sgd2m"](tau=0.0), ValueError, "τ = 0.0"),
    (lambda: METHODS["clip21-sgd2m"](sigma=-1.0), ValueError, "sigma: given -1.0"),
    (lambda: METHODS["clip21-sgd2m"](beta_hat=1.5), ValueError, "beta_hat: given 1.5"),
    (lambda: METHODS["clip21-sgd2m"](stepsize="theory"), ValueError, "no such theorem of this method is known here"),
    *((partial(METHODS["clip21"], tau=given), ValueError, f"τ = {given}") for given in (0.0, -1.0, np.inf, True)),
    *(
        (partial(METHODS["clip21"], longest=given), ValueError, f"longest: given {given!r}, must be 'theory', or a")
        for given in (0.0, -1.0, True)
    ),
    (lambda: METHODS["clip21"](longest="short"), ValueError, "longest: given 'short', must be a number or theory"),
    (lambda: METHODS["econtrol"](eta="half"), ValueError, "eta: given 'half', must be a number or theory"),
    (lambda: METHODS["econtrol"](stepsize="theory-pl"), ValueError, "no linear rate of this method is known"),
    *(
        (partial(METHODS["m-fac"], **{key: given}), ValueError, f"{key}: given")
        for key, given in (("window", 0), ("window", 2.5), ("dampening", 0.0), ("over", "all"), ("algorithm", "fast"))
    ),
]  # fmt: skip


@pytest.mark.parametrize("make, kind, words", REFUSED)
def test_what_does_not_go_together_is_refused_in_words(make, kind, words):
    with pytest.raises(kind, match=words):
        make().resolved(small())


@pytest.mark.parametrize("ridge", ["server", "clients"])
def test_a_client_without_rows_has_no_weight_and_does_no_harm(ridge):
    result = solve(sparse_glm(), made("ef21-w", ridge=ridge, compressor=TopK(3), stepsize="theory"), tol=1e-6)
    assert result.converged and np.isfinite(result.x).all()


def test_words_come_back_as_they_were():
    inner = ThreePCv3(TopK(5), CLAG(TopK(1), 2.0))
    for down in (
        inner,
        ThreePCv3(TopK(5), LAG(2.0)),
        ThreePCv3(TopK(5), EF21(TopK(1))),
        ThreePCv3(TopK(5), CLAG(TopK(5), 2.0)),
    ):
        method = METHODS["ef21"](down=down)
        again = registry.method("ef21", {key: str(value) for key, value in registry.method_parameters(method).items()})
        assert again.model == method.model
    ladder = METHODS["adacgd"](levels=[TopK(1), TopK(2)])
    assert registry.method_parameters(ladder)["levels"] == "topk:1,topk:2"
    assert METHODS["m-fac"]() == METHODS["m-fac"]()


def test_weights_and_dores_share_need_the_clients_constants():
    problem = functions_problem()[0]
    with pytest.raises(ValueError, match="weights w_i = L_i/ΣL_j need the clients' own L_i: no smoothness constant"):
        made("ef21-w").resolved(problem)
    with pytest.raises(
        ValueError, match="eta: theory has none for these rates, or without the clients' own L_i: give eta=NUMBER"
    ):
        solve(problem, made("dore"), rounds=1)


@pytest.mark.parametrize("part", [Independent(0.3), Trace(((0, 1),))])
def test_pp_marina_draws_a_fixed_number(part):
    with pytest.raises(ValueError, match="draws a fixed number of clients: use uniform:8"):
        made("pp-marina", participation=part)


def test_minibatches_need_rows():
    problem = functions_problem()[0]
    for method in (
        made("gd", batch=2),
        made("ef21-sgd"),
        made("ef21-sgdm"),
        made("ef21-plus", batch=2),
        made("ef21-page"),
        made("vr-marina"),
        made("vr-diana"),
    ):
        with pytest.raises(ValueError, match="minibatch gradients need data rows"):
            method.resolved(problem)


def test_what_needs_convexity_is_refused_on_a_problem_without_it_and_ef21_runs():
    problem = dense_glm(nonconvex=0.1)
    second_order = {name for name, make in METHODS.items() if "stepsize" not in signature(make).parameters}
    for name in second_order - {"bfgs", "l-bfgs"} | {"accelerated-gd", "adiana"}:  # which needs gradients alone
        with pytest.raises(ValueError, match=f"{name} needs convex functions"):
            METHODS[name](**({"optimum": np.zeros(7)} if name == "newton-star" else {})).resolved(problem)
    for name in ("diana", "vr-diana", "artemis", "dore"):
        with pytest.raises(ValueError, match="theory of this method needs convex functions"):
            METHODS[name]().resolved(problem)
    told = solve(problem, METHODS["diana"](stepsize=0.1), rounds=2).theory
    assert told == []
    result = solve(problem, METHODS["ef21"](compressor=TopK(3)), tol=1e-6, rounds=3000)
    assert result.converged
