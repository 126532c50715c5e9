"""The grammar of parts: a text is read as a part, and a part written as a text that reads as it again.

    part       word                            a name alone, or one that brings settings along: symmetric-plain
             | name:setting,setting            the settings that the part names, in their order (compressors: a:b)
             | part/part                       a mechanism and its main compressor: cbag:0.75/topk:30
             | part+part                       one compressor followed by another: topk:8d+natural
             | name(value, key=value, …)       everything: ef21(topk:30, alpha=0.5)
    value      number | word | "text" | true | false | none | part | (value, value, …)

What a value is read as, its annotation says. The first four forms are for the command line; a part is written in them
where they say all of it. A compressor alone is also the mechanism EF21 with it.
"""

from __future__ import annotations

import inspect
import numbers
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from newtonfl.registry.lookup import HOMES, entries, find, nearest
from newtonfl.registry.text import call, from_number, number, quoted, split, unquoted

NoneType = type(None)


@dataclass(frozen=True)
class Maker:
    """A part that lacks its main compressor: called with one, it is made.

    Attributes
    ----------
    part : type
        The mechanism's class.
    values : tuple of (str, value)
        Its other settings; a mechanism among them may lack its compressor too, and gets the same one.
    """

    part: type
    values: tuple[tuple[str, Any], ...] = ()

    def __call__(self, main: Any) -> Any:
        """The part with `main`, say a compressor, in its place."""
        values = {key: value(main) if isinstance(value, Maker) else value for key, value in self.values}
        key = main_field(self.part)
        assert key is not None
        values[key] = (*values.get(key, ()), main) if is_tuple(hints(self.part)[key]) else main
        return self.part(**values)


# -- what a part declares


def hints(part: Any) -> Mapping[str, Any]:
    """The resolved annotations of a class or function; none where they name what cannot be found."""
    return _hints(part)


@cache
def _hints(part: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(part)
    except (NameError, TypeError, AttributeError):
        return {}


def parameters(part: type) -> dict[str, Field[Any]]:
    """A part's parameters by name: the fields of its dataclass that its constructor takes."""
    return {field.name: field for field in fields(part) if field.init} if is_dataclass(part) else {}


def main_field(part: type) -> str | None:
    """The parameter that stands behind a slash, where there is one."""
    key: str | None = getattr(part, "main_field", None)
    return key if key in parameters(part) else None


def shorthand(part: type) -> tuple[str, ...]:
    """The parameters that stand behind the colon."""
    declared: tuple[str, ...] | None = getattr(part, "shorthand", None)
    if declared is not None:
        return declared
    main = main_field(part)
    return tuple(key for key, field in parameters(part).items() if key != main and not field.kw_only)


def is_tuple(annotation: Any) -> bool:
    """Whether a value of that annotation is a tuple."""
    return get_origin(annotation) is tuple


def kind_of(annotation: Any) -> str | None:
    """The kind of part that an annotation names."""
    kind = getattr(annotation, "kind", None) if isinstance(annotation, type) else None
    return kind if isinstance(kind, str) and kind in HOMES else None


def holds_parts(annotation: Any) -> bool:
    """Whether values of that annotation are parts, tuples of them, or may be."""
    return kind_of(annotation) is not None or any(holds_parts(inner) for inner in get_args(annotation))


def default(field: Field[Any]) -> Any:
    """What a parameter is when nothing is said; ``MISSING`` where something must be."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


# -- reading


def from_spec(kind: str, spec: str) -> Any:
    """The part that a text names.

    Parameters
    ----------
    kind : {"compressor", "mechanism", "basis", "loss", "participation"}
        What it should be.
    spec : str
        Such as ``"topk:8d"``: see :mod:`newtonfl.registry.spec`.

    Returns
    -------
    Part
        Whose ``to_spec()`` reads as the same part.

    Raises
    ------
    ValueError, TypeError
        If a name is not known (the nearest is named), or a value is none that the part can have.

    Examples
    --------
    >>> from_spec("mechanism", "cbag:0.75/topk:30")
    CBAG(step_uses='after', compressor=TopK(k=30), p=0.75)
    """
    made = _read(kind, spec.strip())
    if isinstance(made, Maker):
        raise ValueError(f"{kind}: given {spec!r}, it needs a compressor, such as {spec}/topk:30")
    return made


def coerce(kind: str, value: Any) -> Any:
    """An object as it is, and a text as the part that it names.

    Parameters
    ----------
    kind : str
        What it should be.
    value : Part, str or other
        Only a str is changed.

    Returns
    -------
    Part or other
        `value`, or the part.

    Raises
    ------
    ValueError, TypeError
        As :func:`from_spec`.

    Examples
    --------
    >>> coerce("compressor", "topk:30")
    TopK(k=30)
    """
    return from_spec(kind, value) if isinstance(value, str) else value


def coerce_maker(kind: str, value: Any) -> Any:
    """As :func:`coerce`, where a text may leave out the main compressor: ``mechanism="cbag:0.75"``.

    Parameters
    ----------
    kind : str
        What it should be.
    value : Part, str or other
        Only a str is changed.

    Returns
    -------
    Part, Maker, type or other
        What must be called with the compressor, where it lacks one: the class where nothing else was said.

    Raises
    ------
    ValueError, TypeError
        As :func:`from_spec`.
    """
    if not isinstance(value, str):
        return value
    made = _read(kind, value.strip(), first="maker")
    return made.part if isinstance(made, Maker) and not made.values else made


def _read(kind: str, spec: str, first: Literal["part", "maker"] = "part") -> Any:
    """The part, or the Maker where the main compressor lacks; `first` says which of two readings counts."""
    called = call(spec)
    if called:
        return _read_call(kind, *called)
    if len(joined := split(spec, "+")) > 1 and any(_joins(entry.made_by) for entry in entries(kind).values()):
        return _read_joined(kind, spec, joined)
    if len(pieces := split(spec, "/")) > 1 and main_field(_by_head(kind, spec)):
        if first == "maker":
            try:
                return _read_short(kind, spec)
            except ValueError:
                pass
        before, main = "/".join(pieces[:-1]), pieces[-1]
        made = _read(kind, before, first="maker")
        if not isinstance(made, Maker):
            raise ValueError(f"{kind}: given {spec!r}, {before} has its compressor already")
        return made(_read_main(made.part, main))
    return _read_short(kind, spec)


def _by_head(kind: str, spec: str) -> Any:
    """The class of the name that a text begins with, or the part that stands for its compressor alone."""
    head = re.split(r"[:(/+,]", spec, maxsplit=1)[0].strip()
    if head not in entries(kind) and (bare := _bare(kind)) is not None:
        other = kind_of(hints(bare)[str(main_field(bare))])
        if other and head in entries(other):
            return bare
    return find(kind, head).made_by


def _bare(kind: str) -> Any:
    """The part of a kind that is written as its main compressor alone."""
    return next((entry.made_by for entry in entries(kind).values() if getattr(entry.made_by, "bare", False)), None)


def _joins(part: type) -> bool:
    return bool(getattr(part, "joined_by_plus", False))


def _read_joined(kind: str, spec: str, pieces: list[str]) -> Any:
    """The part that joins two others: the first whose parameters they can be."""
    if len(pieces) == 2:
        before, behind = (_read(kind, piece) for piece in pieces)
        joining = [entry.made_by for entry in entries(kind).values() if _joins(entry.made_by)]
        for part in joining:
            (one, two), types_ = list(parameters(part))[:2], hints(part)
            if isinstance(before, types_[one]) and isinstance(behind, types_[two]):
                return part(before, behind)
        allowed = [[hints(part)[list(parameters(part))[side]] for part in joining] for side in (0, 1)]
        lead, follow = (" or ".join(dict.fromkeys(_names(kind, classes))) for classes in allowed)
    else:
        lead, follow = "a compressor", "another"
    raise ValueError(f"{kind}: given {spec!r}, before + may stand {lead}, and behind it {follow}, not {pieces[1]}")


def _names(kind: str, classes: list[type]) -> list[str]:
    """The names of all parts of these classes."""
    return [name for name, entry in entries(kind).items() if issubclass(entry.made_by, tuple(classes))]


def _read_short(kind: str, spec: str) -> Any:
    """``name`` or ``name:setting,setting``."""
    name, colon, setting = spec.partition(":")
    name = name.strip()
    bare = _by_head(kind, spec)
    if getattr(bare, "bare", False) and name != bare.name:
        return bare(from_spec(str(kind_of(hints(bare)[str(main_field(bare))])), spec))
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
    values: dict[str, Any] = {}
    for key in keys:
        if is_tuple(hints(part).get(key)):
            values[key], pieces = tuple(_read_value(part, key, piece, wrong)[0] for piece in pieces), []
        elif pieces:
            values[key] = _read_value(part, key, pieces.pop(0), wrong)
    if pieces:
        raise ValueError(wrong)
    missing = [key for key, field in parameters(part).items() if default(field) is MISSING and key not in values]
    main = main_field(part)
    if set(missing) - {main}:
        raise ValueError(wrong)
    return Maker(part, tuple(values.items())) if main else part(**values)


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
    values: dict[str, Any] = dict(entry.values)
    positional = [key for key, field in allowed.items() if not field.kw_only]
    for piece in split(inside, ",") if inside.strip() else []:
        key, equals, text = (word.strip() for word in piece.partition("="))
        if not (equals and re.fullmatch(r"\w+", key)):
            key, text = next((free for free in positional if free not in values), ""), piece
            if not key:
                raise ValueError(f"{kind}: given {piece!r} in {name}(…), it takes no more values")
        elif key not in allowed:
            raise nearest(f"setting of {name}", key, allowed)
        elif key in values and key not in entry.values:
            raise ValueError(f"{kind}: given {key} twice in {name}(…)")
        values[key] = _read_value(part, key, text, f"{key}: given {text!r} in {name}(…), must be {{}}")
    missing = [key for key, field in allowed.items() if default(field) is MISSING and key not in values]
    if missing and missing == [main_field(part)]:
        return Maker(part, tuple(values.items()))
    if missing:
        raise ValueError(f"{kind}: given {name}({inside}), {name} needs {usage(part)}")
    return _completed(part, values)


def _completed(part: type, values: Mapping[str, Any]) -> Any:
    """The part; a mechanism in it that lacks its compressor gets the part's own."""
    main = values.get(str(main_field(part)))
    return part(**{key: value(main) if isinstance(value, Maker) else value for key, value in values.items()})


def _read_main(part: type, text: str) -> Any:
    """The main compressor of a `part`, from its text."""
    key = str(main_field(part))
    made = _read_value(part, key, text, f"{key}: given {text!r}, must be {{}}")
    return made[0] if is_tuple(hints(part)[key]) else made


def _read_value(part: type, key: str, text: str, wrong: str) -> Any:
    """The value of a part's parameter; `wrong`, with what is allowed in the place of {}, is raised where it is none."""
    return read_value(hints(part).get(key, Any), text, wrong)


def read_value(annotation: Any, text: str, wrong: str) -> Any:
    """The value that a text is, by its annotation.

    Parameters
    ----------
    annotation : type or typing's form of one
        ``float``, ``Literal["theory"]``, ``tuple[Compressor, ...]``, unions of such, a Part's class; ``Any`` guesses.
    text : str
        As it stands on the command line.
    wrong : str
        What is said where it is no such value, with what is allowed in the place of ``{}``.

    Returns
    -------
    value
        Of that type; a :class:`Maker` for a mechanism that lacks its compressor.

    Raises
    ------
    ValueError, TypeError
        If it is no such value.
    """
    text = text.strip()
    choices = alternatives(annotation)
    for choice in choices:
        if get_origin(choice) is Literal and text in map(_as_word, get_args(choice)):
            return next(value for value in get_args(choice) if _as_word(value) == text)
        if choice is NoneType and text == "none":
            return None
        if choice is bool and text in ("true", "false"):
            return text == "true"
        found = number(text) if choice in (int, float) else None
        if found is not None and (isinstance(found, int) or choice is float):
            return found if int in choices else choice(found)
    for choice in choices:
        if is_tuple(choice):
            return _read_tuple(choice, text, wrong)
    parts = [choice for choice in choices if kind_of(choice)]
    if parts:
        return _read_part(parts, text, wrong, callable_too=any(_is_callable(choice) for choice in choices))
    if str in choices:
        return unquoted(text)
    if Any in choices:
        return guess(text)
    raise ValueError(wrong.replace("{}", expected(annotation)))


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
        read = read_value(annotation, value, f"{key}: given {value!r}, must be {{}}")
        return read(getattr(part, str(main_field(type(part))))) if isinstance(read, Maker) else read
    inner = next((get_args(choice)[0] for choice in alternatives(annotation) if is_tuple(choice)), Any)
    return tuple(
        read_value(inner, entry, f"{key}: given {entry!r}, must be {{}}") if isinstance(entry, str) else entry
        for entry in value
    )


def alternatives(annotation: Any) -> list[Any]:
    """The types that a union is of; one alone is its own."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [choice for inner in get_args(annotation) for choice in alternatives(inner)]
    return [annotation]


def part_classes(*kinds: str) -> Any:
    """The union of the kinds' classes, as an annotation has it."""
    classes = [entry.made_by for kind in kinds for entry in entries(kind).values()]
    return Union[tuple(classes)]  # noqa: UP007 - of as many as there are


def _is_callable(annotation: Any) -> bool:
    return get_origin(annotation) is not None and getattr(get_origin(annotation), "__name__", "") == "Callable"


def _as_word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _read_tuple(annotation: Any, text: str, wrong: str) -> tuple[Any, ...]:
    """``(a, b)``, or ``a,b`` without brackets."""
    inner = (*get_args(annotation), Any)[0]
    whole = text[1:-1] if text.startswith("(") and text.endswith(")") and call(f"tuple{text}") else text
    pieces = split(whole, ",")
    if pieces[-1] == "":  # (a,) is one, and () is none
        pieces.pop()
    return tuple(read_value(inner, piece, wrong) for piece in pieces)


def _read_part(choices: list[Any], text: str, wrong: str, callable_too: bool) -> Any:
    """A part of one of the kinds: the first that knows the name."""
    kinds = list(dict.fromkeys(str(kind_of(choice)) for choice in choices))
    head = re.split(r"[:(/+,]", text, maxsplit=1)[0].strip()
    kind = next((kind for kind in kinds if head in entries(kind)), kinds[0])
    if len(kinds) > 1 and not any(head in entries(kind) for kind in kinds):
        raise nearest(" or ".join(kinds), head, [name for kind in kinds for name in entries(kind)])
    made = _read(kind, text, first="maker" if callable_too else "part")
    allowed = tuple(choice for choice in choices if kind_of(choice) == kind)
    if not isinstance(made, Maker) and not isinstance(made, allowed):
        raise ValueError(wrong.replace("{}", " or ".join(_names(kind, list(allowed)))))
    if callable_too and isinstance(made, Maker) and not made.values:
        return made.part
    return made


def guess(text: str) -> Any:
    """What a text without annotation is: a number, true, false or none, a part, or a word."""
    if (found := number(text)) is not None:
        return found
    if text in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text]
    head = re.split(r"[:(/+,]", text, maxsplit=1)[0].strip()
    for kind in ("mechanism", "compressor", "participation", "basis", "loss"):
        if head in entries(kind) and (kind != "mechanism" or ":" in text or "/" in text or "(" in text):
            return _read(kind, text)
    return unquoted(text)


# -- what is allowed, in words


def usage(part: type) -> str:
    """What a part's text must say, for messages: its settings, each with what its docstring says of it."""
    docs = explained(part)
    said = []
    for key in shorthand(part):
        first = re.split(r"[.;](?: |$)", docs.get(key, ""))[0]
        allowed = expected(hints(part).get(key))
        said.append(f"{key} ({': '.join(filter(None, (first, '' if 'word' in allowed else allowed)))})")
    return " and ".join(said) or "nothing"


def explained(thing: Any) -> dict[str, str]:
    """What the docstring's `Parameters` say of each, in one line of plain text."""
    doc = _documented(thing)
    _, heading, section = doc.partition("\nParameters\n----------\n")
    if not heading:
        return {}
    section = re.split(r"\n\n?[A-Z][a-z]+\n-+\n", section)[0]
    found: dict[str, str] = {}
    keys: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            keys = [key.strip() for key in line.partition(":")[0].split(",")]
            found.update(dict.fromkeys(keys, ""))
        elif line.strip():
            for key in keys:
                found[key] = f"{found[key]} {line.strip()}".strip()
    return {key: plain(words) for key, words in found.items()}


def _documented(thing: Any) -> str:
    """The docstring; a class without Parameters of its own has those of the class that it refines."""
    for owner in thing.__mro__ if isinstance(thing, type) else (thing,):
        doc = owner.__dict__.get("__doc__") if isinstance(thing, type) else owner.__doc__
        if doc and "\nParameters\n" in inspect.cleandoc(doc):
            return inspect.cleandoc(doc)
    return ""


def plain(words: str) -> str:
    """A docstring's line without its marks: ``:class:`newtonfl.CBAG``` is CBAG."""
    words = re.sub(r":\w+:`~?([^`]*)`", lambda match: match[1].rsplit(".", 1)[-1], words)
    return re.sub(r"``([^`]*)``|`([^`]*)`", lambda match: match[1] or match[2], words)


def expected(annotation: Any) -> str:
    """What an annotation allows, in words: "a number or theory"."""
    choices = alternatives(annotation)
    if any(kind_of(choice) for choice in choices):  # then a str is the text of a part
        choices = [choice for choice in choices if choice is not str]
    return " or ".join(dict.fromkeys(words for choice in choices for words in _allowed(choice)))


def _allowed(choice: Any) -> list[str]:
    if get_origin(choice) is Literal:
        return [_as_word(value) for value in get_args(choice)]
    if is_tuple(choice):
        return [f"several, each {expected((*get_args(choice), Any)[0])}"]
    kind = kind_of(choice)
    if kind:
        return [f"a {kind}"]
    plain_words = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "none", str: "a word"}
    return [plain_words[choice]] if choice in plain_words else []


# -- writing


def to_spec(part: Any) -> str:
    """The text of a part: in a short form where that reads as the same part, else as a call."""
    if not _registered(part):
        return type(part).__name__  # it has no name of its own, and cannot be read
    short = _short(part)
    return short if short is not None and _reads_as(part, short) else as_call(part)


def _reads_as(part: Any, text: str) -> bool:
    try:
        return bool(from_spec(part.kind, text) == part)
    except (ValueError, TypeError, ArithmeticError):
        return False


def _short(part: Any) -> str | None:
    """The part in the form of the command line, which need not say everything."""
    words = [name for name, values in part.words.items() if type(part)(**values) == part]
    if words:
        return str(words[0])
    if _joins(type(part)):
        return "+".join(to_spec(getattr(part, key)) for key in list(parameters(type(part)))[:2])
    key = main_field(type(part))
    if key is None:
        return short_maker(part)
    main = getattr(part, key)
    last = main[-1] if is_tuple(hints(type(part))[key]) else main
    main_text = to_spec(last)
    if getattr(part, "bare", False):
        return main_text
    return f"{short_maker(part)}/{main_text}"


def short_maker(part: Any) -> str:
    """What stands before the slash: the name and its settings without the main compressor."""
    cls, main = type(part), main_field(type(part))
    keys, allowed = shorthand(cls), parameters(cls)
    pieces: list[tuple[str, bool]] = []  # with whether it goes without saying
    for key in keys:
        value = getattr(part, key)
        if key == main and is_tuple(hints(cls)[key]):
            pieces += [(write_value(level), False) for level in value[:-1]]
            continue
        omitted = value is None or (part.separator == ":" and _same(value, default(allowed[key])))
        pieces.append((_inner(part, value), omitted))
    while pieces and pieces[-1][1]:
        pieces.pop()
    return f"{part.name}:{part.separator.join(text for text, _ in pieces)}" if pieces else str(part.name)


def maker_spec(part: Any) -> str:
    """What a part's text says without the main compressor, such that :func:`coerce_maker` and it make the part.

    Parameters
    ----------
    part : Part
        Such as ``CBAG(TopK(30), 0.5)``.

    Returns
    -------
    str
        Such as ``"cbag:0.5"``; all of the part where it has no main compressor.
    """
    main = main_field(type(part))
    if main is None or not _registered(part):
        return to_spec(part)
    short = short_maker(part)
    return short if _makes(part, short) else as_call(part, without=main)


def _makes(part: Any, maker: str) -> bool:
    """Whether a text without the main compressor makes the part when it is called with that."""
    main = getattr(part, str(main_field(type(part))))
    try:
        made = _read(part.kind, maker, first="maker")
        return bool(isinstance(made, Maker) and made(main[-1] if isinstance(main, tuple) else main) == part)
    except (ValueError, TypeError, ArithmeticError):
        return False


def _registered(part: Any) -> bool:
    own = entries(part.kind).get(part.name)
    return own is not None and own.made_by is type(part)


def _inner(part: Any, value: Any) -> str:
    """A setting behind the colon: a mechanism that shares the part's compressor is written without."""
    key = main_field(type(part))
    inner = main_field(type(value))
    if key and inner and getattr(value, inner) == getattr(part, key) and _makes(value, maker := short_maker(value)):
        return maker
    return value if isinstance(value, str) else write_value(value)


def as_call(part: Any, without: str | None = None) -> str:
    """``name(value, key=value, …)`` with every setting that is not its default, but that one."""
    pieces: list[str] = []
    for key, field in parameters(type(part)).items():
        if key == without:
            continue
        value, usual = getattr(part, key), default(field)
        if usual is MISSING:
            pieces.append(
                write_value(value) if not (pieces or without or field.kw_only) else f"{key}={write_value(value)}"
            )
        elif not _same(value, usual):
            pieces.append(f"{key}={write_value(value)}")
    return f"{part.name}({', '.join(pieces)})"


def _same(value: Any, default: Any) -> bool:
    try:
        return type(value) is type(default) and bool(value == default)
    except ValueError:  # arrays
        return False


def write_value(value: Any) -> str:
    """A value as it stands in a part's text."""
    if isinstance(value, bool) or value is None:
        return _as_word(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(write_value, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str):
        return quoted(value)
    if hasattr(value, "to_spec"):
        text: str = value.to_spec()
        return as_call(value) if len(split(text, ",")) > 1 else text
    return from_number(value) if isinstance(value, numbers.Real) else repr(value)
