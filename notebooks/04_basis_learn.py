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
# # 4. Basis Learn: better coordinates for a Hessian
#
# What a compressor must send depends on the coordinates in which a matrix is written. A matrix that is full of numbers
# in one basis may have a handful of them in another. *Basis Learn* (arXiv 2111.01847) chooses the basis by the data.
#
# Data set: a1a, found through `NEWTONFL_DATA` or downloaded by the library (see notebook 2).

# %%
import numpy as np

import newtonfl as nf
from newtonfl.checks import check_basis

# %%
problem = nf.load("a1a")
x0 = nf.optimum(problem)[0] + 0.1

# %% [markdown]
# ## Why a client's Hessian is small
#
# For a model that looks at a row a of data through the one number aᵀx, such as logistic regression, a client's Hessian
# is a sum of its rows' products, Σ wⱼ aⱼaⱼᵀ. So it can be no larger than the span of those rows. Client 0 as an
# example:

# %%
rows = problem.client_rows(0)
rank = int(np.linalg.matrix_rank(rows))
hessian = problem.at(x0).hessian(0)
print(f"client 0 holds {len(rows)} rows in dimension {problem.dim}; they span {rank} directions")
print(f"its Hessian has {problem.dim * (problem.dim + 1) // 2} entries, {rank * (rank + 1) // 2} in that span")
assert np.linalg.matrix_rank(hessian) <= rank < problem.dim

# %% [markdown]
# And a basis is no approximation. With V an orthonormal basis of the span, V Vᵀ H V Vᵀ is H again, to rounding.

# %%
V = np.linalg.svd(rows, full_matrices=False)[2][:rank].T
error = np.linalg.norm(V @ (V.T @ hessian @ V) @ V.T - hessian) / np.linalg.norm(hessian)
print(f"relative error {error:.0e}")
assert error < 1e-12

# %% [markdown]
# ## Four bases
#
# | basis | a client's coordinates | what the server needs once |
# |---|---|---|
# | symmetric | all entries of the upper triangle | nothing: both know them |
# | support | the entries that can ever be other than zero | their positions |
# | data | VᵀHV for the span of the client's rows; gradients become shorter too | V |
# | psd | coefficients in a basis of positive semidefinite matrices | nothing |
#
# What the server needs once travels in a *set-up message*, and stands on the ledger as set-up, together with the first
# Hessian. `check_basis` tries that a basis keeps its promises on a problem, among them that the server
# can rebuild every Hessian.

# %%
small = nf.load("breast_cancer", clients=4)
for basis in (nf.Symmetric(), nf.Support(), nf.DataSubspace(), nf.PSD()):
    check_basis(basis, problem if basis == nf.Support() else small)
    print(f"{basis.name:10} keeps its promises")

# %% [markdown]
# Now the same method, Newton-3PC with Top-d, in the first three.

# %%
bases = nf.compare(problem, {basis: f"newton-3pc,basis={basis}" for basis in ("symmetric", "support", "data")}, x0=x0)
print(bases)

# %%
setup = {basis: result.history[0].setup_bytes_up for basis, result in bases.results.items()}
rounds = {basis: result.rounds for basis, result in bases.results.items()}
print("set-up, bytes up:", {basis: f"{sent:,.0f}" for basis, sent in setup.items()})
assert rounds["support"] == rounds["symmetric"] > rounds["data"]
assert setup["support"] < setup["symmetric"] < setup["data"]

# %% [markdown]
# *Support* takes the very rounds that *symmetric* takes: it is the same basis without the entries that stay zero. It
# saves bytes in the first Hessian, for the rows of a1a are nearly empty, although the positions must be sent. The
# *data* basis needs fewer rounds, and less in each of them, and pays for it beforehand: V is as long as the span's
# dimension times d numbers.
#
# ## BL1, BL2, BL3
#
# *BL1* is made for the data basis: Top-r, r the dimension of the span, and a step that cuts off what is negative in
# the server's Hessian. *BL2* does the same where only some clients take part in a round, here half of them. *BL3*
# works in the psd basis, in which "larger in every coefficient" means "larger as a matrix": so the server can always
# build a matrix that lies above the true Hessian, and needs no correction to be on the safe side.

# %%
learned = nf.compare(
    problem,
    {
        "Newton-3PC, Top-d": "newton-3pc",
        "BL1": "bl1",
        "BL2, half take part": "bl2,participation=uniform:8",
        "BL3": "bl3,participation=all",
    },
    x0=x0,
    rounds=80,
)
print(learned)

# %%
learned.plot(over="formula_bits")

# %% [markdown]
# With the set-up on the axis the curves begin late: the first Hessian and V weigh more than all rounds of BL1
# together. Where V and the first Hessian are sent once and the model is fitted again and again, the rounds alone
# count:

# %%
rounds_only = {
    label: result.history[-1].formula_bits_up + result.history[-1].formula_bits_down
    for label, result in learned.results.items()
}
print({label: f"{bits / 1000:.0f} kbit" for label, bits in rounds_only.items()})
assert rounds_only["BL1"] < rounds_only["Newton-3PC, Top-d"] / 2
assert max(rounds_only, key=rounds_only.get) == "BL3"

# %% [markdown]
# BL1 sends less than half of what Newton-3PC sends in its rounds. BL3 is the dearest here: being safe without a
# correction costs it rounds. What a basis gives away should be said too: V does not reveal a client's rows, but it does
# reveal in which subspace they lie.
