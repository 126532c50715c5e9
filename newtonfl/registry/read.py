"""Reading parts: each form that a part's text may have; :mod:`newtonfl.registry.spec` lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, get_args

from newtonfl.registry import values
from newtonfl.registry.declared import (
    Maker,
    alternatives,
    bare_part,
    default,
    hints,
    holds_parts,
    is_tuple,
    joins,
    kind_of,
    main_field,
    main_kind,
    names_of,
    parameters,
    readable,
    shorthand,
)
from newtonfl.registry.lookup import entries, find
from newtonfl.registry.nearest import nearest
from newtonfl.registry.text import call, split
from newtonfl.registry.values import head
from newtonfl.registry.wording import usage


def read(kind: str, spec: str) -> Any:
    """The part, or the Maker where the main compressor lacks.

    What stands behind the last slash outside brackets is the main compressor of the part that the text begins with,
    and of no part within it: ``3pc-v3:cbag:0.5/topk:3`` is 3PCv3 with TopK(3), and CBAG shares it.
    """
    try:
        split(spec, ",")
    except ValueError as error:
        raise ValueError(f"{kind}: {error}") from None
    called = call(spec)
    if called:
        return _read_call(kind, *called)
    if len(joined := split(spec, "+")) > 1 and any(joins(entry.made_by) for entry in entries(kind).values()):
        return _read_joined(kind, spec, joined)
    if len(pieces := split(spec, "/")) > 1 and main_field(made_by := _by_head(kind, spec)):
        before, main = "/".join(pieces[:-1]), pieces[-1]
        made = _read_before(kind, before)
        if not isinstance(made, Maker):
            raise ValueError(f"{kind}: given {spec!r}, {before} has its {main_kind(made_by)} already")
        return made(_read_main(made.part, main))
    return _read_short(kind, spec)


def _read_before(kind: str, words: str) -> Any:
    """What stands before the last slash: a Maker, whose settings may have slashes of their own."""
    if called := call(words):
        return _read_call(kind, *called)
    try:
        return _read_short(kind, words)
    except ValueError:
        if len(split(words, "/")) > 1:  # of a setting, unless it is a whole part
            read(kind, words)
            return None
        raise


def _by_head(kind: str, spec: str) -> Any:
    """The class of the name that a text begins with, or the part that stands for its compressor alone."""
    name = head(spec)
    if name not in entries(kind) and (bare := bare_part(kind)) is not None:
        if name in (readable_names := readable(kind)):
            return bare
        raise nearest(kind, name, {**entries(kind), **readable_names})
    return find(kind, name).made_by


def _read_joined(kind: str, spec: str, pieces: list[str]) -> Any:
    """The part that joins two others: the first whose parameters they can be."""
    if len(pieces) == 2:
        before, behind = (read(kind, piece) for piece in pieces)
        joining = [entry.made_by for entry in entries(kind).values() if joins(entry.made_by)]
        for part in joining:
            (one, two), types_ = list(parameters(part))[:2], hints(part)
            if isinstance(before, types_[one]) and isinstance(behind, types_[two]):
                return part(before, behind)
        allowed = [[hints(part)[list(parameters(part))[side]] for part in joining] for side in (0, 1)]
        lead, behind = (" or ".join(dict.fromkeys(names_of(kind, classes))) for classes in allowed)
    else:
        lead, behind = "a compressor", "another"
    raise ValueError(f"{kind}: given {spec!r}, before + may stand {lead}, and behind it {behind}, not {pieces[1]}")


def _read_short(kind: str, spec: str) -> Any:
    """``name`` or ``name:setting,setting``."""
    name, colon, setting = spec.partition(":")
    name = name.strip()
    bare = _by_head(kind, spec)
    if getattr(bare, "bare", False) and name != bare.name:
        return bare(read(str(kind_of(hints(bare)[str(main_field(bare))])), spec))
    entry = find(kind, name)
    part, keys = entry.made_by, shorthand(entry.made_by)
    if entry.values:
        if colon:
            raise ValueError(f"{kind}: given {spec!r}, {name} takes no settings")
        return part(**entry.values)
    wrong = f"{kind}: given {spec!r}, {name} needs {usage(part)}"
    if colon and not keys:
        raise ValueError(f"{kind}: given {spec!r}, {name} takes no settings")
    if colon and not setting:
        raise ValueError(wrong)
    if part.reads_file and setting:
        return _read_file(kind, part, setting)
    pieces = [] if not setting else [setting] if _takes_all(part, keys) else split(setting, part.separator)
    chosen: dict[str, Any] = {}
    for key in keys:
        if key == keys[-1] and pieces and is_tuple(hints(part).get(key)):
            if not all(pieces):
                raise ValueError(wrong)
            chosen[key], pieces = _read_value(part, key, ",".join(pieces), wrong), []
        elif pieces:
            chosen[key] = _read_value(part, key, pieces.pop(0), wrong)
    if pieces:
        raise ValueError(wrong)
    missing = [key for key, field in parameters(part).items() if default(field) is MISSING and key not in chosen]
    main = main_field(part)
    if set(missing) - {main}:
        raise ValueError(wrong)
    return Maker(part, tuple(chosen.items())) if main else part(**chosen)


def _read_file(kind: str, part: Any, path: str) -> Any:
    """The part that a file holds."""
    try:
        return part.read(path)
    except OSError as error:
        raise ValueError(f"{kind}: {path}: {error.strerror}") from None


def _takes_all(part: type, keys: tuple[str, ...]) -> bool:
    """Whether all that stands behind the colon is one value, separators and all: a part's text, or a path."""
    annotation = hints(part).get(keys[0]) if len(keys) == 1 else None
    return annotation is str or holds_parts(annotation)


def _read_call(kind: str, name: str, inside: str) -> Any:
    """``name(value, key=value, …)``."""
    entry = find(kind, name)
    part, allowed = entry.made_by, parameters(entry.made_by)
    chosen: dict[str, Any] = dict(entry.values)
    positional = [key for key, field in allowed.items() if not field.kw_only]
    for piece in split(inside, ",") if inside.strip() else []:
        key, equals, words = (word.strip() for word in piece.partition("="))
        if not (equals and re.fullmatch(r"\w+", key)):
            key, words = next((free for free in positional if free not in chosen), ""), piece
            if not key:
                raise ValueError(f"{kind}: given {piece!r} in {name}(…), it takes no more values")
        elif key not in allowed:
            raise nearest(f"setting of {name}", key, allowed, name)
        elif key in chosen and key not in entry.values:
            raise ValueError(f"{kind}: given {key} twice in {name}(…)")
        chosen[key] = _read_value(part, key, words, f"{key}: given {words!r} in {name}(…), must be {{}}")
    missing = [key for key, field in allowed.items() if default(field) is MISSING and key not in chosen]
    if missing and missing == [main_field(part)]:
        return Maker(part, tuple(chosen.items()))
    if missing:
        raise ValueError(f"{kind}: given {name}({inside}), {name} needs {usage(part)}")
    return _completed(part, chosen)


def _completed(part: type, values: Mapping[str, Any]) -> Any:
    """The part; a mechanism in it that lacks its compressor gets the part's own."""
    main = values.get(str(main_field(part)))
    if isinstance(main, Maker):
        raise _lacking(part, main)
    return part(**{key: value(main) if isinstance(value, Maker) else value for key, value in values.items()})


def _lacking(part: Any, main: Maker) -> ValueError:
    """The error of a part whose main part lacks its own: two rules within one another, say."""
    name, inner = part.name, main.part.name  # type: ignore[attr-defined]
    return ValueError(
        f"{name}: the {inner} within it lacks its {main_kind(main.part)}: write {name}({main_field(part)}={inner}/…)"
    )


def _read_main(part: type, words: str) -> Any:
    """The main compressor of a `part`, from its text."""
    key = str(main_field(part))
    wrong = f"{key}: given {words!r}, must be {{}}"
    made = _read_value(part, key, words, wrong)
    if isinstance(made, Maker):
        raise _lacking(part, made)
    if not is_tuple(hints(part)[key]):
        return made
    if len(made) != 1:
        raise ValueError(wrong.replace("{}", "one"))
    return made[0]


def read_value(annotation: Any, words: str, wrong: str) -> Any:
    """The value that a text is, by its annotation: see :func:`newtonfl.registry.values.value`."""
    return values.value(annotation, words, wrong, read)


def _read_value(part: type, key: str, words: str, wrong: str) -> Any:
    """The value of a part's parameter; `wrong`, with what is allowed in the place of {}, is raised where it is none."""
    return read_value(hints(part).get(key, Any), words, wrong)


def value_of(part: Any, key: str, value: Any) -> Any:
    """The value of a part's parameter where it was given as text, or as a tuple with texts in it.

    Parameters
    ----------
    part : Part
        Being made; a mechanism that lacks its compressor gets the part's own.
    key : str
        The parameter.
    value : str or sequence
        As it was given.

    Returns
    -------
    Part or tuple
        Of that parameter's type.
    """
    annotation = hints(type(part))[key]
    if isinstance(value, str):
        made = read_value(annotation, value, f"{key}: given {value!r}, must be {{}}")
        if isinstance(made, Maker) and key == main_field(type(part)):
            raise _lacking(part, made)
        return made(getattr(part, str(main_field(type(part))))) if isinstance(made, Maker) else made
    inner = next((get_args(choice)[0] for choice in alternatives(annotation) if is_tuple(choice)), Any)
    return tuple(
        read_value(inner, entry, f"{key}: given {entry!r}, must be {{}}") if isinstance(entry, str) else entry
        for entry in value
    )
