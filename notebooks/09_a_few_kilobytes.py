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
# # 9. A few kilobytes
#
# How many bytes does it take to fit a model over sixteen machines to twelve digits? Newton's method sends a matrix of
# second derivatives in every round, d²/2 numbers of 8 bytes from each machine; the field's methods send parts of it.
# This notebook follows the library's own method, `lattice-newton`, which sends *integers*, and asks at each step how
# small they may be.

# %%
import numpy as np

import newtonfl as nf
from newtonfl.comm.laws import encode_vectors, quarters

# %%
problem = nf.load("breast_cancer", clients=16, l2=1e-3)
print(problem.title)
print("minimise", problem.objective)

# %% [markdown]
# ## How much is there to say?
#
# A client's gradient has d = 30 numbers. In double precision that is 240 bytes, and it hardly matters: the numbers of
# one round are nearly those of the round before. So a client sends what has *changed*, and rounds it to a grid. If the
# grid is as wide as a typical change, the integers are 0, 1, -1 and a few more, and there is not much to say.

# %%
x = nf.optimum(problem)[0]
before, after = problem.at(x + 0.010).gradient[0], problem.at(x + 0.009).gradient[0]
change = after - before
width = float(np.sqrt(np.mean(change**2)))
integers = np.rint(change / width).astype(np.int64)
print(integers)

# %% [markdown]
# A code that knows roughly how large integers are spends few bits on each. Both ends predict sizes from what has been
# sent before; then a *range coder* gives an integer of probability p about log₂(1/p) bits.

# %%
(code,) = encode_vectors(integers, quarters(np.ones(30)), np.array([30]))
print(f"{len(code)} bytes where double precision takes {8 * 30}")
assert len(code) < 25

# %% [markdown]
# Rounding makes an error, of course. The art is to let it be no larger than the error that is there anyway: x is not
# the solution yet, so its gradient need not be known better than that. In each round the server tells the clients two
# numbers, the widths of the grids, as fine as this round can use and no finer. Errors do not pile up, because every
# change is measured from what has *arrived*.
#
# ## And the second derivatives?
#
# Few clients send them, the ones whose rows say most, once or twice. For the rest the server learns from the gradients
# themselves: how they change along a step says how f curves along it (BFGS). It costs no byte.
#
# ## Side by side

# %%
comparison = nf.compare(
    problem,
    {
        "lattice-newton": "lattice-newton",
        "Newton": "newton",
        "BL1": "bl1",
        "Newton-3PC": "newton-3pc",
        "gradients alone (L-BFGS)": "l-bfgs",
    },
    rounds=120,
)

# %%
comparison.plot(over="bytes")

# %%
sent = comparison.costs("bytes", accuracy=1e-12)
print("KiB to 1e-12:", {label: round(size / 1024, 1) for label, size in sent.items()})
assert all(sent["lattice-newton"] < size / 5 for label, size in sent.items() if label != "lattice-newton")

# %% [markdown]
# The axis is logarithmic: the curve on the left has ended where the others have hardly begun. It takes more rounds than
# Newton's method, but not many more.

# %%
rounds = comparison.costs("rounds", accuracy=1e-12)
print({label: int(k) for label, k in rounds.items()})
assert rounds["Newton"] < rounds["lattice-newton"] < 2 * rounds["Newton"] + 10

# %% [markdown]
# ## What it does not do
#
# Nothing is proved about it from afar, as the others' theorems are: it is measured, on the data sets of this field and
# their splits (docs/record.md). It needs a d × d matrix on the server, so d of some hundreds or thousands. And a few
# kilobytes are not privacy: rounded gradients are still gradients.
