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
# # 1. Quick start
#
# Ten offices each hold scanned forms with handwritten digits. They want one model, fitted to all the scans, that tells
# a 3 from an 8, and none of them may hand its forms on. What they can do is talk to a **server**. In every **round**
# the server sends out the present model x, a vector of numbers; every office answers with something that it computed
# from its own forms; and the server makes a better x of the answers.
#
# Whoever holds a part of the data is called a **client**. Client i has a function fᵢ(x), how badly the model x fits
# its own data, and together they minimise
#
# $$f(x) = \frac{1}{n} \sum_{i=1}^{n} f_i(x) + \frac{\lambda}{2} \lVert x \rVert^2 .$$
#
# Computing is cheap here and talking is dear: the link to a client is slow, or metered. So the question is not how
# many seconds a method computes but **how many bytes it sends** until f is near its minimum. That is what newtonfl
# counts.

# %%
import newtonfl as nf

# %% [markdown]
# ## A problem
#
# newtonfl has a catalogue of problems; `newtonfl problems` lists it on the command line. This one is logistic
# regression on scikit-learn's digits, 3 against 8, in ten clients.

# %%
problem = nf.load("digits")
print(problem.title)
print("minimise", problem.objective)
print(f"{problem.n_clients} clients, {problem.dim} numbers to find")

# %% [markdown]
# ## A solve
#
# Newton's method knows more of f than which way is down: it uses the **Hessian** ∇²f, the matrix of second
# derivatives, and with it takes a handful of rounds where gradient descent takes thousands. But a Hessian is d × d
# numbers, and sending one every round would eat up what the fewer rounds save.
#
# *Newton-3PC* sends a compressed **change** of the Hessian instead: here the one rank-1 matrix that comes nearest to
# the change, which is d numbers. Server and client both add it to what they hold, so that the server's picture of the
# Hessian becomes better from round to round. A *line search*, asking the clients about several step lengths at once,
# makes the method safe from any start.

# %%
result = nf.solve(problem, nf.newton_3pc_ls(), tol=1e-10)
print(f"{result.rounds} rounds; {result.reason}")
print(f"the gradient's norm at the end: {result.history[-1].gradient_norm:.1e}")
assert result.converged

# %% [markdown]
# The gradient is zero at the minimum and nowhere else, so its norm says how far there is to go. The solve ended
# because that norm had fallen to `tol`.
#
# ## What was sent
#
# All ten clients live in this one process, and still every message is packed into bytes and unpacked on the other
# side, as it would be between computers. The **ledger** adds up the packets' lengths. Beside them stands the count
# that papers use, 32 bits for each number and nothing for the rest, so that figures can be held against published
# ones.

# %%
sent = result.ledger.totals()
print(f"bytes up, a mean client's:    {sent['bytes']['up']['mean']:9,.0f}")
print(f"bytes down, a mean client's:  {sent['bytes']['down']['mean']:9,.0f}")
print(f"bits up by papers' formulas:  {sent['formula_bits']['up']['mean']:9,.0f}")
assert 8 * sent["bytes"]["up"]["mean"] > sent["formula_bits"]["up"]["mean"]  # numbers travel as 64 bits here

# %% [markdown]
# The **history** has a record for every round. The *gap* f(x) − f\* is what still separates x from the minimum.

# %%
for record in result.history[::3]:
    print(f"round {record.round:2}: gap {record.gap:8.1e}, {record.bytes_up:7,.0f} bytes up")
assert result.history[-1].gap < 1e-12

# %% [markdown]
# Look at the exponents of the gap: they fall slowly at first and faster later, down to where rounding ends it, for by
# then the server knows the Hessian well.
#
# ## Against the two obvious ways
#
# Gradient descent sends little in a round and needs many rounds; Newton's method with whole Hessians is the opposite.
# `nf.compare` runs methods from the same start and tells what each took to four accuracies. A dash means that a method
# had not arrived within `rounds`. (Notebooks show comparisons, results and histories as tables; `print` has text.)

# %%
methods = {"gradient descent": "gd", "Newton, whole Hessians": "newton", "Newton-3PC, line search": "newton-3pc-ls"}
comparison = nf.compare(problem, methods, rounds=200)
comparison

# %%
comparison.plot(over="bytes")

# %% [markdown]
# How to read such a picture. From left to right: what a client has sent and received so far. Upwards: how far f still
# is from its minimum. Both axes are logarithmic. Where a curve crosses a height, there stands what that accuracy
# costs.

# %%
sent = comparison.costs("bytes_up", accuracy=1e-9)
assert sent["gradient descent"] is None
assert sent["Newton-3PC, line search"] < sent["Newton, whole Hessians"] / 2
rounds = [row["rounds"] for row in comparison.rows() if row["method"] == "Newton-3PC, line search"]
assert rounds[3] - rounds[2] < rounds[1] - rounds[0]

# %% [markdown]
# Gradient descent has hardly begun when the others are done. Newton's method needs the fewest rounds of all, and
# Newton-3PC sends less than half of its bytes up: more rounds, but small ones, and the last thousandth of accuracy
# takes fewer of them than an early one. Notebook 2 puts it beside the other methods that aim at the same thing;
# notebook 8 brings in data of your own.
