"""Four sites of a hospital as tables: an id, gaps, a column of words, orders of columns, a word that one lacks."""

from __future__ import annotations

import numpy as np
import pandas as pd

SIZES = (60, 40, 90, 30)
PROBLEM = """
[data]
source = "csv:site_*.csv"
label = "died"
drop = ["patient"]
categorical = ["ward"]
{baseline}
missing = "mean"
scale = "standard"
[objective]
loss = "logistic"
intercept = true
[clients]
split = "files"
"""


def sites() -> list[pd.DataFrame]:
    """A table a site."""
    draw, found = np.random.Generator(np.random.Philox(23)), []
    for site, size in enumerate(SIZES):
        table = pd.DataFrame({"patient": [f"H{site}-{i:03d}" for i in range(size)]})
        table["age"] = draw.normal(60 + 2 * site, 11, size).round(1)
        table["bmi"] = draw.normal(27, 4, size).round(1)
        table["ward"] = draw.choice(["icu", "surgery", "medicine"] if site else ["surgery", "medicine"], size)
        eta = 0.06 * (table["age"] - 62) + 0.05 * (table["bmi"] - 27) + 0.9 * (table["ward"] == "icu")
        table["died"] = np.where(eta + draw.logistic(size=size) > 0, "yes", "no")
        table.loc[draw.random(size) < 0.1, "bmi"] = np.nan
        table.loc[draw.random(size) < 0.05, "ward"] = np.nan
        found.append(table[["died", "ward", "bmi", "patient", "age"]] if site == 2 else table)
    return found
