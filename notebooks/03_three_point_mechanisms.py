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
# # 3. Three-point mechanisms and adaptive thresholding
#
# A client's Hessian changes a little from round to round. What should it send, given what it has sent before? A
# **mechanism** answers that. It looks at three points (hence *3PC*, three-point compressor; arXiv 2202.00998, and
# 2206.03588 for Hessians):
#
# - h, what server and client both hold: the sum of all that was sent so far;
# - y, the client's Hessian of the round before;
# - x, its Hessian now, which the server should learn of.
#
# And it uses a **compressor**, which makes a small message of a large matrix: `topk:1d` keeps the d largest entries,
# `threshold:0.5` those that are at least half as large as the largest.
#
# | mechanism | what the client sends | idea |
# |---|---|---|
# | EF21 | the compressed x − h, every round | errors are made up for later |
# | LAG | x whole where h is far from x, measured by how far x moved; else nothing | be lazy |
# | CLAG | the compressed x − h under the same condition | lazy and compressed |
# | CBAG | the compressed x − h if a coin says so, one coin for all clients | on tails no Hessian need be computed |
# | adaptive Top-K | as many entries as the movement asks for, at most K | less when less is new |
#
# Data set: a1a, found through `NEWTONFL_DATA` or downloaded by the library (see notebook 2).

# %%
import numpy as np

import newtonfl as nf
from newtonfl.checks import check_mechanism

# %%
problem = nf.load("a1a")
x0 = nf.optimum(problem)[0] + 0.1

# %% [markdown]
# ## How a compressor and a mechanism work together
#
# First a compressor alone, on six numbers.

# %%
v = np.array([0.5, -4.0, 1.0, 3.0, -2.5, 0.1])
key = nf.Key(seed=0)
for compressor in (nf.TopK(2), nf.Threshold(0.5)):
    message = compressor.compress(v, key)
    print(f"{compressor!s:14} sends entries {message.indices} with values {message.values}")
assert list(nf.TopK(2).compress(v, key).indices) == [1, 3]
assert list(nf.Threshold(0.5).compress(v, key).indices) == [1, 3, 4]

# %% [markdown]
# `TopK` always sends the same number of entries. `Threshold` **adapts**: it sends one number where one stands out, and
# many where all are alike. What it will cost is not known beforehand; that the worst that it leaves out is small
# beside the largest, is.
#
# What theory asks of a mechanism is one inequality between the three points, with two constants A and B.
# `check_mechanism` tries it on random and on hard cases, together with everything else that a mechanism must do, and
# says in words what does not hold.

# %%
top2 = nf.TopK(2)
made = {"EF21": nf.EF21(top2), "LAG": nf.LAG(2.0), "CLAG": nf.CLAG(top2, zeta=2.0), "CBAG": nf.CBAG(top2, p=0.5)}
for name, mechanism in made.items():
    check_mechanism(mechanism)
    print(f"{name} keeps its promise: for six numbers with A = %.3f and B = %.3f" % mechanism.constants(6))

# %% [markdown]
# ## The mechanisms side by side
#
# The same method, Newton-3PC, with each of them; K is ten times d where a compressor is used, and the number behind
# LAG and CLAG says how lazy they are. As in the papers bits are 32 for each number sent.

# %%
mechanisms = nf.compare(
    problem,
    {
        "no mechanism: whole Hessians": "newton",
        "EF21": "newton-3pc,compressor=topk:10d",
        "LAG": "newton-3pc,mechanism=lag:2",
        "CLAG": "newton-3pc,mechanism=clag:16,compressor=topk:10d",
        "CBAG": "newton-3pc,mechanism=cbag:0.5,compressor=topk:10d,l=last",
        "adaptive Top-K": "newton-3pc,mechanism=adaptive-topk,compressor=topk:10d",
        "3PCv1: a whole matrix and more": "newton-3pc,mechanism=3pc-v1,compressor=topk:10d",
    },
    x0=x0,
    rounds=60,
)
print(mechanisms)

# %%
mechanisms.plot(over="formula_bits")

# %%
bits = mechanisms.costs("formula_bits", accuracy=1e-9)
sparing = [bits[label] for label in ("EF21", "CLAG", "CBAG", "adaptive Top-K")]
assert max(sparing) < 1.3 * min(sparing) and max(sparing) < 0.7 * bits["no mechanism: whole Hessians"]
assert bits["3PCv1: a whole matrix and more"] > 2 * max(sparing)
rounds, hessians = mechanisms.costs("rounds", accuracy=1e-9), mechanisms.costs("hessians", accuracy=1e-9)
assert hessians["CBAG"] < rounds["CBAG"] and hessians["CLAG"] == rounds["CLAG"]

# %% [markdown]
# Three things to see. The four mechanisms that compress lie close together: once a compressor does its work, being
# lazy on top of it saves little. 3PCv1, which sends a whole matrix each round to have an exact y, is far behind. And
# CBAG computed fewer **Hessians** than it did rounds: see the column `Hessians` of the table. Its coin is thrown
# before anybody has computed anything (and `l=last` lets the step do without the Hessian of a round of tails), while
# CLAG must compute a Hessian to find that it need not be sent.
#
# ## Adaptive thresholding
#
# A threshold in the place of Top-K, within three mechanisms.

# %%
thresholding = nf.compare(
    problem,
    {
        "Top-d": "newton-3pc,compressor=topk:1d",
        "Top-d, CBAG": "newton-3pc,compressor=topk:1d,mechanism=cbag:0.5",
        "threshold": "newton-3pc,compressor=threshold:0.5",
        "threshold, CLAG": "newton-3pc,compressor=threshold:0.5,mechanism=clag:2",
        "threshold, CBAG": "newton-3pc,compressor=threshold:0.5,mechanism=cbag:0.5",
    },
    x0=x0,
    rounds=100,
)
thresholding.plot(over="formula_bits")

# %%
bits, rounds = thresholding.costs("formula_bits", accuracy=1e-12), thresholding.costs("rounds", accuracy=1e-12)
print({label: f"{sent / 1000:.0f} kbit in {rounds[label]} rounds" for label, sent in bits.items()})
assert rounds["threshold"] < rounds["Top-d"]
assert max(bits[label] for label in bits if "threshold" in label) < bits["Top-d, CBAG"]

# %% [markdown]
# The threshold takes fewer rounds than Top-d, and in every one of the mechanisms it stays below Top-d with CBAG, as in
# the paper. How many entries a round sends, the threshold decides by itself:

# %%
bits = np.diff([record.formula_bits_up for record in thresholding.results["threshold"].history])
entries = bits[1:] / 32 - problem.dim  # beside the gradient; round 1 tells of no Hessian yet
print("entries of a Hessian, a mean client's, round by round:", entries.astype(int))
assert entries[:5].mean() < entries[-5:].mean() / 1.5

# %% [markdown]
# Few at first, when some errors are much larger than the rest; more later, when what is left is even.
