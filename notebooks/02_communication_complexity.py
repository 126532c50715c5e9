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
# # 2. What second-order methods send
#
# This notebook runs the main comparison of the paper on Newton-3PC again (arXiv 2206.03588): one problem, one start,
# and for each method the bits that it sends until it is near the minimum.
#
# The problem is the paper's: a1a, census records from which to tell who earns more than 50,000 dollars. It is one of
# the LIBSVM data sets. newtonfl looks for the file `a1a` in the folder that the environment variable `NEWTONFL_DATA`
# names; without one it downloads the file once and checks it. Sixteen clients hold 100 rows each, and there are d =
# 123 numbers to find.

# %%
import newtonfl as nf

# %%
problem = nf.load("a1a")
print(problem.title)
print("minimise", problem.objective)

# %% [markdown]
# **The start.** What these methods promise is fast progress *near* the minimum x\*, and so the papers start near it:
# at x\* + 0.1 in every coordinate. `nf.optimum` finds x\*, outside of all counts; nobody would know it in practice,
# and notebook 1 shows a method that is safe from anywhere.

# %%
x_star, f_star = nf.optimum(problem)
x0 = x_star + 0.1
print(f"the minimum is f* = {f_star:.6f}")

# %% [markdown]
# **The methods.** All of them are Newton's method with less to send. They differ in what stands for the Hessian.
#
# | method | what a client sends in a round |
# |---|---|
# | Newton | the gradient and its whole Hessian |
# | FedNL | the gradient, and a rank-1 part of how far the server's picture of its Hessian is off |
# | Newton-3PC | the gradient, and with probability ¾ the d entries that are furthest off |
# | BL1 | the gradient, and a few entries of the Hessian's change in better coordinates: notebook 4 |
# | NL1 | the gradient, and some rows of its data with their second derivatives. Rows become known |
# | DINGO | gradients and products with the inverse of its own Hessian, in several exchanges |
#
# **The count.** Papers count 32 bits for each number sent, which is what `formula kbit` shows: both ways, the mean
# client's, and with the set-up: the first Hessian, which all but DINGO begin with, and the coordinates of BL1.

# %%
second_order = nf.compare(
    problem,
    {
        "Newton": "newton",
        "FedNL, Rank-1": "fednl,compressor=rank:1",
        "Newton-3PC, CBAG Top-d": "newton-3pc,mechanism=cbag:0.75,compressor=topk:1d",
        "BL1": "bl1",
        "NL1": "nl1",
        "DINGO": "dingo",
    },
    x0=x0,
    rounds=80,
)
print(second_order)

# %%
second_order.plot(over="formula_bits")

# %% [markdown]
# What the paper reports, and what therefore should be seen: Newton-3PC ahead of FedNL, and both ahead of DINGO. (Its
# fifth method, Fib-IOS, comes last there and is left out here.) Whole Hessians need the fewest rounds by far, and more
# bits than all but DINGO. The next cell holds the text to that.

# %%
bits = second_order.costs("formula_bits", accuracy=1e-9)
rounds = second_order.costs("rounds", accuracy=1e-9)
assert min(rounds, key=rounds.get) == "Newton"
assert min(bits, key=bits.get) == "BL1"
assert bits["Newton-3PC, CBAG Top-d"] < bits["FedNL, Rank-1"] < bits["Newton"] < bits["DINGO"]

# %% [markdown]
# Two things are **not** as in the paper. DINGO is nearer to the others: the paper's was held to small steps at first.
# And NL1 is ahead of Newton-3PC here, and behind it there. NL1 sends rows of data with a number for each, and 100 rows
# a client are few; the more rows a client has, the longer NL1 takes to tell of them. It also gives the rows away,
# which the other methods do not.
#
# ## With first-order methods
#
# First-order methods send gradients alone, or parts of them (notebook 5). One round costs them next to nothing, so
# they get many more of them.

# %%
first_order = nf.compare(
    problem,
    {
        "BL1": "bl1",
        "Newton-3PC, CBAG Top-d": "newton-3pc,mechanism=cbag:0.75,compressor=topk:1d",
        "gradient descent": "gd",
        "accelerated gradient descent": "accelerated-gd",
        "DIANA, Rand-d/10": "diana",
    },
    x0=x0,
    rounds=200,
)
print(first_order)

# %%
first_order.plot(over="formula_bits")

# %%
bits = first_order.costs("formula_bits", accuracy=1e-6)
arrived = {label for label, sent in bits.items() if sent is not None}
assert arrived == {"BL1", "Newton-3PC, CBAG Top-d", "accelerated gradient descent"}
assert bits["accelerated gradient descent"] > 2 * bits["Newton-3PC, CBAG Top-d"]

# %% [markdown]
# To a rough accuracy first order is quick: its curves begin on the left, since there is no first Hessian to send. But
# every further digit costs it as much as the one before, and on a problem like this one that is a lot. Of the three
# only the accelerated method arrives at 1e-6 within these rounds, at more than twice the bits of Newton-3PC. The
# second-order curves fall almost straight down: their last digits cost next to nothing.
#
# ## By measured bytes
#
# Formula bits leave out what a real message needs beside its numbers, and count whole matrices where most entries are
# zero. newtonfl also counts the bytes on the wire, every header included.

# %%
second_order.plot(over="bytes")

# %%
sent = second_order.costs("bytes", accuracy=1e-9)
assert sent["Newton"] < sent["Newton-3PC, CBAG Top-d"] < sent["FedNL, Rank-1"] < sent["DINGO"]

# %% [markdown]
# Now Newton's method with whole Hessians looks good! The rows of a1a are nearly empty, so most entries of a client's
# Hessian are zero for ever, and on the wire zeros cost nothing; the papers' formula counts them in full. Which count
# to trust depends on the question: the formula compares ideas, the wire says what *this* data set would cost.
