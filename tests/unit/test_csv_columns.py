"""CSV columns by name: which is the label, which are words, what is missing; the values are those of pandas."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pandas
import pytest

from newtonfl.datasets import sources
from newtonfl.datasets.agreement import agree, describe

MIXED = "site,age,colour,dose,y\n07,31,red,0.5,no\n7,40,blue,,yes\n07,,red,2.5,no\n10,52,,1.5,yes\n"


def read(folder: Path, content: str, name: str = "c.csv", **options):
    (folder / name).write_text(content)
    return sources.read(f"csv:{name}", folder=folder, **options)


def features(*tables, means=False, dense=True):
    """The features of several tables, and the agreement."""
    found = agree(
        [
            describe(f"csv:{i}", t.rows, column_names=t.column_names, levels=t.levels, means=means)
            for i, t in enumerate(tables)
        ]
    )
    return [found.shared.features(t.rows, t.column_names, t.levels, dense) for t in tables], found.shared


# --- which column is what


@pytest.mark.parametrize(
    ("content", "options", "label", "names"),
    [
        ("a,b,y\n1,2,0\n3,4,1\n", {"label": "y"}, "y", ("a", "b")),
        ("a,b,y\n1,2,0\n3,4,1\n", {"label": 0}, "a", ("b", "y")),
        ("a,b,y\n1,2,no\n3,4,yes\n", {}, "y", ("a", "b")),  # the one column of words, and the last
        ("a,y,b\n1,0,2\n3,1,4\n", {"columns": ("b", "a")}, "y", ("b", "a")),  # what is left, in the order that was said
        ("a,y,b\n1,0,2\n3,1,4\n", {"label": "y", "drop": ("a",)}, "y", ("b",)),
        ("1,2,0\n3,4,1\n", {}, "2", ("0", "1")),
        ("0,1,2\n3,4,1\n", {"header": False}, "2", ("0", "1")),
        ("0,1,2\n3,4,1\n", {"header": True, "label": "1"}, "1", ("0", "2")),
        ("red,no,3\nblue,yes,4\n", {"header": False, "categorical": (0,), "label": 1}, "1", ("0", "2")),
        ("a;y\n1;0\n", {"separator": ";", "label": "y"}, "y", ("a",)),
        ("c,y\nc,0\nd,1\n", {"header": True, "label": "y", "categorical": ("c",)}, "y", ("c",)),
        ("5,M,1\n4,F,0\n", {"header": False, "categorical": (1,)}, "2", ("0", "1")),
        (",a,y\n0,1,0\n", {"drop": (0,), "label": "y"}, "y", ("a",)),
    ],
)
def test_what_each_column_is(tmp_path, content, options, label, names):
    table = read(tmp_path, content, **options)
    assert (table.label_name, table.column_names) == (label, names)
    header = options.get("header", not content[0].isdigit())
    frame = pandas.read_csv(io.StringIO(content), header=0 if header else None, sep=options.get("separator", ","))
    frame.columns = frame.columns.map(str)
    np.testing.assert_array_equal(table.labels, frame[label])
    numbers = [name for name in names if name not in table.levels]
    np.testing.assert_array_equal(table.rows[:, [names.index(n) for n in numbers]], frame[numbers])
    assert len(table.rows) == len(frame)


def test_several_columns_could_be_the_label(tmp_path):
    assert read(tmp_path, "a,b,y\n1,2,0\n").label_candidates == ("a", "b", "y")
    assert read(tmp_path, "a,b,y\n1,2,0\n", group="b").label_candidates == ("a", "y")
    assert read(tmp_path, "a,b,y\n1,2,0\n", label="b").label_candidates == ("b",)
    assert read(tmp_path, "1,2,0\n").label_candidates == ("2",)  # without a header it is the last
    assert read(tmp_path, "age,sex,died\n40,M,0\n", columns=("age",)).label_candidates == ("sex", "died")


@pytest.mark.parametrize(
    ("content", "options", "fault"),
    [
        ("0,1,2\n3,4,1\n", {}, "line 1: 0, 1, 2 may be a header of numbers, and may be a row: header = true"),
        ("2019,2020,2021\n3,4,1\n", {}, "line 1: 2019, 2020, 2021 may be a header of numbers"),
        ("5.1,3.5,setosa\n4.9,3,virginica\n", {}, "line 1: 'setosa' .* header = true or header = false"),
        (",a,y\n0,1,0\n", {"label": "y"}, r"column 0 has no name .* drop = \[0\] leaves it out"),
        ("a,a,y\n1,2,0\n", {"label": "y"}, "several columns are named 'a'"),
        ("a,b,y\n1,2,0\n", {"label": "y", "drop": ("y",)}, "label and drop both name column 'y'"),
        ("a,b,y\n1,2,0\n", {"label": "y", "group": "a", "columns": ("a",)}, "split = column:NAME and columns both"),
        ("a,b,y\n1,2,0\n", {"label": "y", "categorical": ("y",)}, "categorical: 'y' is no feature"),
        ("a,b,y\n1,2,0\n", {"columns": ("a", "b", "y")}, "label: missing, and columns, drop and categorical leave no"),
        ("a,b,y\n1,2,0\n", {"label": "y", "columns": ("A",)}, "columns: given 'A', .*did you mean 'a'"),
        ("a,b,y\n1,x,0\n", {"label": "y"}, r"line 2, column b: 'x' is not a finite number; categorical = \[NAME\]"),
        ("a,y\n1,0\n2,no\n", {"label": "y"}, "line 3, column y: 'no' is a word, and labels before are not"),
        ("a,y\nred,0\nblue,1\n", {"header": True, "label": "y"}, "line 2, column a: 'red' is not a finite number"),
        ("red,no\nblue,yes\nred,no\n", {"label": 1, "categorical": ("red",)}, "line 1: 'red' stands in its own column"),
        ("a;b\n1;2\n", {"label": "b"}, "line 1: one column, 'a;b', .*',' ends a column; separator names another sign"),
        ("a,y\n1e400,0\n", {"label": "y"}, "line 2, column a: '1e400' is not a finite number"),
        ("a,y\n1_0,0\n", {"label": "y"}, "line 2, column a: '1_0' is not a finite number"),
        ("a,y\n١,0\n", {"label": "y"}, "line 2, column a: '١' is not a finite number"),
        ("a,y\n1,0,3\n", {"label": "y"}, "line 2: 3 columns, where the first line has 2"),
        ("site,a,y\nA,1,0\n,2,1\n", {"label": "y", "group": "site"}, "line 3, column site: '' is no client's name"),
        ("site,a,y\nA,1,0\nNaN,2,1\n", {"label": "y", "group": "site"}, "line 3, column site: 'NaN' is no client's"),
        (
            "a,y\n1,0\n2,\n",
            {"label": "y", "missing": "mean"},
            "line 3, column y: '' is no label; missing = ",
        ),
        ("u1,x1,yes\nu2,x2,no\n", {"categorical": (0, 1)}, "line 1: u1, x1, yes may be a header, and may be a row"),
        ("ward,died\nA,died\nB,no\n", {"label": "died", "categorical": (0,)}, "line 1: 'died' stands in its own col"),
        ("a,y\nNAN,0\n1,1\n", {"label": "y", "missing": "mean"}, "line 2, column a: 'NAN' is not a finite number"),
        ("a,y\n1,0\n,1\n", {"label": "y"}, "line 3, column a: '' is not a finite number; missing = \"mean\""),
        ("a,y\n,0\n,1\n", {"label": "y", "missing": "drop-row"}, "no row is whole"),
        ("c,y\nu,0\n,1\n", {"label": "y", "categorical": ("c",)}, "line 3, column c: '' is no word; missing ="),
        ("a,y\n1,0\ninf,1\n", {"label": "y", "missing": "mean"}, "line 3, column a: 'inf' is not a finite number"),
    ],
)
def test_what_could_be_mistaken_is_refused(tmp_path, content, options, fault):
    with pytest.raises(ValueError, match=rf"c\.csv.*{fault}"):
        read(tmp_path, content, **options)


def test_labels_are_words_or_numbers_and_words_on_demand(tmp_path):
    assert read(tmp_path, "a,y\n1,0\n2,1.0\n", label="y").labels.tolist() == [0.0, 1.0]
    assert read(tmp_path, "a,y\n1,no\n2, yes\n", label="y").labels.tolist() == ["no", "yes"]
    assert read(tmp_path, "a,y\n1,0\n2,1\n", label="y", word_labels=True).labels.tolist() == ["0", "1"]
    with pytest.raises(ValueError, match="line 2, column y: 'no' is not a finite number"):
        read(tmp_path, "a,y\n1,no\n2,yes\n", label="y", word_labels=False)


@pytest.mark.parametrize(
    ("ids", "codes"),
    [
        (("10", "2", "10"), [1, 0, 1]),  # whole numbers by size
        (("007", "7", "007"), [0, 1, 0]),  # other names
        (("9007199254740993", "9007199254740992", "9007199254740993"), [1, 0, 1]),  # one number as floats
        (("b", "10", "a"), [2, 0, 1]),
        (("1.0", "1", "1e0"), [1, 0, 2]),
    ],
)
def test_client_ids_are_names(tmp_path, ids, codes):
    lines = [f"{name},{j},{j % 2}" for j, name in enumerate(ids)]
    table = read(tmp_path, "\n".join(["site,a,y", *lines]) + "\n", group="site", label="y")
    assert table.groups.tolist() == codes


# --- words and missing values, joined over several files


def test_words_become_the_columns_that_pandas_makes_of_all_files_together(tmp_path):
    contents = ["a,c,y\n1,red,0\n2,blue,1\n", "c,y,a\ngreen,1,3\nred,0,4\n"]
    tables = [read(tmp_path, text, f"{i}.csv", label="y", categorical=("c",)) for i, text in enumerate(contents)]
    pooled = pandas.concat([pandas.read_csv(io.StringIO(text)) for text in contents])
    right = pandas.get_dummies(pooled[["a", "c"]], columns=["c"], prefix_sep="=", dtype=float)
    for dense in (True, False):
        blocks, shared = features(*tables, dense=dense)
        assert list(shared.feature_names) == list(right.columns)
        np.testing.assert_array_equal(np.vstack([b if dense else b.toarray() for b in blocks]), right)


def test_missing_values_become_the_mean_over_all_files_and_words_their_shares(tmp_path):
    other = "colour,dose,age,y,site\ngreen,7,NA,no,3\nred,1,18,yes,3\n"
    more = {"label": "y", "drop": ("site",), "categorical": ("colour",), "missing": "mean"}
    tables = [read(tmp_path, text, f"{i}.csv", **more) for i, text in enumerate((MIXED, other))]
    pooled = pandas.concat([pandas.read_csv(io.StringIO(text)) for text in (MIXED, other)])
    right = pandas.get_dummies(pooled[["age", "colour", "dose"]], columns=["colour"], prefix_sep="=", dtype=float)
    words = [name for name in right.columns if name.startswith("colour")]
    right.loc[pooled["colour"].isna().to_numpy(), words] = np.nan
    right = right.fillna(right.mean())
    for dense in (True, False):
        blocks, shared = features(*tables, means=True, dense=dense)
        found = np.vstack([block if dense else block.toarray() for block in blocks])
        np.testing.assert_allclose(found, right[list(shared.feature_names)], rtol=1e-15)


def test_rows_with_a_missing_value_are_left_out_and_counted(tmp_path):
    table = read(tmp_path, MIXED, label="y", group="site", categorical=("colour",), missing="drop-row")
    right = pandas.read_csv(io.StringIO(MIXED), dtype={"site": str}).dropna()
    assert (len(table.rows), table.left_out) == (len(right), 3) and table.levels == {"colour": ("red",)}
    np.testing.assert_array_equal(table.labels, right["y"])


@pytest.mark.parametrize(
    ("one", "other", "fault"),
    [
        ("a,c,y\n1,1,0\n", "a,c,y\n1,1.0,0\n", "csv:1, column c: '1.0', and csv:0 has '1': one number written in two"),
        ("a,c,y\n,u,0\n", "a,c,y\n,u,0\n", "column a: no source has a value for it"),
        ("a,c,y\n1e308,u,0\n1e308,u,0\n", "a,c,y\n1,u,0\n", "column a: .*their sum is not finite"),
        ("a,c,y\n1,u,0\n", "a,d,y\n1,u,0\n", "csv:1 has other columns than csv:0: it lacks 'c' and only it has 'd'"),
    ],
)
def test_files_whose_columns_cannot_be_joined(tmp_path, one, other, fault):
    tables = []
    for name, text in (("0.csv", one), ("1.csv", other)):
        word = "d" if ",d," in text else "c"
        tables.append(read(tmp_path, text, name, label="y", categorical=(word,), missing="mean"))
    with pytest.raises(ValueError, match=fault):
        features(*tables, means=True)


def test_a_number_that_is_another_column_in_another_file_names_no_column_of_words(tmp_path):
    contents = ("ward,sex,y\n1,2,0\n", "sex,ward,y\n1,2,0\n")
    tables = [read(tmp_path, text, f"{i}.csv", label="y", categorical=(0,)) for i, text in enumerate(contents)]
    with pytest.raises(ValueError, match="column 'sex' is categorical in csv:1 and not in csv:0, as its number is"):
        features(*tables)


def test_columns_cost_no_more_where_there_are_many(tmp_path):
    """Quadratic in the columns it takes ten times as long as this allows."""
    names = [f"gene{j}" for j in range(30_000)]
    cells, start = ",".join(["1"] * len(names)), time.process_time()
    tables = []
    for i, order in enumerate((names, names[::-1])):
        content = f"{','.join(order)},y\n{cells},0\n{cells},1\n"
        tables.append(read(tmp_path, content, f"{i}.csv", label="y", columns=tuple(names)))
    assert features(*tables)[1].feature_names == tuple(names)
    assert time.process_time() - start < 6.0
