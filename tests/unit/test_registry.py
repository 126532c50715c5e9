"""The registry: every part reads as what it writes, whatever its settings; names that are none are told the nearest."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import newtonfl as nf
from newtonfl import registry
from newtonfl.compressors import Compressor, Quantiser, Rounded
from newtonfl.mechanisms import Mechanism
from newtonfl.registry import Part, coerce, coerce_maker, from_spec, known, maker_spec
from newtonfl.registry.declared import alternatives, hints, is_tuple, kind_of, main_field, parameters
from newtonfl.registry.lookup import entries

KINDS = ("compressor", "mechanism", "basis", "loss", "nonsmooth", "participation", "graph", "aggregator")
CLASSES = {(kind, name): entries(kind, others=False)[name].made_by for kind in KINDS for name in known(kind)}

SHARES = st.floats(0.0, 1.0, exclude_min=True)
RANGES: dict[str, st.SearchStrategy[Any]] = {
    "k": st.one_of(st.integers(1, 10**6), st.sampled_from(["8d", "0.5d", "1r"])),
    "p": SHARES,
    "alpha": st.one_of(SHARES, st.sampled_from(["auto", "theory"])),
    "lam": SHARES,
    "nu": st.one_of(SHARES, st.just("theory")),
    "zeta": st.floats(0.0, 1e300),
    "eta": st.one_of(st.floats(0.0, 1.0), st.just("theory")),
    "momentum": st.one_of(SHARES, st.just("theory")),
    "sigma": st.floats(0.0, 1e300),
    "beta_hat": SHARES,
    "delta": st.floats(0.0, 1e300, exclude_min=True),
    "tau": st.one_of(st.integers(1, 1000), SHARES),
    "count": st.one_of(st.integers(1, 1000), SHARES),
    "after": st.integers(0, 1000),
    "levels": st.integers(1, 1000),
    "base": st.integers(2, 255),
    "r": st.integers(1, 1000),
    "n_clients": st.integers(1, 1000),
    "width": st.floats(2.0**-40, 1.99),
    "power": st.floats(1.0, 2.0, exclude_min=True, exclude_max=True),
    "spread": st.floats(1.0, 1e9),
    "wait": st.integers(1, 1000),
    "weight": st.floats(0.0, 1e300, exclude_min=True),
    "low": st.floats(-1e300, 0.0),
    "high": st.floats(0.0, 1e300, exclude_min=True),
    "rows": st.integers(1, 1000),
    "seed": st.integers(0, 2**40),
    "pairs": st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19)), max_size=4).map(tuple),
    "path": st.just(""),
    "t": st.integers(0, 1000),
    "f": st.integers(0, 1000),
    "s": st.integers(1, 1000),
    "iterations": st.integers(1, 1000),
    "whole": st.sampled_from([nf.Identity(), Rounded(nf.Identity(), "float32")]),
    "rounds": st.lists(
        st.lists(st.integers(0, 99), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
    ).map(tuple),
}  # fmt: skip
"""What settings may be, where their annotation does not say it."""

EXACTLY = {("adaptive-topk", "compressor"): st.builds(nf.TopK, RANGES["k"])}
"""Of single parts, where only some may be."""


def of_annotation(annotation: Any, key: str, depth: int) -> st.SearchStrategy[Any]:
    """Values of a parameter."""
    if (is_tuple(annotation) and key not in RANGES) or (is_tuple(annotation) and kind_of(get_args(annotation)[0])):
        return st.lists(of_annotation(get_args(annotation)[0], key, depth), min_size=1, max_size=3).map(tuple)
    if kind_of(annotation) and key != "whole":
        fitting = [cls for cls in dict.fromkeys(CLASSES.values()) if issubclass(cls, annotation)]
        simple = [cls for cls in fitting if not any(kind_of(a) or is_tuple(a) for a in hints(cls).values())]
        return st.one_of([part(cls, depth - 1) for cls in (fitting if depth > 0 else simple or fitting[-1:])])
    if key in RANGES:
        return RANGES[key]
    if annotation is bool:
        return st.booleans()
    choices = [choice for choice in alternatives(annotation) if get_origin(choice) is Literal]
    assert choices, f"no range is known for {key}: {annotation}"
    return st.sampled_from([word for choice in choices for word in get_args(choice)])


@cache
def part(cls: type, depth: int = 1) -> st.SearchStrategy[Any]:
    """Parts of a class, with each of its parameters anywhere it may be."""
    drawn = {
        key: EXACTLY[cls.name, key] if (cls.name, key) in EXACTLY else of_annotation(hints(cls)[key], key, depth)
        for key in parameters(cls)
    }
    return st.builds(cls, **drawn)


@pytest.mark.parametrize(("kind", "name"), CLASSES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_part_reads_as_what_it_writes(kind, name, data):
    made = data.draw(part(CLASSES[kind, name]))
    spec = made.to_spec()
    assert from_spec(kind, spec) == made, spec
    assert from_spec(kind, f"  {spec} ") == made
    if isinstance(made, Mechanism) and main_field(type(made)):  # and where the compressor is said apart
        main = made.levels[-1] if name == "adacgd" else made.compressor
        maker = coerce_maker("mechanism", maker_spec(made))
        assert maker == made or maker(main) == made, maker_spec(made)


@given(inner=part(CLASSES["mechanism", "3pc-v3"]), k=RANGES["k"])
@settings(max_examples=20, deadline=None)
def test_mechanisms_nest_with_settings_of_their_own(inner, k):
    outer = nf.ThreePCv3(nf.TopK(k), replace(inner, step_uses="before"))
    assert from_spec("mechanism", outer.to_spec()) == outer


def test_a_trace_reads_from_its_file(tmp_path):
    (tmp_path / "day.txt").write_text("0 2\n1\n")
    trace = nf.Trace.read(str(tmp_path / "day.txt"))
    assert trace.to_spec() == f"trace:{tmp_path / 'day.txt'}" and from_spec("participation", trace.to_spec()) == trace
    with pytest.raises(ValueError, match=r"none\.txt: No such file"):
        from_spec("participation", f"trace:{tmp_path / 'none.txt'}")


WRITTEN = {
    "topk:8d": nf.TopK("8d"),
    "topk:8d+natural": nf.SelectThenQuantise(nf.TopK("8d"), nf.Natural()),
    "grid:0.5": nf.Grid(0.5),
    "clip:0.5": nf.Clip(0.5),
    "bucketed:3/trimmed:2": nf.Bucketed(nf.Trimmed(2), 3),
    "bucketed/median": nf.Bucketed(nf.Median()),
    "centred-clip:0.5": nf.CentredClip(0.5),
    "natural-dithering:8:3": nf.NaturalDithering(8, 3),
    "cbag:0.75/topk:30": nf.CBAG(nf.TopK(30), 0.75),
    "adacgd:2,topk:1,topk:8/topk:9": nf.AdaCGD((nf.TopK(1), nf.TopK(8), nf.TopK(9)), 2.0),
    "3pc-v2:randk:1d/topk:3": nf.ThreePCv2(nf.TopK(3), nf.RandK("1d")),
    "3pc-v3:clag:2/topk:3": nf.ThreePCv3(nf.TopK(3), nf.CLAG(nf.TopK(3), 2.0)),
    "3pc-v3:clag:2/identity/topk:3": nf.ThreePCv3(nf.TopK(3), nf.CLAG(nf.Identity(), 2.0)),
    "diana:0.1/randk:2": nf.Diana(nf.RandK(2), 0.1),
    "ef-bv:theory,1/randk:2": nf.EFBV(nf.RandK(2), "theory", 1.0),
    "noisy-clip:1,0.5,0.25": nf.NoisyClip(1.0, 0.5, 0.25),
    "dasha:theory/randk:2": nf.Dasha(nf.RandK(2)),
    "econtrol:0.05/topk:2": nf.EControl(nf.TopK(2), 0.05),
    "topk:30": nf.EF21(nf.TopK(30)),
    "ef21(topk:30, alpha=0.5)": nf.EF21(nf.TopK(30), 0.5),
    "lag:2": nf.LAG(2.0),
    "uniform:8": nf.Uniform(8),
    "uniform:0.5": nf.Uniform(0.5),
    "trace(((0, 2), (1,)))": nf.Trace(((0, 2), (1,))),
    "symmetric-plain": nf.Symmetric(isometric=False),
    "rotation": nf.DataSubspace(complete=True),
    "huber:2": nf.from_arrays(np.eye(2), [0.0, 1.0], "huber:2", clients=1).loss,
}


@pytest.mark.parametrize("spec", WRITTEN)
def test_the_short_words_stay(spec):
    made = WRITTEN[spec]
    assert made.to_spec() == str(made) == spec and from_spec(made.kind, spec) == made


def test_a_maker_waits_for_its_compressor():
    assert coerce_maker("mechanism", "cbag:0.5")(nf.TopK(3)) == nf.CBAG(nf.TopK(3), 0.5)
    assert coerce_maker("mechanism", "3pc-v3:clag:2")(nf.TopK(3)) == WRITTEN["3pc-v3:clag:2/topk:3"]
    assert coerce_maker("mechanism", "ef21") is nf.EF21  # so that EF21's own settings can join it
    with pytest.raises(ValueError, match=r"mechanism: given 'cbag:0\.5', it needs a compressor"):
        from_spec("mechanism", "cbag:0.5")


ONE_READING = {
    "3pc-v3:cbag:0.5/topk:3": nf.ThreePCv3(nf.TopK(3), nf.CBAG(nf.TopK(3), 0.5)),
    "3pc-v4:topk:1d/natural": nf.ThreePCv4(nf.Natural(), nf.TopK("1d")),
    "3pc-v2:randk:3/natural": nf.ThreePCv2(nf.Natural(), nf.RandK(3)),
    "3pc-v4:topk:1/identity": nf.ThreePCv4(nf.Identity(), nf.TopK(1)),
    "3pc-v4:topk:9/topk:9": nf.ThreePCv4(nf.TopK(9), nf.TopK(9)),
    "adacgd:1,topk:2/topk:9": nf.AdaCGD((nf.TopK(2), nf.TopK(9)), 1.0),
    "3pc-v5:0.5/topk:5": nf.ThreePCv5(nf.TopK(5), 0.5),
    "3pc-v3(inner=clag:2/identity)/topk:3": nf.ThreePCv3(nf.TopK(3), nf.CLAG(nf.Identity(), 2.0)),
}


@pytest.mark.parametrize("spec", ONE_READING)
def test_a_slash_closes_the_outermost_part_wherever_a_text_is_read(spec):
    assert from_spec("mechanism", spec) == coerce_maker("mechanism", spec) == ONE_READING[spec]


def test_a_maker_whose_inner_part_has_a_compressor_of_its_own_is_written_as_a_call():
    assert maker_spec(nf.ThreePCv3(nf.TopK(3), nf.CLAG(nf.Identity(), 2.0))) == "3pc-v3(inner=clag:2/identity)"
    assert maker_spec(nf.ThreePCv2(nf.TopK(3), nf.RandK(9))) == "3pc-v2:randk:9"


@pytest.mark.parametrize("k", ["1d/natural", "3x", "d", "many"])
def test_k_is_a_number_or_a_multiple(k):
    with pytest.raises(ValueError, match=r"topk:.*: given K = .* must be a number or a multiple of d such as 8d"):
        from_spec("compressor", f'topk("{k}")')


def test_texts_stand_wherever_parts_do():
    assert nf.CLAG("topk:30", 2.0) == nf.CLAG(nf.TopK(30), 2.0)
    assert nf.AdaCGD(["topk:1", nf.TopK(2)]) == nf.AdaCGD((nf.TopK(1), nf.TopK(2)))
    assert nf.ThreePCv3("topk:3", "clag:2") == WRITTEN["3pc-v3:clag:2/topk:3"]
    assert nf.SelectThenQuantise("topk:8d", "natural") == WRITTEN["topk:8d+natural"]
    assert coerce("compressor", nf.TopK(3)) == nf.TopK(3)
    problem = nf.load("breast_cancer", clients=4)
    by_name = nf.solve(problem, "newton-3pc,compressor=topk:30", rounds=2)
    assert by_name.x_sha256 == nf.solve(problem, nf.newton_3pc(compressor=nf.TopK(30)), rounds=2).x_sha256


REFUSED = [
    ("compressor", "topkk:3", "given 'topkk'; did you mean topk?"),
    ("mechanism", "cbagg:0.5/topk:3", "did you mean cbag?"),
    ("mechanism", "cbag:0.5/topkk:3", "did you mean topk?"),
    ("mechanism", "topq:3", "did you mean topk?"),
    ("mechanism", "ef21(topk:3, alfa=1)", "setting of ef21: given 'alfa'; did you mean alpha?"),
    ("mechanism", "ef21(topk:3, alpha=fast)", "alpha: given 'fast' in ef21(…), must be a number or auto or theory"),
    ("mechanism", "ef21(topk:3, alpha=1, alpha=1)", "given alpha twice"),
    ("mechanism", "clag(topk:3, 2, 3)", "it takes no more values"),
    ("mechanism", "clag:2/topk:3/topk:4", "clag:2/topk:3 has its compressor already"),
    ("mechanism", "adacgd:2,,topk:3/topk:4", "adacgd needs zeta"),
    ("mechanism", "adacgd:2,topk:3/", "levels: given '', must be one"),
    ("mechanism", "ef21(topk:3", "brackets and quotes must be closed"),
    ("compressor", "topk:3:4", "topk needs k"),
    ("basis", "symetric", "did you mean symmetric?"),
    ("basis", "rotation:true", "rotation takes no settings"),
    ("loss", "logit", "did you mean logistic?"),
    ("participation", "unifrom:3", "did you mean uniform?"),
    ("aggregator", "medain", "did you mean median?"),
    ("aggregator", "bucketed:3", "it needs an aggregator, such as bucketed:3/median"),
    (
        "aggregator",
        "bucketed:2/bucketed:2/median",
        "within it lacks its aggregator: write bucketed(aggregator=bucketed/…)",
    ),
    ("graph", "erdos-renyi", "and may have seed (Another seed, another graph: a whole number), as erdos-renyi:P:SEED"),
    ("graph", "edges:", "edges needs path (The file they were read from)"),
    ("nonsmooth", "box:1", "low (The least that x_j may be: a number) and high (The most that x_j may be, above low: "),
    ("aggregator", "bucketed:3/median/mean", "bucketed:3/median has its aggregator already"),
    ("kompressor", "topk:3", "did you mean compressor?"),
    ("method", "newton-3cp", "did you mean newton-3pc?"),
]


@pytest.mark.parametrize(("kind", "spec", "fault"), REFUSED)
def test_what_is_none_is_refused_with_the_nearest(kind, spec, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        registry.method(spec) if kind == "method" else from_spec(kind, spec)


PIECES = [
    *[
        "topk",
        "cbag",
        "clag",
        "adacgd",
        "3pc-v3",
        "ef21",
        "natural",
        "huber",
        "symmetric",
        "all",
        "uniform",
        "zeta=2",
        "levels",
        "none",
        "true",
        "nan",
        "3",
        "0.5",
        "8d",
    ],
    *'=:/+,()" -é',
]


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(KINDS), pieces=st.lists(st.sampled_from(PIECES), max_size=9))
def test_whatever_is_said_a_part_or_a_refusal_comes_of_it(kind, pieces):
    try:
        made = from_spec(kind, "".join(pieces))
    except (ValueError, TypeError) as error:
        assert "given" in str(error)
    else:
        assert from_spec(kind, made.to_spec()) == made or "nan" in pieces


# --- parts from elsewhere

OWN = '''
from dataclasses import dataclass

import numpy as np

import newtonfl as nf


@dataclass(frozen=True)
class EveryOther(nf.Compressor):
    """Every second entry, or every n-th.

    Parameters
    ----------
    n : int
        How far apart the entries are that are kept.
    """

    n: int = 2
    name = "every-other"

    def contract(self, size):
        return nf.Contractive(1e-9)

    def compress(self, v, key):
        kept = np.arange(0, len(v), self.n)
        return nf.Sparse(kept, v[kept])
'''


def test_a_file_of_ones_own_is_loaded(tmp_path):
    (tmp_path / "mine.py").write_text(OWN.replace("every-other", "every-other-here"))
    module = registry.load_file(tmp_path / "mine.py")
    assert registry.load_file(tmp_path / "mine.py") is module  # once
    made = from_spec("compressor", "every-other-here:3")
    assert made == module.EveryOther(3) and made.to_spec() == "every-other-here:3"
    assert nf.fednl(compressor=made).parameters()["compressor"] == "every-other-here:3"
    (tmp_path / "mine.py").write_text(OWN.replace("every-other", "every-other-here").replace("n: int = 2", "n: int"))
    again = registry.load_file(tmp_path / "mine.py")  # it has changed
    assert again is not module and from_spec("compressor", "every-other-here:3") == again.EveryOther(3)
    (tmp_path / "wrong.py").write_text("1 / 0")
    with pytest.raises(ValueError, match=r"wrong\.py, line \d: ZeroDivisionError"):
        registry.load_file(tmp_path / "wrong.py")
    del entries("compressor")["every-other-here"]


def test_a_name_belongs_to_one_part():
    with pytest.raises(ValueError, match=r"'topk' is already that of newtonfl\.compressors\.topk\.TopK"):

        class Other(nf.TopK):
            name = "topk"

    with pytest.raises(ValueError, match="must be small letters"):

        class Shouting(nf.TopK):
            name = "TopK"

    assert from_spec("compressor", "topk:3") == nf.TopK(3)


def test_a_distribution_offers_its_parts(tmp_path):
    """By an entry point of group newtonfl.parts, which no file of the library names."""
    (tmp_path / "thirdparty.py").write_text(OWN)
    (tmp_path / "brokenparts.py").write_text("raise RuntimeError('no such thing')")
    info = tmp_path / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[newtonfl.parts]\nevery = thirdparty:EveryOther\nbroken = brokenparts\n")
    ask = (
        "import sys, warnings; sys.path.insert(0, sys.argv[1]); import newtonfl as nf\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    print(nf.CLAG('every-other:3', 2.0).to_spec())\n"
        "print(*[w.message for w in caught])"
    )
    done = subprocess.run([sys.executable, "-c", ask, str(tmp_path)], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "clag:2/every-other:3"
    assert "thirdparty: its entry point broken = brokenparts of group newtonfl.parts failed: RuntimeError" in second


@dataclass(frozen=True)
class _Unnamed(Compressor):
    k: int = 3

    def contract(self, size: int) -> nf.Contractive:
        return nf.Contractive(0.5)

    def compress(self, v: Any, key: nf.Key) -> nf.Message:
        return nf.Dense(v)


@dataclass(frozen=True)
class _Labelled(_Unnamed):
    """With words and several numbers among its settings.

    Parameters
    ----------
    label : str
        Any text.
    sizes : tuple of int
        Some numbers.
    often : bool or None
        Perhaps.
    """

    label: str = "x"
    sizes: tuple[int, ...] = ()
    often: bool | None = None
    name = "labelled-in-tests"


@settings(max_examples=200, deadline=None)
@given(
    made=st.builds(
        _Labelled,
        st.integers(),
        st.one_of(st.text(), st.sampled_from(["true", "none", "1e5", "a,b", "topk:3", '"', "\\", "(", "a/b+c"])),
        st.lists(st.integers(), max_size=3).map(tuple),
        st.sampled_from([True, False, None]),
    )
)
def test_any_text_and_several_numbers_come_back(made):
    assert from_spec("compressor", made.to_spec()) == made, made.to_spec()
    assert from_spec("mechanism", nf.EF21(made, 0.5).to_spec()) == nf.EF21(made, 0.5)


def test_a_part_without_a_name_says_its_class():
    assert _Unnamed().to_spec() == str(_Unnamed()) == "_Unnamed" and "_Unnamed" in nf.CLAG(_Unnamed()).to_spec()


def test_the_old_properties_still_say_it():
    with pytest.warns(DeprecationWarning, match="to_spec"):
        assert nf.TopK(3).text == "topk:3"
    with pytest.warns(DeprecationWarning, match="to_spec"):
        assert nf.CLAG("topk:3").spoken == "clag:2/topk:3"
    assert not hasattr(nf.TopK(3), "speaks") and issubclass(nf.TopK, Part) and issubclass(Quantiser, Part)


# --- methods


def test_every_preset_reads_as_what_it_writes():
    for name in known("method"):
        if not registry.asks_for_optimum(name):
            made = registry.method(name)
            assert registry.method(name, {k: str(v) for k, v in registry.method_parameters(made).items()}) == made


def test_a_preset_of_ones_own_takes_its_new_setting_as_a_number():
    """By its annotation: no list of settings names it."""

    def slower(*, factor: float = 0.5, compressor: Compressor | str = "topk:3") -> Any:
        return factor, coerce("compressor", compressor)

    registry.register_method("slower-here", slower)
    assert registry.coerce_method("slower-here,factor=2,compressor=topk:4") == (2.0, nf.TopK(4))
    with pytest.raises(ValueError, match="factor: given 'half', must be a number"):
        registry.coerce_method("slower-here,factor=half")
    with pytest.raises(ValueError, match=r"given 'facter'; did you mean factor"):
        registry.coerce_method("slower-here,facter=2")
    del entries("method")["slower-here"]


@pytest.mark.parametrize(
    ("spec", "name", "chosen"),
    [
        ("adacgd,levels=topk:1,topk:8,zeta=2", "adacgd", {"levels": "topk:1,topk:8", "zeta": "2"}),
        (
            "newton-3pc,mechanism=ef21(topk:3, alpha=0.5),step=project",
            "newton-3pc",
            {"mechanism": "ef21(topk:3, alpha=0.5)", "step": "project"},
        ),
    ],
)
def test_brackets_hold_commas_together(spec, name, chosen):
    assert registry.parse(spec) == (name, chosen)
