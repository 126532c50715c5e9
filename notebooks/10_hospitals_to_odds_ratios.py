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
# # 10. From hospitals' files to odds ratios
#
# Five hospitals want to know what goes with dying on a ward: age, blood pressure, diabetes, the ward itself. The usual
# answer is a table of **odds ratios** with confidence intervals, from one logistic regression over all patients. But
# no hospital may hand its patients' rows on. This notebook makes the table from five files that nobody pools.

# %%
import shutil
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np

import newtonfl as nf

# %% [markdown]
# ## Files as hospitals write them
#
# The patients are drawn, so that the true odds are known: the log-odds of dying rise by 0.05 a year of age, fall by
# 0.02 a mmHg of blood pressure, and diabetes adds 0.6. The wards start from different levels. Each hospital writes its
# columns in an order of its own, with a patient's number that means nothing elsewhere, and with gaps where an age was
# not asked for.

# %%
folder = Path(mkdtemp(prefix="newtonfl-"))
truth = {"age": 0.05, "pressure": -0.02, "diabetes": 0.6}
wards = {"emergency": -1.3, "medical": -2.0, "surgical": -2.6}

for silo, patients in enumerate([480, 760, 340, 920, 600]):
    draw = np.random.default_rng([10, silo])
    age = draw.normal(60.0 + silo, 12.0, patients).round(1)
    pressure = draw.normal(130.0, 15.0, patients).round()
    diabetes = draw.integers(0, 2, patients)
    ward = draw.choice(list(wards), patients)
    log_odds = np.array([wards[word] for word in ward])
    log_odds += truth["age"] * age + truth["pressure"] * pressure + truth["diabetes"] * diabetes
    table = {
        "patient": [f"{number:04}" for number in range(patients)],
        "age": np.where(draw.random(patients) < 0.03, "", age.astype(str)),
        "pressure": pressure.astype(str),
        "diabetes": diabetes.astype(str),
        "ward": ward,
        "died": np.where(draw.random(patients) < 1 / (1 + np.exp(-log_odds)), "yes", "no"),
    }
    order = [*table][silo:] + [*table][:silo]
    rows = zip(*(table[name] for name in order), strict=True)
    text = "\n".join([",".join(order), *map(",".join, rows)])
    (folder / f"hospital_{silo + 1}.csv").write_text(text + "\n")

print("\n".join((folder / "hospital_1.csv").read_text().splitlines()[:4]))
print("…")
print("\n".join((folder / "hospital_4.csv").read_text().splitlines()[:4]))

# %% [markdown]
# ## What is to be minimised
#
# A problem file says it once, for all. `split = "files"` makes every file a client. Columns are matched **by name**,
# so their order does not matter. The patient's number is dropped; had it been kept, it would have become a feature.
# A missing age becomes the mean age over all hospitals, for which each sends a sum and a count. The ward is a word and
# becomes a column for each word, over the words of all files.
#
# Three lines are about statistics. `l2 = 0`: a penalty would draw the odds ratios towards 1, and intervals would no
# longer mean what readers take them for. `baseline` names the ward that the others are compared with, and that gets no
# column: with one for each ward and an intercept, the columns would add up to it, and no solution be the only one.

# %%
(folder / "mortality.toml").write_text("""
title = "Deaths on three wards of five hospitals"
[data]
source = "csv:hospital_*.csv"
label = "died"
classes = ["no", "yes"]
drop = ["patient"]
categorical = ["ward"]
baseline = {ward = "surgical"}
missing = "mean"
scale = "none"
[objective]
loss = "logistic"
l2 = 0.0
intercept = true
[clients]
split = "files"
""")
problem = nf.load(folder / "mortality.toml")
print(problem.objective)
print(f"{problem.n_clients} clients; features: {', '.join(problem.schema.features)}")

# %% [markdown]
# ## The fit
#
# With six numbers to find a Hessian is small, 21 numbers, and Newton's method with a line search is the plain choice.
# It does not mind that years and mmHg are of different size, as gradient descent would.

# %%
result = nf.solve(problem, nf.newton(line_search=20))
assert result.converged
result

# %%
result.history

# %% [markdown]
# ## How sure the coefficients are
#
# Standard errors follow from the Fisher information, which is a sum over patients: each hospital sends its part once.

# %%
found = nf.inference(problem, result.x)
print(found)

# %% [markdown]
# The odds ratio of a feature is eᵝ: by how much the odds of dying are multiplied where the feature is larger by one.
# The interval's ends are taken to the same power. A year of age is little, so that ten years and ten mmHg read better.
# Of a ward it is the odds there over those of the same patient on the surgical one.

# %%
units = {"age": 10.0, "pressure": 10.0, "diabetes": 1.0, "ward=emergency": 1.0, "ward=medical": 1.0}
at = [found.names.index(name) for name in units]
step = np.array([*units.values()])
ratios = np.exp(step * found.x[at])
low, high = np.exp(step[:, None] * found.intervals[at]).T
for name, *numbers in zip(units, step, ratios, low, high, strict=True):
    print("{:14} +{:2.0f}: odds ratio {:4.2f}, 95 % interval {:4.2f} to {:4.2f}".format(name, *numbers))

true = np.exp(step * [*truth.values(), *(wards[word] - wards["surgical"] for word in ("emergency", "medical"))])
assert np.all((low < true) & (true < high))

# %%
names = [f"{name}, +{unit:g}" for name, unit in units.items()]
plt.figure(figsize=(6.5, 2.8), layout="constrained")
plt.errorbar(ratios, names, xerr=[ratios - low, high - ratios], fmt="o", capsize=4, label="estimate, 95 % interval")
plt.plot(true, names, "|", markersize=14, color="black", label="truth")
plt.axvline(1.0, color="grey", linewidth=1)
plt.xscale("log")
plt.xticks([0.8, 1, 1.5, 2, 3, 4], ["0.8", "1", "1.5", "2", "3", "4"])
plt.minorticks_off()
plt.margins(y=0.15)
plt.xlabel("odds ratio of dying")
plt.legend(frameon=False, bbox_to_anchor=(1, 0.5), loc="center left")
plt.show()

# %% [markdown]
# ## What left the hospitals
#
# Words, sums and counts at first, then gradients and Hessians, then the information: a few kilobytes each, whatever
# the number of patients. That is little, and it is not nothing: docs/privacy.md says what a few rows give away by it.

# %%
fit, errors = (ledger.totals()["bytes"]["up"]["mean"] for ledger in (result.ledger, found.ledger))
print(f"a mean hospital sent {fit:,.0f} bytes for the fit and {errors:,.0f} for the errors")
files = np.mean([path.stat().st_size for path in folder.glob("*.csv")])
print(f"its file has {files:,.0f} bytes")
assert fit + errors < files / 2

# %% [markdown]
# Here one process read all five files. On the hospitals' own computers the same problem file does it with
# `mpiexec -n 5 newtonfl solve mortality.toml --summary`: each rank reads the file of its client and no other, and the
# bits are the same. Notebook 11 runs such a job.

# %%
shutil.rmtree(folder)
