"""Four sites of a hospital, from their CSV files to a table, a model and a report: one command, statsmodels' numbers.

The files have an id, gaps, a column of words, other orders of columns, and a word that one site lacks.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hospital import PROBLEM, sites
from mpi_launch import launch

import newtonfl as nf

WORDS = {'baseline = {ward = "medicine"}': "medicine", 'baseline = "first"': "icu"}


def prepared(table: pd.DataFrame, pooled: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """A table made ready as pandas does it: means over all sites, a column a word but for the baseline, scaled."""

    def encoded(rows: pd.DataFrame) -> pd.DataFrame:
        wards = sorted(pooled["ward"].dropna().unique())
        words = pd.DataFrame({f"ward={word}": (rows["ward"] == word).astype(float) for word in wards})
        return pd.concat([rows[["age", "bmi"]], words.where(rows["ward"].notna())], axis=1)

    whole = encoded(pooled)
    means = whole.mean()
    filled = whole.fillna(means)
    made = (encoded(table).fillna(means) - filled.mean()) / filled.std(ddof=0)
    return made.drop(columns=f"ward={baseline}").assign(intercept=1.0)


@pytest.mark.mpi
@pytest.mark.parametrize("baseline", WORDS)
def test_one_command_gives_the_pooled_table_a_model_and_a_report(run, tmp_path, baseline):
    tables = sites()
    for site, table in enumerate(tables):
        table.to_csv(tmp_path / f"site_{site}.csv", index=False)
    (tmp_path / "hospital.toml").write_text(PROBLEM.format(baseline=baseline))
    out = tmp_path / "out"
    words = ["solve", tmp_path / "hospital.toml", "--method", "newton", "--tol", "1e-12", "--quiet"]
    ended = launch(4, "-m", "newtonfl", *words, "--summary", "--out", out)
    assert ended.status == 0, ended.err

    pooled = pd.concat(tables, ignore_index=True)
    design = prepared(pooled, pooled, WORDS[baseline])
    right = sm.Logit((pooled["died"] == "yes").astype(float), design).fit(disp=0, method="newton", tol=1e-14)
    result = json.loads((out / "result.json").read_text())
    found = result["inference"]["coefficients"]
    assert sorted(found) == sorted(design.columns)
    interval = right.conf_int()
    for name in design.columns:
        expected = [right.params[name], right.bse[name], right.pvalues[name], *interval.loc[name]]
        row = found[name]
        numbers = [row[key] for key in ("estimate", "standard_error", "p_value", "low", "high")]
        np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-9, err_msg=name)

    elsewhere = tables[2].drop(columns="died").iloc[::-1]  # another order of rows and columns, and no label
    elsewhere.to_csv(tmp_path / "new.csv", index=False)
    status, _, err = run("predict", out, tmp_path / "new.csv", "--out", tmp_path / "p.csv")
    assert status == 0, err
    with (tmp_path / "p.csv").open() as file:
        likely = [float(row["probability_yes"]) for row in csv.DictReader(file)]
    features = prepared(elsewhere, pooled, WORDS[baseline])[list(design.columns)]
    np.testing.assert_allclose(likely, right.predict(features), rtol=1e-6)
    status, _, err = run("report", out)
    assert status == 0 and "ward=surgery" in (out / "report.html").read_text(), err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('baseline = {ward = "garden"}', "baseline: given 'garden' of column ward, whose words are 'icu', 'medicine'"),
        ('baseline = {age = "60"}', "baseline: given the column 'age', must be one of words: ward"),
        ('baseline = "last"', "[data] baseline: given 'last', must be \"first\", or a table of words as in"),
    ],
)
def test_a_baseline_that_is_none_is_refused(tmp_path, line, words):
    for site, table in enumerate(sites()):
        table.to_csv(tmp_path / f"site_{site}.csv", index=False)
    (tmp_path / "hospital.toml").write_text(PROBLEM.format(baseline=line))
    with pytest.raises(ValueError, match="baseline") as caught:
        nf.load(tmp_path / "hospital.toml")
    assert words in str(caught.value)
