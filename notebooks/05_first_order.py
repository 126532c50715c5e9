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
# # 5. First-order methods and AdaCGD
#
# First-order methods send gradients, d numbers instead of a matrix. Where d is so large that nobody can hold a d × d
# matrix they are all there is, and much thought has gone into sending a gradient for less. This notebook shows the
# main ideas side by side; each stands for a family in the library.
#
# | method | what a client sends of its gradient |
# |---|---|
# | gradient descent | all of it |
# | EF21 (arXiv 2106.05203) | the K largest entries of how far its last picture is off |
# | LAG (in 2202.00998) | all of it where it has changed enough, else nothing |
# | CLAG (2202.00998) | K entries where it has changed enough, else nothing |
# | AdaCGD (2211.00188) | of a ladder of compressions the cheapest that is near enough: nothing, 1 entry, …, d/2 |
# | DIANA (1901.09269) | K random entries of the difference to a shift that learns |
# | MARINA (2102.07845) | K random entries of the change; now and then all clients tell everything |

# %%
import numpy as np

import newtonfl as nf

# %%
problem = nf.load("digits", l2=0.2)
print(problem.title)
print("minimise", problem.objective)

# %% [markdown]
# ## The same step for all
#
# Theory proves convergence for every one of these methods with a certain step size γ, and the more a method
# compresses, the smaller its proven γ, for theory thinks of the worst case. (That is `stepsize=theory`, the default.)
# Here all take the one step γ = 0.3, about what gradient descent is proven for, so that they differ in what a round
# costs and in little else. The papers do likewise: they try multiples of the proven step and keep the best.

# %%
comparison = nf.compare(
    problem,
    {
        "gradient descent": "gd,stepsize=0.3",
        "EF21, Top-K": "ef21,stepsize=0.3",
        "LAG": "lag,stepsize=0.3",
        "CLAG, Top-K": "clag,stepsize=0.3,zeta=8",
        "AdaCGD": "adacgd,stepsize=0.3,zeta=8",
        "DIANA, Rand-K": "diana,stepsize=0.3",
        "MARINA, Rand-K": "marina,stepsize=0.3",
        "EF21, both ways": "ef21-bc,stepsize=0.3,down=topk:0.1d",
    },
    rounds=90,
)

# %%
comparison.plot(over="rounds")

# %%
comparison.plot(over="bytes_up")

# %% [markdown]
# Over rounds the curves nearly lie on one another, and end as straight lines: every further digit of accuracy costs as
# many rounds as the one before. Over the bytes that go *up*, from client to server, they part. (The axis of bytes is
# logarithmic, and bends straight lines downwards; what counts is where a curve reaches an accuracy.)

# %%
up = comparison.costs("bytes_up", accuracy=1e-6)
print("KiB up to 1e-6:", {label: round(sent / 1024, 1) for label, sent in up.items()})
assert all(up["gradient descent"] > 2 * sent for label, sent in up.items() if label not in ("gradient descent", "LAG"))
assert up["gradient descent"] > up["LAG"]
assert min(up, key=up.get) in ("EF21, Top-K", "CLAG, Top-K", "EF21, both ways")

# %% [markdown]
# Sending the right few entries is what saves most here; being lazy without compressing saves least.
#
# None of this saves anything on the way *down*, where the server sends x whole in every round. `ef21-bc` compresses
# both ways. It could not be distinguished from EF21 by the bytes that go up; by the bytes of both ways it is alone:

# %%
comparison.plot(over="bytes")

# %%
both = comparison.costs("bytes", accuracy=1e-6)
assert all(both["EF21, both ways"] < sent / 2 for label, sent in both.items() if label != "EF21, both ways")

# %% [markdown]
# ## Which rung of the ladder AdaCGD took
#
# AdaCGD decides for every message anew how much to send. The history counts how many messages were of level 0, nothing
# at all, of level 1, and so on.

# %%
levels = np.array(comparison.results["AdaCGD"].history[-1].levels_up)
ladder = ["nothing", "Top-1", "Top-0.02d", "Top-0.05d", "Top-0.1d", "Top-0.25d", "Top-0.5d"]
print({name: f"{share:.0%}" for name, share in zip(ladder, levels / levels.sum(), strict=False)})
assert levels[0] > levels.sum() / 4 and np.count_nonzero(levels) >= 4 and up["AdaCGD"] < 1.3 * min(up.values())

# %% [markdown]
# A large part of its messages said nothing, and the rest spread over the ladder. It does not beat EF21's K here, but
# nobody had to find that K.
#
# ## Where f is not convex
#
# The papers' experiments add a term that makes f non-convex, ρ Σ xⱼ²/(1 + xⱼ²). Second-order methods refuse such a
# problem in words; first-order ones are made for it. There may be several minima then, and no f\* to measure from:
# what is drawn is the gradient's norm.

# %%
rough = nf.load("digits", l2=0.0, nonconvex=0.1)
print("minimise", rough.objective)
nonconvex = nf.compare(
    rough,
    {
        "gradient descent": "gd,stepsize=0.3",
        "CLAG, Top-K": "clag,stepsize=0.3,zeta=8",
        "AdaCGD": "adacgd,stepsize=0.3,zeta=8",
    },
    rounds=80,
)
nonconvex.plot(over="bytes_up")

# %%
ends = {label: result.history[-1] for label, result in nonconvex.results.items()}
print({label: f"{end.gradient_norm:.1e} after {end.bytes_up:,.0f} bytes up" for label, end in ends.items()})
assert all(end.gradient_norm < 1.2 * ends["gradient descent"].gradient_norm for end in ends.values())
assert ends["gradient descent"].bytes_up > 3 * max(ends["CLAG, Top-K"].bytes_up, ends["AdaCGD"].bytes_up)

# %% [markdown]
# As before: to get equally far, gradient descent sends several times as much.
