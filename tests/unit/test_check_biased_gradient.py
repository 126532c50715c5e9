"""check_biased_gradient passes constants that hold, from formulas, and finds each that is too good."""

from __future__ import annotations

import numpy as np
import pytest
from cases import COMPRESSORS

import newtonfl as nf
from newtonfl.checks import BiasedGradient, check_biased_gradient
from newtonfl.checks.small_problems import dense_problem

UNBOUNDED = [name for name in COMPRESSORS if name != "clip"]


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_a_contract_says_holds(name):
    """b = 1 and B = 1 + ω of what is unbiased, b = 1 - √(1-δ) and B = (1 + √(1-δ))² of what contracts."""
    compressor, whole = COMPRESSORS[name], COMPRESSORS[name].acts_on == "symmetric"
    contract = compressor.for_dimension(4).contract(10 if whole else 4)
    implied = BiasedGradient.of(compressor, 10 if whole else 4)
    if isinstance(contract, nf.Unbiased):
        assert (implied.b, implied.B) == (1.0, 1.0 + contract.omega)
    else:
        q = np.sqrt(1.0 - contract.delta)
        assert (implied.b, implied.B) == pytest.approx((1.0 - q, (1.0 + q) ** 2))
    assert (implied.A, implied.C, implied.c) == (0.0, 0.0, 0.0)
    check_biased_gradient(compressor, implied, dim=4, draws=60)


BEST = {  # of 8 coordinates: the guide's table, and powers of two from 2/3 to 4/3 of a number
    "topk": (nf.TopK(2), 2 / 8, 1.0),
    "randk, scaled": (nf.Contracted(nf.RandK(2)), 2 / 8, 2 / 8),
    "adaptive-random, scaled": (nf.Contracted(nf.AdaptiveRandom()), 1 / 8, 1 / 8),
    "rounding": (nf.BiasedRounding(), 2 / 3, 16 / 9),
    "natural": (nf.Natural(), 1.0, 9 / 8),
}


@pytest.mark.parametrize("name", BEST)
def test_sharp_constants_hold_and_no_better_ones(name):
    compressor, along, square = BEST[name]
    check_biased_gradient(compressor, BiasedGradient(along, square))
    for better, words in (
        (BiasedGradient(1.01 * along, square), r"b = .* promise -⟨∇f, E g⟩ of at most"),
        (BiasedGradient(along, 0.98 * square), r"A = 0, B = .*, C = 0 promise E‖g‖² of at most"),
    ):
        if name in ("rounding", "natural"):  # no input here is at the worst of either
            continue
        with pytest.raises(AssertionError, match=f"{type(compressor).__name__}, .*: {words}"):
            check_biased_gradient(compressor, better)


def sampled(p: float) -> BiasedGradient:
    """Each client with probability p: E g = p∇f and E‖g‖² = p²‖∇f‖² + p(1-p)/n²·Σ‖∇f_i‖².

    ‖∇f_i‖² ≤ 2L_i(f_i - f_i*), and the logistic loss has f_i* ≥ 0: A = p(1-p)max L_i/n, C = 2A·f*.
    """
    problem = dense_problem()
    largest = float(problem.client_smoothness.max()) + 0.1  # and the ridge
    a = p * (1.0 - p) * largest / problem.n_clients
    return BiasedGradient(p, p * p, a, 2.0 * a * nf.optimum(problem)[1])


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_independent_sampling(p):
    promised = sampled(p)
    check_biased_gradient(nf.Independent(p), promised)
    with pytest.raises(AssertionError, match=r"Independent, .*: b = .* promise -⟨∇f, E g⟩ of at most"):
        check_biased_gradient(nf.Independent(p), BiasedGradient(1.1 * p, promised.B, promised.A, promised.C))
    with pytest.raises(AssertionError, match=r"Independent, x\*: A = 0, B = .*, C = 0 promise E‖g‖² of at most"):
        check_biased_gradient(nf.Independent(p), BiasedGradient(p, p * p))


def test_everybody_is_the_gradient_itself():
    check_biased_gradient(nf.All(), BiasedGradient(1.0, 1.0))
    with pytest.raises(AssertionError, match=r"All, .*: b = 1.01"):
        check_biased_gradient(nf.All(), BiasedGradient(1.01, 1.0))


def test_a_problem_of_ones_own():
    """Clients that are all alike: a sample of τ of n is τ/n of the gradient, with no A and no C."""
    draw = np.random.default_rng(0)
    rows, labels = draw.standard_normal((9, 3)), draw.choice([-1.0, 1.0], 9)
    problem = nf.from_arrays(np.tile(rows, (4, 1)), np.tile(labels, 4), "logistic", l2=0.1, clients=4)
    check_biased_gradient(nf.Uniform(2), BiasedGradient(0.5, 0.25), problem=problem)
    with pytest.raises(AssertionError, match=r"Uniform, .*: A = 0, B = 0.24"):
        check_biased_gradient(nf.Uniform(2), BiasedGradient(0.5, 0.24), problem=problem)


def test_what_it_refuses():
    with pytest.raises(AssertionError, match="given 3, must be a Compressor or a Participation"):
        check_biased_gradient(3, BiasedGradient(1.0, 1.0))
    with pytest.raises(ValueError, match="clip:2 contracts bounded vectors alone"):
        BiasedGradient.of(nf.Clip(2.0), 4)
    for wrong, words in (
        ({"b": 0.0, "B": 1.0}, "b: given 0.0, must be finite and above 0"),
        ({"b": 1.0, "B": -1.0}, "B: given -1.0, must be finite and at least 0"),
        ({"b": 1.0, "B": 1.0, "C": np.inf}, "C: given inf"),
    ):
        with pytest.raises(ValueError, match=words):
            BiasedGradient(**wrong)
    with pytest.raises(ValueError, match="uniform:9"):
        check_biased_gradient(nf.Uniform(9), BiasedGradient(1.0, 1.0))
