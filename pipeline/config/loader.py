"""Makes structs of a TOML file and notes everything that is wrong with it on the way.

msgspec stops at the first problem; whoever mends a file wants to know of all. A field's type may
be `Annotated` with functions that check its value: each returns the value to use, or raises
ValueError with what is wrong and what would be right.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from pipeline.config.types import Duration, Mode, Secret, Size
from pipeline.errors import ConfigurationError
from pipeline.files import os_reason, read_file

S = TypeVar("S", bound=Struct)
Check = Callable[[Any], Any]

#: Bytes of a file that anybody has written: some ten thousand companies.
LARGEST = 5_000_000
#: Dots of one line: the time for a name of several parts grows with the square of them.
DOTS = 5000

#: How a field says where its secret lies.
POINTER = 'write { env = "NAME" }, { file = "PATH" } or { keyring = "NAME" }'


class Reading:
    """One file being read: what is wrong with it, and the structs made of it so far."""

    def __init__(self, schema: type[Struct]) -> None:
        self.problems: list[str] = []
        self._wrong: set[str] = set()
        self._made: list[tuple[str, Struct]] = []
        self._names: dict[str, str] = {}
        self._places = dict(_places(schema))

    def wrong(self, key: str, what: str, right: str = "") -> None:
        """Note that a key is wrong, and what would be right."""
        self._wrong.add(key)
        name = self._names.get(key.partition(".")[0])
        self.problems.append(
            key + (f" ({name})" if name else "") + f": {what}" + (f"; {right}" if right else "")
        )

    def unknown(self, key: str, name: str, known: Iterable[str]) -> None:
        """Note that there is no key of this name, and which one may have been meant."""
        if name in self._places:
            right = f"it belongs in {self._places[name]}"
        else:
            right = nearest(name, list(known), '"{}"')
        self.wrong(key, "there is no such key", right)

    def name(self, key: str, raw: Any) -> None:
        """Remember what a person calls the row of a list, to name it beside its number."""
        if isinstance(raw, dict) and isinstance(name := raw.get("name"), str):
            self._names[key] = name

    def keep(self, key: str, made: Struct) -> None:
        """Remember a struct, for what must hold between it and others."""
        self._made.append((key, made))

    def made(self, schema: type[S]) -> list[tuple[str, S]]:
        """The structs of a type, each with its key; only their sound fields mean anything."""
        return [(key, made) for key, made in self._made if isinstance(made, schema)]

    def sound(self, key: str, *names: str) -> bool:
        """Whether nothing is wrong with these fields of the struct at a key."""
        return self._wrong.isdisjoint(_join(key, name) for name in names)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigurationError."""
    try:
        os.path.abspath(path).encode()  # noqa: PTH100 - as load_config() finds its folder
    except UnicodeEncodeError:
        # Paths below it go into the ledger and the log, which take text alone.
        problem = "the name of its folder is not UTF-8; rename the folder, or move the file"
        raise ConfigurationError(str(path), [problem]) from None
    try:
        data = read_file(path, LARGEST)
        if max(line.count(b".") for line in data.split(b"\n")) > DOTS:
            raise ValueError(f"one line has more than {DOTS:,} dots")
        return tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        problem = f"it can't be read: {os_reason(error)}"
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 at byte {error.start}; save it as UTF-8"
    except (ValueError, RecursionError) as error:
        problem = f"it is not TOML: {error}"
        if "hex value" in problem or "\\" in problem:
            problem += "; write a path with / or between single quotes"
    raise ConfigurationError(str(path), [problem])


def convert(raw: Mapping[str, Any], schema: type[S], reading: Reading, key: str = "") -> S:
    """Make a struct of a table, going on at every problem: good only if the reading has none."""
    known = {field.encode_name: field for field in fields(schema)}
    tag = schema.__struct_config__.tag_field
    for name in raw:
        if name not in known and name != tag:
            reading.unknown(_join(key, name), name, known)
    values: dict[str, Any] = {}
    for name, field in known.items():
        required = field.default is NODEFAULT and field.default_factory is NODEFAULT
        if name in raw and not (required and raw[name] == []):
            values[field.name] = _value(raw[name], field.type, reading, _join(key, name))
        elif required:
            reading.wrong(_join(key, name), *_missing(field))
            values[field.name] = None
    made = schema(**values)
    reading.keep(key, made)
    return made


def nearest(name: str, known: Sequence[str], form: str) -> str:
    """What may have been meant by a name that is not known; form: how a name is written."""
    if near := difflib.get_close_matches(name.lower(), known, n=1):
        return f"did you mean {form.format(near[0])}?"
    return f"known are {', '.join(map(form.format, known))}"


def _value(raw: Any, kind: Any, reading: Reading, key: str) -> Any:
    """Convert one value, by the type that its field declares; None if it is wrong."""
    bare, checks = _unwrapped(kind)
    origin, inner = get_origin(bare), get_args(bare)
    if bare is Secret:
        return _secret(raw, reading, key)
    if origin is tuple and isinstance(raw, list):
        return tuple(_row(item, inner[0], reading, f"{key}[{n}]") for n, item in enumerate(raw, 1))
    if origin is dict and isinstance(raw, dict):
        return {
            _value(name, inner[0], reading, _join(key, name)): _value(
                item, inner[1], reading, _join(key, name)
            )
            for name, item in raw.items()
        }
    if structs := _structs(kind):
        if origin is None and isinstance(raw, dict):
            return _table(raw, structs, reading, key)
        what = "a list of tables" if origin is tuple else "a table"
        reading.wrong(key, f"{what} is expected here", f"write {_header(key, origin)}")
        return None
    return _scalar(raw, bare, checks, reading, key)


def _scalar(raw: Any, kind: Any, checks: Sequence[Check], reading: Reading, key: str) -> Any:
    try:
        value = msgspec.convert(raw, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        reading.wrong(key, _in_toml(str(error)))
        return None
    for check in checks:
        try:
            value = check(value)
        except ValueError as error:
            reading.wrong(key, str(error))
    return value


def _row(raw: Any, kind: Any, reading: Reading, key: str) -> Any:
    reading.name(key, raw)
    return _value(raw, kind, reading, key)


def _table(raw: dict[str, Any], structs: Sequence[type[Struct]], reading: Reading, key: str) -> Any:
    tags = {str(config.tag): s for s in structs if (config := s.__struct_config__).tag}
    if not tags:
        return convert(raw, structs[0], reading, key)
    field = str(structs[0].__struct_config__.tag_field)
    kind = raw.get(field)
    if isinstance(kind, str) and kind in tags:
        return convert(raw, tags[kind], reading, key)
    wrong = "this key is missing" if kind is None else f'there is no kind "{kind}"'
    reading.wrong(_join(key, field), wrong, nearest(str(kind), sorted(tags), '"{}"'))
    return None


def _secret(raw: Any, reading: Reading, key: str) -> Secret | None:
    # What stands here may be the secret itself, so nothing of it is ever repeated.
    if not isinstance(raw, dict):
        reading.wrong(key, "a secret may not stand in the file", POINTER)
        return None
    try:
        secret = msgspec.convert(raw, Secret)
    except msgspec.ValidationError:
        reading.wrong(key, "this does not say where the secret lies", POINTER)
        return None
    places = [place for place in (secret.env, secret.file, secret.keyring) if place is not None]
    if len(places) != 1 or not places[0].strip():
        reading.wrong(key, "it has to name exactly one place", POINTER)
        return None
    return secret


def _decode(kind: type, raw: Any) -> Any:
    if issubclass(kind, Duration | Mode | Size):
        return kind.parse(raw)
    if kind is Path and isinstance(raw, str):
        return Path(raw)
    raise ValueError(f"Expected `str`, got `{type(raw).__name__}`")


def _in_toml(message: str) -> str:
    """Put what msgspec says into the words of TOML."""
    for python, toml in (
        ("`str`", "text"),
        ("`int`", "a number"),
        ("`float`", "a number"),
        ("`bool`", "true or false"),
        ("`array`", "a list"),
        ("`list`", "a list"),
        ("`object`", "a table"),
        ("`dict`", "a table"),
    ):
        message = message.replace(python, toml)
    return message[:1].lower() + message[1:]


def _missing(field: FieldInfo) -> tuple[str, str]:
    if _structs(field.type) == [Secret]:
        return "this key is missing", POINTER
    if _structs(field.type):
        header = _header(field.encode_name, get_origin(field.type))
        return "this section is missing", f"write {header}"
    return "this key is missing", f'write {field.encode_name} = "…"'


def _places(schema: type[Struct]) -> Iterable[tuple[str, str]]:
    """Each key that a section of the file may hold, with that section as it is written."""
    for section in reversed(fields(schema)):
        for struct in _structs(section.type):
            for field in fields(struct):
                yield field.encode_name, _header(section.encode_name, get_origin(section.type))


def _header(key: str, origin: Any) -> str:
    """How the table at a key is begun; origin: of the type that holds it."""
    name, bracket, _ = key.partition("[")
    if origin is tuple or bracket:
        return f"[[{name}]]"
    return f"[{name}.NAME]" if origin is dict else f"[{name}]"


def _structs(kind: Any) -> list[type[Struct]]:
    """The structs that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return [kind]
    return [struct for inner in get_args(kind) for struct in _structs(inner)]


def _unwrapped(kind: Any) -> tuple[Any, tuple[Check, ...]]:
    """A field's type without "or None" and without its checks, and those."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    first = next(choice for choice in choices if choice is not NoneType)
    if get_origin(first) is Annotated:
        bare, *checks = get_args(first)
        return bare, tuple(checks)
    return first, ()


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
