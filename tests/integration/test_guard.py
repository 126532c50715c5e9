"""Guards refuse before anything of few rows travels, in words that do not give them away; few rows are warned of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy
from hospital import PROBLEM, SIZES, sites
from mpi_launch import launch

import newtonfl as nf
from newtonfl.comm.transport import InProcess


class Listening(InProcess):
    """Keeps what is gathered: all that leaves a site before the first round."""

    def __init__(self):
        super().__init__()
        self.gathered = b""

    def gather(self, buffer):
        self.gathered += buffer
        return super().gather(buffer)


def put(folder, keys="", **changes):
    """The hospital's files, with the sites' tables changed by number; the problem file."""
    for site, table in enumerate(sites()):
        changes.get(f"site_{site}", lambda same: same)(table).to_csv(folder / f"site_{site}.csv", index=False)
    (folder / "p.toml").write_text(PROBLEM.format(baseline='baseline = "first"') + keys)
    return folder / "p.toml"


def test_few_rows_are_refused_before_a_sum_of_them_travels(tmp_path):
    path, listening = put(tmp_path), Listening()
    with (
        nf.Guard(least_rows=min(SIZES) + 1),
        pytest.raises(ValueError, match=r"site_3\.csv has fewer rows than the 31"),
    ):
        nf.load(path, comm=listening)
    assert b"surgery" not in listening.gathered
    assert nf.load(path).n_clients == 4  # the guard has gone
    with nf.Guard(least_rows=min(SIZES)), pytest.raises(ValueError, match="has fewer values than the 30"):
        nf.load(path, comm=listening)  # as the site has gaps
    assert b"surgery" not in listening.gathered
    with nf.Guard(least_rows=20):
        nf.load(path, comm=listening)
    assert b"surgery" in listening.gathered


def test_a_rare_word_is_refused_and_not_named(tmp_path):
    def rare(table):
        table.loc[table.index[:2], "ward"] = "isolation"
        return table

    path, listening = put(tmp_path, site_2=rare), Listening()
    with nf.Guard(least_count=3), pytest.raises(ValueError, match=r"site_2\.csv, column 'ward': a word has") as caught:
        nf.load(path, comm=listening)
    assert "isolation" not in str(caught.value) + listening.gathered.decode("latin1")
    with nf.Guard(least_count=2):
        assert "ward=isolation" in nf.load(path).schema.features


def test_coefficients_for_each_row(tmp_path):
    path = put(tmp_path)
    dim = nf.load(path).dim
    with nf.Guard(most_coefficients=dim / min(SIZES)):
        nf.load(path)
    short, loose = nf.Guard(most_coefficients=0.99 * dim / min(SIZES)), nf.Guard(most_coefficients=10.0)
    with short, loose, pytest.raises(ValueError, match=f"client 3 has too few rows for {dim} coefficients"):
        nf.load(path)


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("least_rows = 35", "site_3.csv has fewer rows than the 35 that the guard asks for"),
        ("least_count = 20", "column 'ward': a word has fewer rows than the 20"),
        ("most_coefficients = 0.1", "client 1 has too few rows for 5 coefficients: the guard allows 0.1"),
    ],
)
def test_a_problem_file_has_a_guard_and_every_rank_hears_of_it(tmp_path, key, words):
    ended = launch(2, "-m", "newtonfl", "solve", put(tmp_path, key + "\n"), "--quiet")
    assert ended.status == 2 and words in ended.err and ended.err.count("newtonfl: ") == 1, ended.err


def test_estimators_and_transformers_are_guarded():
    draw = np.random.default_rng(5)
    X, homes = draw.normal(size=(60, 3)), np.repeat([0, 1, 2], [30, 26, 4])
    y = np.tile([0, 1], 30)
    wards = pd.DataFrame({"ward": np.where(np.arange(60) == 7, "rare", "common")})
    with nf.Guard(least_rows=5):
        for model in (nf.FederatedLogisticRegression(), nf.FederatedStandardScaler(), nf.FederatedSimpleImputer()):
            with pytest.raises(ValueError, match="client 2 has fewer rows than the 5"):
                model.fit(X, y, groups=homes)
        with pytest.raises(ValueError, match="client 2 has fewer rows than the 5"):
            nf.from_arrays(X, y, clients=homes)
    with nf.Guard(least_count=2), pytest.raises(ValueError, match="client 0, column 'ward': a word has") as caught:
        nf.FederatedOneHotEncoder().fit(wards, groups=homes)
    assert "rare" not in str(caught.value)


VALUE = np.float64(123.456).tobytes()


@pytest.mark.filterwarnings("ignore:.*fewer rows than the:RuntimeWarning")  # without the guard
@pytest.mark.parametrize(
    ("model", "X", "groups", "secret"),
    [
        (nf.FederatedLogisticRegression(ranks="own"), scipy.sparse.csr_array(np.eye(4, 5000, 77)), None, b"columns"),
        (nf.FederatedLogisticRegression(ranks="own"), np.eye(40), ["big"] * 36 + ["patient-17"] * 4, b"patient-17"),
        (nf.FederatedStandardScaler(ranks="own"), np.eye(40), ["big"] * 36 + ["patient-17"] * 4, b"patient-17"),
        (nf.FederatedOneHotEncoder(ranks="own"), np.array([["common"]] * 39 + [["rare"]]), None, b"nonzeros"),
        (nf.FederatedSimpleImputer(ranks="own"), np.r_[123.456, np.full(39, np.nan)][:, None], None, VALUE),
        (nf.FederatedStandardScaler(ranks="own"), np.r_[123.456, np.full(39, np.nan)][:, None], None, VALUE),
    ],
)  # fmt: skip
def test_nothing_of_a_ranks_own_rows_leaves_before_the_refusal(monkeypatch, model, X, groups, secret):
    listening = Listening()
    monkeypatch.setattr(type(model), "_transport", lambda self: listening)
    y = np.tile(["ill", "well"], X.shape[0] // 2)
    with nf.Guard(least_rows=5, least_count=2), pytest.raises(ValueError, match=r"the [25] that the guard") as caught:
        model.fit(X, y, groups=groups)
    assert secret not in listening.gathered and "patient" not in str(caught.value)
    model.fit(X, y, groups=groups)
    assert secret in listening.gathered  # so the check above has looked for what travels


def test_few_rows_of_a_site_are_warned_of_and_those_of_a_simulation_are_not(tmp_path, run):
    path = put(tmp_path, site_1=lambda table: table[:4])
    with pytest.warns(nf.PrivacyWarning, match="client 1 has fewer rows than the 5 numbers of a gradient"):
        nf.load(path)
    status, _, err = run("solve", path, "--rounds", "1", "--quiet")
    assert status == 0 and err.count("newtonfl: client 1 has fewer rows than") == 1, err
    nf.from_arrays(np.eye(8), np.tile([0, 1], 4), clients=8)  # one place knows all: warnings are errors here


@pytest.mark.parametrize("limit", [{"least_rows": -1}, {"least_count": "many"}, {"most_coefficients": 0.0}])
def test_limits_that_are_none(limit):
    with pytest.raises(ValueError, match=f"{next(iter(limit))}: given"):
        nf.Guard(**limit)
