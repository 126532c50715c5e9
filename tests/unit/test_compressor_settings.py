"""Compressors' settings and names: what they may be, and what is refused in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import COMPRESSORS, wired

from newtonfl.comm.coding import PRECISIONS
from newtonfl.compressors import (
    BiasedRounding,
    Contracted,
    Dithering,
    Identity,
    Natural,
    NaturalDithering,
    PowerSGD,
    RandK,
    RandSeqK,
    RankR,
    RankThenQuantise,
    Rounded,
    SelectThenQuantise,
    Threshold,
    TopK,
    TopLEK,
)
from newtonfl.registry import from_spec


@pytest.mark.parametrize(
    "given, dim, k",
    [
        ("8d", 20, 160),
        ("0.5d", 21, 10),
        ("1d", 7, 7),
        (7, 20, 7),
        ("7", 20, 7),
        (7.0, 20, 7),
        (210, 20, 210),
        ("10.5d", 20, 210),
        ("11d", 20, 210),
        ("4d", 3, 6),
    ],
)
def test_k_may_be_a_multiple_of_the_dimension(given, dim, k):
    """Rounded down to a whole number; more than there are is all of them."""
    for kind in (TopK, RandK, TopLEK, RandSeqK):
        made = kind(given).for_dimension(dim)
        assert made == kind(k) and isinstance(made.k, int)
        assert Rounded(kind(given), "float32").for_dimension(dim) == Rounded(kind(k), "float32")


@pytest.mark.parametrize(
    "given, fault",
    [
        ("d8", "given K = 'd8', must be a number or a multiple of d such as 8d"),
        ("", "must be a number or a multiple of d"),
        ("d", "must be a number or a multiple of d"),
        (0, "given K = 0, must be a whole number of at least 1"),
        (-3, "at least 1"),
        (2.5, "given K = 2.5, must be a whole number"),
        ("-1d", "at least 1"),
        (211, r"given K = 211, must be at most 210.*d\(d\+1\)/2.*d = 20"),
        (1234567, "given K = 1234567, must be at most 210"),
        (2.5e7, "given K = 25000000, must be at most 210"),
    ],
)
def test_k_that_cannot_be(given, fault):
    """Named as the command line writes the compressor."""
    for name, kind in (("topk", TopK), ("randk", RandK), ("toplek", TopLEK), ("randseqk", RandSeqK)):
        with pytest.raises(ValueError, match=f"^{name}[:(].*: .*{fault}"):
            kind(given).for_dimension(20)
        with pytest.raises(ValueError, match=fault):
            Rounded(kind(given), "float32").for_dimension(20)


@pytest.mark.parametrize("r", [0, -1, 21, 1.5, "2"])
def test_a_rank_that_cannot_be(r):
    """Below 1, or more than there are, or no whole number."""
    for name, kind in (("rank", RankR), ("powersgd", PowerSGD)):
        fault = f"^{name}[:(].*: the rank must be a whole number, at least 1 and at most d = 20"
        with pytest.raises(ValueError, match=fault):
            kind(r).for_dimension(20)
        made = kind(np.int64(20)).for_dimension(20)
        assert made == kind(20) and type(made.r) is int


def test_which_compressors_go_with_which_precision():
    """natural only where a contractive compressor of vectors bears it; the refusal says which does."""
    everywhere = {(name, precision) for name in COMPRESSORS for precision in PRECISIONS}
    refused = [name for name, c in COMPRESSORS.items() if c.acts_on == "symmetric"]
    refused += ["randk", "randseqk", "permk", "natural", "dithering", "natural-dithering", "clip", "adaptive-random"]
    assert set(wired()) == everywhere - {(name, "natural") for name in refused}
    for compressor in (RandK(3), RankR(1), RandSeqK(2), PowerSGD(1), Natural(), RankThenQuantise(RankR(1), Natural())):
        with pytest.raises(ValueError, match=f"wire=natural.*{re.escape(str(compressor))}.*topk"):
            Rounded(compressor, "natural").for_dimension(5)


def test_for_people_it_is_the_compressor_that_was_given():
    assert str(Rounded(TopK(3), "natural")) == "topk:3"
    assert Rounded(TopK(3), "natural").to_spec() == "rounded(topk:3, precision=natural)"


@pytest.mark.parametrize(
    "text, made",
    [
        ("identity", Identity()),
        ("topk:8d", TopK("8d")),
        ("toplek:8d", TopLEK("8d")),
        ("randk:3", RandK(3)),
        ("randseqk:2.5d", RandSeqK("2.5d")),
        ("threshold:0.5", Threshold(0.5)),
        ("threshold:1e-05", Threshold(1e-5)),
        ("rank:2", RankR(2)),
        ("powersgd:1", PowerSGD(1)),
        ("natural", Natural()),
        ("dithering", Dithering()),
        ("dithering:12", Dithering(12)),
        ("natural-dithering:8", NaturalDithering(8)),
        ("natural-dithering:8:3", NaturalDithering(8, 3)),
        ("rounding", BiasedRounding()),
        ("rounding:10", BiasedRounding(10)),
        ("topk:8d+natural", SelectThenQuantise(TopK("8d"), Natural())),
        ("topk:30+dithering", SelectThenQuantise(TopK(30), Dithering())),
        ("topk:8d+natural-dithering:8:3", SelectThenQuantise(TopK("8d"), NaturalDithering(8, 3))),
        ("rank:1+natural", RankThenQuantise(RankR(1), Natural())),
        ("rank:2+dithering:5", RankThenQuantise(RankR(2), Dithering(5))),
    ],
)
def test_names(text, made):
    """Text → compressor → text, and the settings become numbers through every layer."""
    assert from_spec("compressor", text) == made and made.to_spec() == str(made) == text
    assert "8d" not in repr(made.for_dimension(20)) and str(Rounded(made, "float32").for_dimension(20))


def test_names_with_a_default():
    assert from_spec("compressor", "rounding:2") == BiasedRounding()
    assert from_spec("compressor", "threshold:1") == Threshold(1.0)


@pytest.mark.parametrize(
    "text, fault",
    [
        ("topkk:3", "given 'topkk'; did you mean topk?"),
        ("naturel", "did you mean natural?"),
        ("natural:3", "natural takes no settings"),
        ("threshold", "threshold needs lam (λ, above 0 and at most 1: a number)"),
        ("threshold:half", "threshold needs lam"),
        ("powersgd:1.5", "powersgd needs r (R, from 1 to d: a whole number)"),
        ("powersgd", "powersgd needs r"),
        ("dithering:", "dithering needs levels (s"),
        ("dithering:three", "dithering needs levels"),
        ("natural-dithering", "natural-dithering needs levels"),
        ("natural-dithering:8:2:2", "natural-dithering needs levels"),
        ("natural-dithering:8:", "natural-dithering needs levels"),
        ("rounding:e", "rounding needs base (b, from 2 to 255: a whole number)"),
        ("dithering:2:2", "dithering needs levels"),
        ("topk:3+topk:3", "behind it dithering or natural or natural-dithering, not topk:3"),
        ("topk:3+rounding:2", "behind it"),
        ("randk:3+natural", "before + may stand rank or topk, and behind it"),
        ("powersgd:1+natural", "before + may stand rank or topk"),
        ("topk:3+", "given ''"),
        ("+natural", "given ''"),
        ("topk:3+natural+natural", "given 'topk:3+natural+natural'"),
    ],
)
def test_names_that_are_none(text, fault):
    """In words: what was given, and what is allowed."""
    with pytest.raises(ValueError, match=f"^compressor: .*{re.escape(fault)}"):
        from_spec("compressor", text)


@pytest.mark.parametrize(
    "compressor, fault",
    [
        (Threshold(0), "threshold:0: given λ = 0, must be above 0 and at most 1"),
        (Threshold(1.5), "threshold:1.5: given λ = 1.5, must be above 0 and at most 1"),
        (Threshold(float("nan")), "must be above 0"),
        (Threshold("0.5"), "given λ = '0.5', must be above 0"),
        (Dithering(0), "dithering:0: given 0 levels, must be a whole number from 1"),
        (Dithering(2**31), "must be a whole number from 1 to 2147483647"),
        (Dithering(1.5), "given 1.5 levels"),
        (NaturalDithering(0), "natural-dithering:0: given 0 levels"),
        (NaturalDithering(1001), "from 1 to 1000"),
        (
            NaturalDithering(200, 255),
            "natural-dithering:200:255: given 200 levels, must be a whole number from 1 to 125",
        ),
        (NaturalDithering(8, 1), "natural-dithering:8:1: given base 1, must be a whole number from 2 to 255"),
        (BiasedRounding(1), "rounding:1: given base 1, must be a whole number from 2 to 255"),
        (BiasedRounding(256), "given base 256"),
        (SelectThenQuantise(TopK(0), Natural()), "topk:0: given K = 0"),
        (SelectThenQuantise(TopK(1), Dithering(0)), "dithering:0: given 0 levels"),
        (RankThenQuantise(RankR(21), Natural()), "rank:21: the rank must be"),
        (RankThenQuantise(RankR(2), Dithering(0)), "dithering:0: given 0 levels"),
        (Contracted(RandK(0)), "randk:0: given K = 0"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(compressor, fault):
    """Named as the command line writes the compressor."""
    with pytest.raises(ValueError, match=fault):
        compressor.for_dimension(20)


def test_whole_numbers_of_numpy_are_whole_numbers():
    """As settings, where Python's are."""
    two = np.int64(2)
    for made in (Dithering(two), NaturalDithering(two, two), BiasedRounding(two), RankR(two), TopK(two)):
        settled = made.for_dimension(5)
        assert settled == made and all(type(value) is int for value in vars(settled).values())
