"""Methods are typed functions: their settings are checked by type checkers and at run time, explained, and kept."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpydoc.docscrape import NumpyDocString

import newtonfl as nf
from newtonfl import registry
from newtonfl.methods import Descent, SecondOrder, method
from newtonfl.methods.docstring import complete, entries
from newtonfl.methods.settings import FIRST_ORDER, SECOND_ORDER
from newtonfl.registry import lookup
from newtonfl.registry.declared import alternatives, hints, kind_of

ROOT = Path(__file__).parents[2]
METHODS = registry.METHODS

# --- type checkers


def test_a_type_checker_sees_the_settings(tmp_path):
    """Wrong names and wrong kinds are errors, line by line; what is right is none."""
    lines = {
        "nf.newton_3pc(compresor=nf.TopK(3))": 'Unexpected keyword argument "compresor"',
        "nf.newton_3pc(compressor=3)": 'incompatible type "int"',
        'nf.fednl(step="jump")': "incompatible type",
        "nf.fednl_pp(step='shift')": 'Unexpected keyword argument "step"',
        "nf.ef21(nf.TopK(3))": "Too many positional arguments",
        "nf.bl3(c='much')": 'incompatible type "str"',
        "nf.dingo(teta=0.5)": 'Unexpected keyword argument "teta"',
        "nf.newton_3pc(compressor=nf.TopK(3))": "",
        'nf.newton_3pc(compressor="topk:3", mechanism="cbag:0.5", participation="uniform:4")': "",
        "nf.newton_3pc(mechanism=lambda c: nf.CBAG(c, p=0.5), alpha='theory')": "",
        "nf.newton_3pc(mechanism=nf.ThreePCv1, basis=nf.DataSubspace(), model=nf.TopK(3), wire='float32')": "",
        'nf.adacgd(levels=(nf.TopK(1), "topk:8"), zeta=1)': "",
        "nf.newton_star(optimum=[0.0, 1.0])": "",
        "reveal_type(nf.fednl())": "Descent",
    }
    program = tmp_path / "program.py"
    program.write_text("\n".join(["import newtonfl as nf", *lines]) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(program)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300).stdout
    for number, (line, expected) in enumerate(lines.items(), start=2):
        said = "\n".join(re.findall(rf"program\.py:{number}: (.*)", found))
        assert (expected in said) if expected else not said, f"{line}: {found}"


# --- names at run time


@pytest.mark.parametrize("name", METHODS)
def test_a_misspelt_setting_is_refused_with_the_nearest(name):
    for key in inspect.signature(METHODS[name]).parameters:
        wrong = key[:-2] + key[-1] if len(key) > 3 else key + "x"
        all_of_them = rf"(allowed are .*\b{key}\b|`newtonfl methods {name}` lists them all)"
        near = rf"; did you mean {key}\? \({all_of_them}" if len(key) > 3 else f".*{all_of_them}"
        with pytest.raises(TypeError, match=rf"{name}: given '{wrong}'{near}"):
            METHODS[name](**{wrong: 1})
        with pytest.raises(ValueError, match=rf"setting of {name}: given '{wrong}'"):
            registry.method(name, {wrong: "1"})


def test_text_forms_are_taken_where_objects_are():
    made = nf.newton_3pc(
        compressor="topk:30", mechanism="cbag:0.5", basis="data", participation="all", model="topk:5", line_search="3"
    )
    assert made == nf.newton_3pc(
        compressor=nf.TopK(30), mechanism=lambda c: nf.CBAG(c, 0.5), basis=nf.DataSubspace(), model=nf.TopK(5),
        line_search=3,
    )  # fmt: skip
    assert nf.adacgd(levels="topk:1,topk:8") == nf.adacgd(levels=(nf.TopK(1), "topk:8"))
    assert nf.ef21(down="cbag:0.5/topk:3", batch="16", stepsize="0.5") == nf.ef21(
        down=nf.CBAG(nf.TopK(3), 0.5), batch=16, stepsize=0.5
    )


@pytest.mark.parametrize(
    "name, keywords, words",
    [
        ("newton-3pc", {"alpha": 0.5, "mechanism": nf.CLAG}, "alpha is EF21's rate, and the mechanism is another"),
        ("fednl", {"model_rate": 0.5}, "model_rate is the rate of a model's compressor"),
        ("fednl", {"armijo": 0.1}, "armijo belongs to a line search; give line_search=20"),
        ("fednl-ls", {"backtrack": 0.1, "line_search": 0}, "backtrack belongs to a line search; give line_search=20"),
        ("nl1", {"backtrack": 0.1}, "backtrack belongs to a line search; give line_search=20"),
        ("bl3", {"model_rate": 0.5}, "model_rate is the rate of a model's compressor"),
        ("newton", {"lipschitz": 1.0}, "lipschitz belongs to step=cubic"),
        ("bl1", {"mechanism": nf.CLAG(nf.TopK(3)), "compressor": nf.TopK(3)}, "the mechanism holds its own compressor"),
    ],
)
def test_a_setting_that_would_not_be_used_is_refused(name, keywords, words):
    with pytest.raises(ValueError, match=rf"{name}: {words}"):
        METHODS[name](**keywords)


@pytest.mark.parametrize("make", [nf.fednl_pp, nf.newton_3pc_bc_pp, nf.bl2])
def test_an_invariant_needs_the_estimate_after_the_message(make):
    make(mechanism=nf.CLAG(nf.TopK(3), step_uses="after"))
    with pytest.raises(ValueError, match=r"mechanism: given CLAG\(.*needs one with step_uses=after"):
        make(mechanism=nf.CLAG(nf.TopK(3), step_uses="before"))


# --- docstrings


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_is_explained_in_the_signatures_order(name):
    parameters = inspect.signature(METHODS[name]).parameters
    sections = NumpyDocString(METHODS[name].__doc__)
    assert [entry.name for entry in sections["Parameters"]] == list(parameters)
    assert all(entry.type and entry.desc for entry in sections["Parameters"])
    assert sections["Returns"] and {entry.type for entry in sections["Raises"]} == {"TypeError", "ValueError"}
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY and p.annotation is not p.empty for p in parameters.values())
    assert all(p.default is not p.empty for p in parameters.values())


@pytest.mark.parametrize("name", METHODS)
def test_the_words_that_a_docstring_lists_are_those_of_the_annotation(name):
    for entry in NumpyDocString(METHODS[name].__doc__)["Parameters"]:
        choices = alternatives(hints(METHODS[name])[entry.name])
        words = {word for choice in choices if get_origin(choice) is Literal for word in get_args(choice)}
        listed = set(re.findall(r'"(\w[\w-]*)"', entry.type.partition(", default")[0]))
        assert listed <= words, entry.name
        if all(get_origin(choice) is Literal for choice in choices):
            assert listed == words, entry.name


@pytest.mark.parametrize("table", [SECOND_ORDER, FIRST_ORDER])
def test_no_explanation_is_for_a_setting_that_nobody_has(table):
    offered = {key for make in METHODS.values() for key in inspect.signature(make).parameters}
    assert set(table) <= offered


def test_a_setting_that_is_not_explained_is_refused_at_once():
    doc = "Gradient descent.\n\nParameters\n----------\nzeta : float\n    ζ."
    assert "zeta : float, default 2\n    ζ." in complete(doc, {}, {"zeta": "2"})
    with pytest.raises(ValueError, match="eta not explained"):
        complete(doc, {}, {"zeta": "2", "eta": "1"})
    with pytest.raises(ValueError, match=r"strange \['zeta'\]"):
        complete(doc, entries("eta : float\n    η."), {"eta": "1"})


def test_a_method_of_ones_own_is_known_by_its_name(monkeypatch):
    monkeypatch.setitem(lookup._ENTRIES, "method", dict(lookup._ENTRIES["method"]))  # and forgotten after the test

    @method("half-newton", SECOND_ORDER)
    def half_newton(*, compressor: nf.Compressor | str = "topk:1d", chance: float = 0.5) -> Descent:
        """Newton-3PC whose gradients are sent with probability `chance`.

        Parameters
        ----------
        chance : float
            In (0, 1].
        """
        return SecondOrder("half-newton", cast(nf.Compressor, compressor), gradient_p=chance).descent()

    made = registry.coerce_method("half-newton,compressor=topk:3,chance=0.25")
    assert made == half_newton(compressor=nf.TopK(3), chance=0.25) and made.parameters()["gradient_p"] == 0.25
    with pytest.raises(ValueError, match="chance: given 'often', must be a number"):
        registry.method("half-newton", {"chance": "often"})
    assert "chance : float, default 0.5\n    In (0, 1]." in half_newton.__doc__
    assert "compressor : Compressor or str, default 'topk:1d'" in half_newton.__doc__
    assert list(registry.METHODS)[-1] == "half-newton" and next(iter(registry.METHODS)) == "newton"


# --- settings and back

COMPRESSORS = st.sampled_from(
    [nf.TopK(3), nf.TopK("0.1d"), nf.RandK("0.25d"), nf.RankR(2), nf.Natural(), nf.Identity(), nf.Dithering(4),
     nf.Threshold(0.1), nf.NaturalDithering(3, 4), nf.SelectThenQuantise(nf.TopK(3), nf.Natural())]
)  # fmt: skip
NUMBERS = st.floats(1e-6, 1.0)
MECHANISMS = st.one_of(
    st.builds(nf.EF21, COMPRESSORS, NUMBERS | st.sampled_from(["auto", "theory"])),
    st.builds(nf.CLAG, COMPRESSORS, NUMBERS, step_uses=st.sampled_from(["after", "before"])),
    st.builds(nf.CBAG, COMPRESSORS, NUMBERS),
    st.builds(nf.ThreePCv3, COMPRESSORS, st.builds(nf.CLAG, COMPRESSORS, NUMBERS)),
    st.builds(nf.ThreePCv4, COMPRESSORS, COMPRESSORS),
    st.builds(lambda levels, zeta: nf.AdaCGD(tuple(levels), zeta), st.lists(COMPRESSORS, min_size=1), NUMBERS),
)
PARTS = {
    "compressor": COMPRESSORS,
    "mechanism": MECHANISMS,
    "participation": st.builds(nf.Uniform, st.integers(1, 9)) | st.builds(nf.Independent, NUMBERS),
    "graph": st.sampled_from([nf.Ring(), nf.Torus(3), nf.ErdosRenyi(0.3, 4), nf.Edges(((0, 1), (1, 2)))]),
    "basis": st.sampled_from([nf.Symmetric(), nf.Symmetric(isometric=False), nf.DataSubspace(), nf.PSD()]),
    "aggregator": st.sampled_from([nf.Mean(), nf.Trimmed(2), nf.CentredClip(0.5, 3), nf.Bucketed(nf.Krum(1), 3)]),
}


def values_of(annotation: Any) -> st.SearchStrategy:
    """Values that an annotation allows."""
    choices = []
    for choice in alternatives(annotation):
        if get_origin(choice) is Literal:
            choices.append(st.sampled_from(get_args(choice)))
        elif choice in (int, float):
            choices.append(st.integers(1, 20) if choice is int else NUMBERS)
        elif get_origin(choice) is tuple and get_args(choice)[0] is float:
            choices.append(st.lists(st.floats(-9, 9), min_size=1).map(tuple))
        elif get_origin(choice) is tuple:
            choices.append(st.lists(COMPRESSORS, min_size=1).map(tuple))
        elif kind_of(choice):
            choices.append(PARTS[kind_of(choice)])
    return st.one_of(choices)


@cache
def keywords_of(name: str) -> st.SearchStrategy:
    """A few settings of a method."""
    known = hints(METHODS[name])
    keys = st.sets(st.sampled_from(list(known.keys() - {"return"})), max_size=4)
    return keys.flatmap(lambda chosen: st.fixed_dictionaries({key: values_of(known[key]) for key in sorted(chosen)}))


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_a_methods_text_makes_it_again(name, data):
    keywords = data.draw(keywords_of(name))
    try:
        made = METHODS[name](**keywords)
    except (ValueError, TypeError):
        assume(False)
    text = registry.method_spec(made)
    assert registry.coerce_method(text) == made, text


def test_the_solution_of_newton_star_is_kept():
    made = nf.newton_star(optimum=np.array([1 / 3, -2.0]))
    assert registry.coerce_method(registry.method_spec(made)) == made
    assert "optimum" not in registry.method_parameters(made)  # which the command line finds itself
