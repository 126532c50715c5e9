"""Mechanisms and participation by name: "cbag:0.75" ⇄ CBAG, "uniform:8" ⇄ Uniform."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from newtonfl.compressors import Compressor
from newtonfl.mechanisms import (
    CBAG,
    CLAG,
    EF21,
    EFBV,
    AdaCGD,
    AdaptiveTopK,
    Diana,
    Marina,
    Mechanism,
    ThreePCv1,
    ThreePCv2,
    ThreePCv3,
    ThreePCv4,
    ThreePCv5,
    bag,
    lag,
)
from newtonfl.methods import All, Independent, Participation, Trace, Uniform
from newtonfl.registry.words import nearest, number

Maker: TypeAlias = Callable[[Compressor], Mechanism]

MECHANISMS: dict[str, str] = {
    "ef21": "nothing",
    "lag": "ζ, a number of at least 0 such as lag:2",
    "clag": "ζ, a number of at least 0 such as clag:2",
    "bag": "p, a probability such as bag:0.75",
    "cbag": "p, a probability such as cbag:0.75",
    "3pc-v1": "nothing",
    "3pc-v2": "an unbiased compressor such as 3pc-v2:randk:1d",
    "3pc-v3": "another mechanism such as 3pc-v3:clag:2",
    "3pc-v4": "a compressor such as 3pc-v4:topk:1d",
    "3pc-v5": "p, a probability such as 3pc-v5:0.1",
    "marina": "p, a probability such as marina:0.1",
    "adacgd": "ζ and the levels before the last such as adacgd:2,topk:1,topk:8",
    "adaptive-topk": "nothing",
    "diana": "nothing or α, such as diana:0.1, and an unbiased compressor",
    "ef-bv": "λ and ν, numbers or theory such as ef-bv:theory,1",
}
"""Mechanisms by name, with what stands behind the colon."""

_WITHOUT: dict[str, Maker] = {"ef21": EF21, "3pc-v1": ThreePCv1, "adaptive-topk": AdaptiveTopK}
_NUMBER: dict[str, Callable[[float], Maker | Mechanism]] = {
    "lag": lag,
    "bag": bag,
    "clag": lambda zeta: partial(CLAG, zeta=zeta),
    "cbag": lambda p: partial(CBAG, p=p),
    "3pc-v5": lambda p: partial(ThreePCv5, p=p),
    "marina": lambda p: partial(Marina, p=p),
}


def mechanism(text: str, compressor: Callable[[str], Compressor]) -> Maker | Mechanism:
    """What makes the mechanism that a text names of its main compressor, or the mechanism where it takes none.

    Parameters
    ----------
    text : str
        ``NAME:SETTING`` such as ``"cbag:0.75"``.
    compressor : callable
        What reads the compressors that stand in it: :func:`newtonfl.registry.compressor`.

    Returns
    -------
    callable, or Mechanism
        Compressor → Mechanism, or the mechanism itself.

    Raises
    ------
    ValueError
        If the name or what stands behind its colon is not known; the message says what is allowed.
    """
    name, _, setting = text.partition(":")
    wrong = ValueError(f"mechanism: given {text!r}, {name} needs {MECHANISMS.get(name)}")
    if name not in MECHANISMS:
        raise nearest("mechanism", name, MECHANISMS)
    if name in _WITHOUT:
        if setting:
            raise wrong
        return _WITHOUT[name]
    if name == "diana":
        rate: float | str = "theory" if setting in ("", "theory") else number(setting, wrong)
        return partial(Diana, lam=rate)  # type: ignore[arg-type]
    if not setting:
        raise wrong
    if name == "ef-bv":
        words = setting.split(",")
        if len(words) != 2:
            raise wrong
        lam, nu = ("theory" if word == "theory" else number(word, wrong) for word in words)
        return partial(EFBV, lam=lam, nu=nu)  # type: ignore[arg-type]
    if name in _NUMBER:
        return _NUMBER[name](number(setting, wrong))
    if name == "adacgd":
        zeta, *levels = setting.split(",")
        first, factor = tuple(compressor(level) for level in levels), number(zeta, wrong)
        return lambda last: AdaCGD((*first, last), factor)
    if name == "3pc-v3":
        if "/" in setting or setting.partition(":")[0] not in MECHANISMS:  # with a compressor of its own
            own = spoken(setting, compressor)
            alone = own if isinstance(own, Mechanism) else EF21(own) if isinstance(own, Compressor) else None
            if alone is None:
                raise wrong
            return lambda last: ThreePCv3(last, alone)
        inner = mechanism(setting, compressor)
        return lambda last: ThreePCv3(last, inner if isinstance(inner, Mechanism) else inner(last))
    other = compressor(setting)
    return lambda last: ThreePCv2(last, other) if name == "3pc-v2" else ThreePCv4(last, other)


def spoken(text: str, compressor: Callable[[str], Compressor]) -> Compressor | Mechanism | str:
    """How a vector is told.

    Parameters
    ----------
    text : str
        "exact", a compressor such as "topk:30", a mechanism without one such as "bag:0.5", or "MECHANISM/COMPRESSOR".
    compressor : callable
        What reads the compressors that stand in it: :func:`newtonfl.registry.compressor`.

    Returns
    -------
    Compressor, Mechanism or str
        What it names; "exact" stays a word.

    Raises
    ------
    ValueError
        If it names none, or a mechanism lacks its compressor.
    """
    first, slash, main = text.rpartition("/") if "/" in text else (text, "", "")
    if text == "exact":
        return text
    if not slash and first.partition(":")[0] not in MECHANISMS:
        return compressor(text)
    made = mechanism(first, compressor)
    if isinstance(made, Mechanism):
        return made
    if not slash:
        raise ValueError(f"given {text!r}, {first} needs a compressor, such as {first}/topk:30")
    return made(compressor(main))


def participation(text: str) -> Participation:
    """The participation that a text names.

    Parameters
    ----------
    text : str
        ``all``, ``uniform:τ``, ``independent:p`` or ``trace:PATH``.

    Returns
    -------
    Participation
        Whose ``text`` it is.

    Raises
    ------
    ValueError
        If the name or its setting is not one, or the trace's file cannot be used.
    """
    name, colon, setting = text.partition(":")
    wrong = ValueError(
        f"participation: given {text!r}, allowed are all, uniform:8 (or a share such as uniform:0.5), independent:0.5 "
        "and trace:PATH"
    )
    if text == "all":
        return All()
    if not colon or not setting:
        raise wrong
    if name == "uniform":
        return Uniform(int(setting)) if setting.isascii() and setting.isdecimal() else Uniform(number(setting, wrong))
    if name == "independent":
        return Independent(number(setting, wrong))
    if name != "trace":
        raise wrong
    try:
        return Trace.read(setting)
    except OSError as error:
        raise ValueError(f"participation: {setting}: {error.strerror}") from None
