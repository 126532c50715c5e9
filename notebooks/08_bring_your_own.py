# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Bring your own loss, compressor and data
#
# The parts of newtonfl fit together by a few promises, and parts of your own fit in the same places. This notebook
# makes a data set, a loss, a compressor, and a problem that is no data set at all.

# %%
import math
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.preprocessing import scale

import newtonfl as nf
from newtonfl.checks import check_compressor, check_loss

# %% [markdown]
# ## Your own data
#
# Scikit-learn's diabetes data: ten measurements of 442 patients, and how far the illness went in a year. We pretend
# that five clinics hold them, each the patients of one age group. `nf.from_arrays` takes rows, labels, and for every
# row the name of its client.

# %%
X, y = load_diabetes(return_X_y=True)
y = scale(y)
clinic = np.array(["A", "B", "C", "D", "E"])[np.searchsorted(np.quantile(X[:, 0], [0.2, 0.4, 0.6, 0.8]), X[:, 0])]
problem = nf.from_arrays(X, y, "squared", clients=clinic, l2=1e-3, intercept=True)
print(f"{problem.n_clients} clients, {problem.dim} numbers to find: ten weights and an intercept")
print("minimise", problem.objective)

# %% [markdown]
# Squared errors have a solution in closed form, so here the library can be held to the truth.

# %%
result = nf.solve(problem, nf.newton_3pc(), tol=1e-11)
A = np.column_stack([X, np.ones(len(X))])
closed_form = np.linalg.solve(A.T @ A / len(y) + np.diag(problem.ridge), A.T @ y / len(y))
print(f"{result.reason}; furthest from the closed form: {np.abs(result.x - closed_form).max():.0e}")
assert result.converged and np.allclose(result.x, closed_form, atol=1e-7)

# %% [markdown]
# The same as an estimator in the style of scikit-learn, beside scikit-learn's own on all rows in one place. (That
# one's `alpha` is divided by the number of rows; docs/objectives.md has such differences for several libraries.)

# %%
federated = nf.FederatedRidge(alpha=1e-3, tol=1e-11).fit(X, y, groups=clinic)
central = Ridge(alpha=1e-3 * len(y)).fit(X, y)
print(f"R² {federated.score(X, y):.6f} over five clinics, {central.score(X, y):.6f} in one place")
print({kind: f"{sent:,.0f}" for kind, sent in federated.communication_.items() if kind.startswith("bytes")})
assert np.allclose(federated.coef_, central.coef_, atol=1e-7)

# %% [markdown]
# ## Your own loss
#
# Squares weigh outliers heavily. The loss log cosh(r) of an error r behaves like r²/2 near zero and like |r| far out.
# A loss is a function of the prediction t and the label y with its first two derivatives in t, written for whole
# arrays, and two bounds that theory needs: the largest second derivative, and the largest third one.
#
# The second derivative is 1/cosh²(r) ≤ 1; the third is −2 tanh(r)/cosh²(r), at most 4/(3√3) in magnitude.


# %%
@dataclass(frozen=True)
class LogCosh(nf.Loss):
    formula = "log cosh(aᵀx - y)"
    curvature_bound = 1.0
    curvature_lipschitz = 4.0 / (3.0 * math.sqrt(3.0))

    def value(self, t, y):
        r = np.abs(t - y)  # cosh itself would overflow far away, and its logarithm loses digits near zero
        near = np.log1p(2.0 * np.sinh(np.minimum(r, 1.0) / 2.0) ** 2)
        return np.where(r < 1.0, near, r + np.log1p(np.exp(-2.0 * r)) - math.log(2.0))

    def slope(self, t, y):
        return np.tanh(t - y)

    def curvature(self, t, y):
        small = np.exp(-2.0 * np.abs(t - y))
        return 4.0 * small / (1.0 + small) ** 2


# %% [markdown]
# A check tries derivatives against differences, bounds, convexity and both tails.

# %%
check_loss(LogCosh())

# %%
robust = nf.from_arrays(
    X, y, LogCosh(), clients=clinic, l2=1e-3, intercept=True, title="Diabetes, five clinics, log cosh"
)
print("minimise", robust.objective)
result = nf.solve(robust, nf.newton_3pc())
print(result.reason)
assert result.converged

# %% [markdown]
# Every method of the library now works on that loss, with the step sizes and constants that theory derives from its
# two bounds.
#
# ## Your own compressor
#
# A compressor makes a small message of a vector. This one sends the fewest entries that hold half of the vector's
# energy ‖v‖²: one entry where one stands out, many where all are alike. So at most half of the energy is lost, and
# that is the *contract* that it states, δ = ½: ‖C(v) − v‖² ≤ (1 − δ)‖v‖². All theory builds on the contract alone.
#
# `check_compressor` tries it: the contract on random vectors and on hard ones, that zeros cost nothing, that messages
# arrive on the other side in the same bits, and more.


# %%
@dataclass(frozen=True)
class Energy(nf.Compressor):
    share: float = 0.5

    def contract(self, size):
        return nf.Contractive(self.share)

    def compress(self, v, key):
        largest_first = np.argsort(-np.abs(v), kind="stable")
        energy = np.cumsum(v[largest_first] ** 2)
        count = np.searchsorted(energy, self.share * energy[-1]) + 1 if v.any() else 0
        kept = np.sort(largest_first[:count])
        return nf.Sparse(kept, v[kept])


check_compressor(Energy())
print("the compressor keeps its contract, on random vectors and on hard ones")

# %% [markdown]
# A compressor that promises more than it keeps is found out:


# %%
@dataclass(frozen=True)
class Boastful(Energy):
    def contract(self, size):
        return nf.Contractive(0.9)


try:
    check_compressor(Boastful())
except AssertionError as broken:
    print(broken)
else:
    raise AssertionError("the check saw nothing")

# %% [markdown]
# It goes wherever the library's own go: on Hessians, on gradients, inside any mechanism.

# %%
comparison = nf.compare(
    robust,
    {
        "Newton-3PC, Top-d": nf.newton_3pc(),
        "Newton-3PC, half the energy": nf.newton_3pc(compressor=Energy()),
        "the same, lazily": nf.newton_3pc(mechanism=nf.CLAG(Energy(), zeta=2.0)),
    },
)
print(comparison)

# %%
comparison.plot(over="bytes")

# %%
assert all(result.history[-1].gap <= 1e-12 for result in comparison.results.values())

# %% [markdown]
# ## A problem that is no data set
#
# Where should a depot stand, if five towns each want it near, and a town's discontent is √(1 + ‖x − p‖²) for its own
# place p? Every town is a client that tells no one where it lies. Three functions of (client, x) make the problem.

# %%
towns = np.array([[0.0, 0.0], [4.0, 0.0], [5.0, 3.0], [1.0, 4.0], [9.0, 9.0]])


def discontent(i, x):
    return math.sqrt(1.0 + (x - towns[i]) @ (x - towns[i]))


def gradient(i, x):
    return (x - towns[i]) / discontent(i, x)


def hessian(i, x):
    return (np.eye(2) - np.outer(gradient(i, x), gradient(i, x))) / discontent(i, x)


depot = nf.FromFunctions(5, 2, discontent, gradient, hessian, objective="(1/5) Σ √(1 + ‖x - p_i‖²)")
result = nf.solve(depot, nf.newton_3pc(), tol=1e-10)
print(f"{result.reason}: the depot stands at ({result.x[0]:.3f}, {result.x[1]:.3f})")
assert result.converged
assert abs(sum(gradient(i, result.x) for i in range(5))).max() < 1e-9

# %% [markdown]
# At that place the five towns pull with equal force, so that nothing moves it. Other parts have their checks too:
# `check_basis`, `check_mechanism`, `check_method` and `check_problem` in `newtonfl.checks`.
