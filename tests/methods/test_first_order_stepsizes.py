"""Theory's step size: its value from the rows, what the note says of it, and steps beyond it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import dense_glm, functions_problem, glm
from first_order_cases import INSIDE
from first_order_setting import RIDGE, D, M, N, run, setting
from scipy.optimize import minimize, minimize_scalar

from newtonfl.compressors import Clip, Natural, PermK, RandK, TopK
from newtonfl.mechanisms import LAG, Diana
from newtonfl.registry import METHODS
from newtonfl.solver.solve import solve

pytestmark = pytest.mark.data


def stepsize_of(note: str) -> tuple[float, float, dict[str, float]]:
    """γ, its multiple of theory's, and the constants that a note names."""
    words = note.split()
    constants = note.partition(" with ")[2].split(", ")
    return float(words[1]), float(words[3]), {k: float(v) for k, v in (each.split(" = ") for each in constants)}


def of_contraction(delta: float) -> tuple[float, float]:
    """EF21's θ = 1 - √(1-δ) and β = (1-δ)/θ."""
    theta = 1 - np.sqrt(1 - delta)
    return theta, (1 - delta) / theta


def adianas(most: float, omega: float, p: float) -> float:
    """The theorem's η."""
    return min(1 / (2 * most), N / (64 * omega * most * (2 * p * (omega + 1) + 1) ** 2))


def row_noise(batch: int) -> float:
    """N: what a minibatch's change of gradient is off its mean by, over ‖x⁺ - x‖², from the rows' squares."""
    squares = [own * np.sum(own**2, axis=1, keepdims=True) / 16 for own in setting().p.rows]
    largest = [
        np.linalg.eigvalsh(own.T @ square)[-1] / M for own, square in zip(setting().p.rows, squares, strict=True)
    ]
    return (M - batch) / (batch * (M - 1)) * float(np.mean(largest))


def of_rows() -> float:
    """ℒ: the largest √m_i ℒ_i."""
    squares = [own * np.sum(own**2, axis=1, keepdims=True) / 16 for own in setting().p.rows]
    return float(np.sqrt(max(
        np.linalg.eigvalsh(own.T @ square)[-1] for own, square in zip(setting().p.rows, squares, strict=True)
    )))  # fmt: skip


def page(ratio: float, p: float, noise: float, linear: bool = False) -> float:
    """1/(L + √M), the least M over Young's s and t searched for; with twice the weights for the linear rate."""
    plus, twice = np.mean(setting().each ** 2), 2.0 if linear else 1.0

    def m(logarithms: np.ndarray) -> float:
        s, t = np.exp(logarithms)
        a = twice * (1 + t)  # times A
        c = twice * ((1 + 1 / t) + a * ratio * p * (1 + 1 / s)) / p
        return a * ratio * ((1 + p * s) * plus + (1 - p) * noise) + c * (1 - p) * noise

    return 1 / (setting().L + np.sqrt(minimize(m, np.zeros(2), method="Nelder-Mead", tol=1e-12).fun))


def theory() -> dict[str, tuple[str, dict[str, Any], float]]:
    """name: (preset, settings, γ from the rows)."""
    s = setting()
    total = s.each + RIDGE
    plus, mean = np.sqrt(np.mean(s.each**2)), s.each.mean()
    a, b = of_contraction(0.1)
    trace = sum(np.sum(own**2) for own in s.p.rows) / (4 * N * M) + D * RIDGE
    return {
        "gd": ("gd", {}, 1 / s.L),
        "accelerated-gd": ("accelerated-gd", {}, 1 / s.L),
        "ef21": ("ef21", {"compressor": TopK(4)}, 1 / (s.L + plus * np.sqrt(b / a))),
        "ef21, inside": (
            "ef21", {**INSIDE, "compressor": TopK(4)}, 1 / (s.L + np.sqrt(np.mean(total**2)) * np.sqrt(b / a))
        ),
        "ef21, randk": (  # δ = 1/(ω+1) = 8/40
            "ef21", {"compressor": RandK(8)},
            1 / (s.L + plus * np.sqrt(of_contraction(0.2)[1] / of_contraction(0.2)[0])),
        ),
        "ef21, linear": (
            "ef21", {"compressor": TopK(4), "stepsize": "theory-pl"},
            min(1 / (s.L + plus * np.sqrt(2 * b / a)), a / (2 * RIDGE)),
        ),
        "ef21-plus": ("ef21-plus", {"compressor": TopK(4)}, 1 / (s.L + plus * np.sqrt(b / a))),
        "ef21-w": ("ef21-w", {"compressor": TopK(4)}, 1 / (s.L + mean * np.sqrt(b / a))),
        "lag": ("lag", {"zeta": 4.0}, 1 / (s.L + plus * 2.0)),
        "clag": ("clag", {"compressor": TopK(4), "zeta": 500.0}, 1 / (s.L + plus * np.sqrt(500.0 / a))),
        "3pc-v1": ("3pc-v1", {"compressor": TopK(4)}, 1 / (s.L + plus * np.sqrt(0.9))),
        "3pc-v2": ("3pc-v2", {"compressor": TopK(4), "first": RandK(8)}, 1 / (s.L + plus * np.sqrt(0.9 * 4 / 0.1))),
        "marina": ("marina", {"compressor": RandK(8), "p": 0.1}, 1 / (s.L + plus * np.sqrt(0.9 * 4 / N / 0.1))),
        "marina, permk": (
            "marina", {"compressor": PermK(), "p": 0.1},
            1 / (s.L + minimize_scalar(lambda c: np.sqrt(np.mean(np.maximum(c, s.each - c) ** 2))).fun * 3),
        ),
        "vr-marina": (
            "vr-marina", {"compressor": RandK(8), "p": 0.1, "batch": 7},
            1 / (s.L + np.sqrt(9 / N * (4 * plus**2 + 5 * row_noise(7)))),
        ),
        "vr-marina, permk": (
            "vr-marina", {"compressor": PermK(), "p": 0.1, "batch": 7},
            1 / (s.L + 3 * np.sqrt(
                minimize_scalar(lambda c: np.mean(np.maximum(c, s.each - c) ** 2)).fun + (1 + 1 / N) * row_noise(7)
            )),
        ),
        "byz-vr-marina-pp": (  # v of 10 of 20 clients, ω = 4
            "byz-vr-marina-pp", {"compressor": RandK(8), "p": 0.1, "batch": 7},
            1 / (s.L + 3 * np.sqrt((v := (4 + 10 / 19) / 10) * plus**2 + (v + 1 / N) * row_noise(7))),
        ),
        "ef21-page": ("ef21-page", {"compressor": TopK(4), "p": 0.2, "batch": 7}, page(b / a, 0.2, row_noise(7))),
        "ef21-page, linear": (
            "ef21-page", {"compressor": TopK(4), "p": 0.2, "batch": 7, "stepsize": "theory-pl"},
            min(page(b / a, 0.2, row_noise(7), linear=True), a / (2 * RIDGE)),
        ),
        "ef21-page, all rows": (
            "ef21-page", {"compressor": TopK(4), "batch": 50}, 1 / (s.L + plus * np.sqrt(b / a))
        ),
        "core-gd": ("core-gd", {"directions": 6}, 6 / (trace + 7 * s.L)),
        "dasha": ("dasha", {"compressor": RandK(8)}, 1 / (s.L + plus * np.sqrt(2 * 4 * 9 / N))),  # ω = 4
        "dasha, linear": (  # a = A = 1/9, B = 8: κ = 16/9
            "dasha", {"compressor": RandK(8), "stepsize": "theory-pl"},
            min(1 / (s.L + plus * np.sqrt(4 * (25 / 9) * 8 * 9 / N)), 1 / 9 / (4 * RIDGE)),
        ),
        "diana": ("diana", {"compressor": RandK(8)}, 1 / ((1 + 6 * 4 / N) * total.max())),
        "vr-diana": (
            "vr-diana", {"compressor": RandK(8), "batch": 7},
            1 / (s.L + 6 * (4 * total.max() + 43 / 343 * of_rows() * 21) / N),
        ),
        "vr-diana, all rows": (
            "vr-diana", {"compressor": RandK(8), "batch": 50}, 1 / (s.L + 6 * 4 * total.max() / N)
        ),
        "adiana": (
            "adiana", {"compressor": RandK(8), "p": 0.1}, adianas(total.max(), 4.0, 0.1)
        ),
        "adiana, natural": ("adiana", {"compressor": Natural(), "p": 0.01}, adianas(total.max(), 1 / 8, 0.01)),
        "error-feedback": ("error-feedback", {"compressor": TopK(4)}, 0.1 / (4 * s.L)),
        "econtrol": (  # G = 2q/(1-q), q = √0.9: twice EF21's
            "econtrol", {"compressor": TopK(4)}, 1 / (s.L + 2 * plus * np.sqrt(b / a))
        ),
        "econtrol, ef21's": ("econtrol", {"compressor": TopK(4), "eta": 0.0}, 1 / (s.L + plus * np.sqrt(b / a))),
        "m-fac": ("m-fac", {"dampening": 0.5}, 0.5 / s.L),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "gd", "accelerated-gd", "ef21", "ef21, inside", "ef21, randk", "ef21, linear", "ef21-plus", "ef21-w", "lag",
        "clag", "3pc-v1", "3pc-v2", "marina", "marina, permk", "vr-marina", "vr-marina, permk",
        "byz-vr-marina-pp",
        "ef21-page", "ef21-page, linear", "ef21-page, all rows", "core-gd", "dasha", "dasha, linear", "diana",
        "vr-diana", "vr-diana, all rows", "adiana", "adiana, natural", "error-feedback",
        "econtrol", "econtrol, ef21's", "m-fac",
    ],
)  # fmt: skip
def test_the_note_names_theorys_stepsize(name):
    preset, settings, gamma = theory()[name]
    result = run(preset, **settings)
    (note,) = result.theory
    told, times, constants = stepsize_of(note)
    assert told == pytest.approx(gamma, rel=1e-5) and times == 1.0  # six digits are told
    assert note in result.notes
    if "L" in constants:
        assert constants["L"] == pytest.approx(setting().L, rel=1e-5)


def test_the_note_names_what_the_stepsize_is_made_of():
    s = setting()
    a, b = of_contraction(0.1)
    told, _, constants = stepsize_of(run("ef21", compressor=TopK(4)).theory[0])
    expected = {"L": s.L, "L_plus": np.sqrt(np.mean(s.each**2)), "A": a, "B": b}
    assert constants == pytest.approx(expected, rel=1e-5)
    assert told == pytest.approx(1 / (constants["L"] + constants["L_plus"] * np.sqrt(b / a)), rel=1e-5)


@pytest.mark.parametrize("given, times", [("theory*16", 16.0), ("theory-pl*4", 4.0), ("theory*1.5", 1.5)])
def test_a_multiple_of_theory_is_taken_and_told(given, times):
    result = run("ef21", rounds=1, compressor=TopK(4), stepsize=given)
    note, beyond = result.theory
    word = given.partition("*")[0]
    gamma, factor, _ = stepsize_of(note)
    s, largest = setting(), stepsize_of(run("ef21", compressor=TopK(4), stepsize=word).theory[0])[0]
    assert factor == times and gamma == pytest.approx(times * largest, rel=1e-5)
    assert "beyond what theory allows" in beyond and beyond in result.notes
    # And it is the step that is taken, from x⁰ = 0 with whole gradients.
    assert result.x == pytest.approx(-gamma * s.p.total_gradient(np.zeros(D)), rel=2e-5)


@pytest.mark.parametrize("given", ["theory*0.5", 0.01, np.float64(0.01)])
def test_a_smaller_step_is_within_theory(given):
    assert len(run("ef21", compressor=TopK(4), stepsize=given).theory) == 1


@pytest.mark.parametrize("method", ["diana", "vr-diana"])
def test_shifts_that_never_move_have_no_theory(method):
    with pytest.raises(ValueError, match="alpha: given 0, and theory needs it above 0"):
        run(method, compressor=RandK(4), alpha=0.0)


def test_a_number_beyond_theory_is_told_of():
    assert "beyond what theory allows" in run("ef21", compressor=TopK(4), stepsize=3.0).notes[-1]


def test_a_number_needs_no_theory():
    """Functions state no bound: a number serves, and no note is made."""
    problem = functions_problem()[0]
    result = run("ef21", rounds=3, problem=problem, compressor=TopK(2), stepsize=0.1)
    assert result.theory == [] and result.rounds == 3
    with pytest.raises(ValueError, match="no smoothness constant L is known"):
        run("ef21", problem=problem)


BEYOND_THEORY: list[tuple[str, dict[str, Any], str]] = [
    ("ef-bv", {"compressor": RandK(4), "lam": 1.0}, "theorem needs"),
    ("ef-bv", {"compressor": RandK(4), "lam": 0.0}, "theorem needs"),
    ("econtrol", {"compressor": TopK(4), "eta": 0.5}, "eta: given 0.5, and errors are known to stay bounded below"),
    ("dasha", {"compressor": RandK(4), "momentum": 0.5}, "momentum: given 0.5, and .A, B. are known below"),
    ("diana", {"compressor": RandK(4), "alpha": 1.0}, r"alpha: given 1, and theory needs at most 1/\(1\+ω\) = 0.1"),
    ("artemis", {"compressor": RandK(4), "alpha": 1.0}, "alpha: given 1"),
    ("dore", {"alpha": 1.0, "eta": 0.1}, "alpha: given 1"),
    ("dore", {"beta": 1.0, "eta": 0.1}, "beta: given 1"),
    ("dore", {"eta": 1.0, "down": RandK(4)}, "eta: given 1"),
    ("ef21", {"compressor": TopK(4), "down": Diana(RandK(4))}, r"no \(A, B\)"),
    ("ef21", {"compressor": Clip(1.0)}, "clip:1 contracts bounded vectors alone, and this theory needs one δ for all"),
    ("ef-bv", {"compressor": Clip(1.0), "lam": 1.0, "nu": 1.0}, "clip:1 contracts bounded vectors alone"),
    ("econtrol", {"compressor": Clip(1.0), "eta": 0.1}, "clip:1 contracts bounded vectors alone"),
]


@pytest.mark.parametrize("name, settings, words", BEYOND_THEORY)
def test_rates_that_no_theorem_has_need_a_number(name, settings, words):
    with pytest.raises(ValueError, match=f"stepsize: theory is not known here .*{words}.*give stepsize=NUMBER"):
        run(name, **settings, stepsize="theory")
    assert run(name, **settings, stepsize=1e-3, rounds=2).theory == []


def test_a_constant_function_has_no_step_of_theory():
    problem = dense_glm(ridge=0.0)
    flat = glm(np.zeros((8, 3)), np.ones(8), [4, 4], problem.loss, ridge=0.0)
    for name in ("gd", "ef21", "diana", "adiana", "m-fac"):
        with pytest.raises(ValueError, match="L is 0"):
            solve(flat, METHODS[name](), x0=np.ones(3), rounds=2, tol=0.0)


def test_gd_with_compression_downwards_takes_the_bidirectional_step():
    """(A, B) = (1, 0) upwards: γ = 1/(L + L̃√(6B_M/A_M))."""
    note = run("gd", down=LAG(50.0), stepsize="theory", rounds=1).theory[0]
    each, smooth = setting().each + RIDGE, setting().L
    expected = 1.0 / (smooth + np.sqrt(np.mean(each**2)) * np.sqrt(6.0 * 50.0))
    assert float(note.split()[1]) == pytest.approx(expected, rel=2e-5)
    assert "6B_M(B+1)/A_M" in note


def test_an_unknown_mu_is_told_of():
    told = solve(dense_glm(ridge=0.0), METHODS["ef21"](compressor=TopK(3), stepsize="theory-pl"), rounds=1).theory
    assert any("μ is not known to be above 0" in note for note in told)
