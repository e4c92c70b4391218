"""Configuration loader: converts a TOML file to msgspec structs and collects every problem in it.

msgspec stops at the first problem, but a user who repairs a file needs all of them. A field's type
may be `Annotated` with validators: each returns the value to use, or raises ValueError with what
is wrong and what would be right.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
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
Validator = Callable[[Any], Any]

#: Bytes of a configuration file, at most: enough for some ten thousand companies.
MAX_CONFIG_BYTES = 5_000_000
#: Dots in one line, at most: tomllib needs time that grows with the square of a dotted key.
MAX_DOTS = 5000

#: The number of a row in the key of a problem: "sources[1]".
ROW_NUMBER = re.compile(r"\[[0-9]+\]")

#: How to write where a secret lies; part of error messages.
POINTER = 'write { env = "NAME" }, { file = "PATH" } or { keyring = "NAME" }'


class LoadContext:
    """The state of loading one file: the problems and the structs so far.

    variants: which structs, told apart by their tags, may stand where a schema names their base.
    shown: how the user finds a key: with its file, say, where the table was read from several.
    """

    def __init__(
        self,
        schema: type[Struct],
        variants: Mapping[type[Struct], Sequence[type[Struct]]] | None = None,
        shown: Callable[[str], str] = str,
    ) -> None:
        self.problems: list[str] = []
        self.shown = shown
        self._invalid: set[str] = set()
        self._structs: list[tuple[str, Struct]] = []
        self._names: dict[str, str] = {}
        self._variants = variants or {}
        self._places = dict(_places(schema, self))

    def add_problem(self, key: str, what: str, right: str = "") -> None:
        """Add that the value of a key is wrong, and what would be right."""
        self._invalid.add(key)
        parts = key.split(".")
        rows = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        names = ", ".join(self._names[row] for row in rows if row in self._names)
        self.problems.append(
            self.shown(key)
            + (f" ({names})" if names else "")
            + f": {what}"
            + (f"; {right}" if right else "")
        )

    def add_unknown_key(self, key: str, name: str, known: Iterable[str]) -> None:
        """Add that a key does not exist, and which one may have been meant."""
        if name in self._places:
            right = f"it belongs in {self._places[name]}"
        else:
            right = suggestion(name, list(known), '"{}"')
        self.add_problem(key, "there is no such key", right)

    def name_row(self, key: str, raw: Any) -> None:
        """Store the `name` of a list's row, which problems show beside its number."""
        if isinstance(raw, dict) and isinstance(name := raw.get("name"), str):
            self._names[key] = name

    def add_struct(self, key: str, made: Struct) -> None:
        """Store a struct for later checks between structs."""
        self._structs.append((key, made))

    def structs(self, schema: type[S]) -> list[tuple[str, S]]:
        """The structs of a type, each with its key; use only fields for which is_valid() holds."""
        return [(key, made) for key, made in self._structs if isinstance(made, schema)]

    def struct_types(self, kind: Any) -> list[type[Struct]]:
        """The structs that a value of a type may become."""
        return [one for base in _structs(kind) for one in self._variants.get(base, (base,))]

    def is_valid(self, key: str, *names: str) -> bool:
        """Whether these fields of the struct at a key have no problem."""
        return self._invalid.isdisjoint(_join(key, name) for name in names)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigurationError."""
    return parse_toml(path, read_toml_bytes(path))


def read_toml_bytes(path: Path) -> bytes:
    """Read the bytes of a TOML file. Raises ConfigurationError."""
    try:
        os.path.abspath(path).encode()  # noqa: PTH100 - as load_config() finds its folder
    except UnicodeEncodeError:
        # Paths below it go into the ledger and the log, which hold UTF-8 only.
        problem = "the name of its folder is not UTF-8; rename the folder, or move the file"
        raise ConfigurationError(str(path), [problem]) from None
    try:
        return read_file(path, MAX_CONFIG_BYTES)
    except OSError as error:
        raise ConfigurationError(str(path), [f"it can't be read: {os_reason(error)}"]) from None


def parse_toml(path: Path, data: bytes) -> dict[str, Any]:
    """Parse the bytes of the TOML file at a path. Raises ConfigurationError."""
    try:
        if max(line.count(b".") for line in data.split(b"\n")) > MAX_DOTS:
            raise ValueError(f"one line has more than {MAX_DOTS:,} dots")
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 at byte {error.start}; save it as UTF-8"
    except (ValueError, RecursionError) as error:
        problem = f"it is not TOML: {error}"
        if "hex value" in problem or "\\" in problem:
            problem += "; write a path with / or between single quotes"
    raise ConfigurationError(str(path), [problem])


def convert(raw: Mapping[str, Any], schema: type[S], context: LoadContext, key: str = "") -> S:
    """Convert a table to a struct, going on after each problem.

    The struct is valid only if the context has no problem in the end.
    """
    known = _fields(schema)
    tag = schema.__struct_config__.tag_field
    for name in raw:
        if name not in known and name != tag:
            context.add_unknown_key(_join(key, name), name, known)
    values: dict[str, Any] = {}
    for name, field in known.items():
        required = field.default is NODEFAULT and field.default_factory is NODEFAULT
        if name in raw and not (required and raw[name] == []):
            values[field.name] = _value(raw[name], field.type, context, _join(key, name))
        elif required:
            context.add_problem(_join(key, name), *_missing(field, _join(key, name)))
            values[field.name] = None
    made = schema(**values)
    context.add_struct(key, made)
    return made


def suggestion(name: str, known: Sequence[str], form: str) -> str:
    """Which name may have been meant by an unknown one; form: how a name is written, with {}."""
    if near := difflib.get_close_matches(name.lower(), known, n=1):
        return f"did you mean {form.format(near[0])}?"
    return f"known are {', '.join(map(form.format, known))}"


def _value(raw: Any, kind: Any, context: LoadContext, key: str) -> Any:
    """Convert one value to the type that its field declares; None if it is wrong."""
    bare, validators = _unwrapped(kind)
    origin, inner = get_origin(bare), get_args(bare)
    if bare is Secret:
        return _secret(raw, context, key)
    if origin is tuple and isinstance(raw, list):
        return tuple(_row(item, inner[0], context, f"{key}[{n}]") for n, item in enumerate(raw, 1))
    if origin is dict and isinstance(raw, dict):
        return {
            _value(name, inner[0], context, _join(key, name)): _value(
                item, inner[1], context, _join(key, name)
            )
            for name, item in raw.items()
        }
    if structs := context.struct_types(kind):
        if origin is None and isinstance(raw, dict):
            return _table(raw, structs, context, key)
        what = "a list of tables" if origin is tuple else "a table"
        context.add_problem(key, f"{what} is expected here", f"write {_header(key, origin)}")
        return None
    return _scalar(raw, bare, validators, context, key)


def _scalar(
    raw: Any, kind: Any, validators: Sequence[Validator], context: LoadContext, key: str
) -> Any:
    try:
        value = msgspec.convert(raw, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        context.add_problem(key, _in_toml(str(error)))
        return None
    for validate in validators:
        try:
            value = validate(value)
        except ValueError as error:
            context.add_problem(key, str(error))
    return value


def _row(raw: Any, kind: Any, context: LoadContext, key: str) -> Any:
    context.name_row(key, raw)
    return _value(raw, kind, context, key)


def _table(
    raw: dict[str, Any], structs: Sequence[type[Struct]], context: LoadContext, key: str
) -> Any:
    tags = {str(config.tag): s for s in structs if (config := s.__struct_config__).tag}
    if not tags:
        return convert(raw, structs[0], context, key)
    field = str(structs[0].__struct_config__.tag_field)
    kind = raw.get(field)
    if isinstance(kind, str) and kind in tags:
        return convert(raw, tags[kind], context, key)
    wrong = "this key is missing" if kind is None else f'there is no kind "{kind}"'
    context.add_problem(_join(key, field), wrong, suggestion(str(kind), sorted(tags), '"{}"'))
    return None


def _secret(raw: Any, context: LoadContext, key: str) -> Secret | None:
    # The value may be the secret itself, so no message repeats any part of it.
    if not isinstance(raw, dict):
        context.add_problem(key, "a secret may not stand in the file", POINTER)
        return None
    try:
        secret = msgspec.convert(raw, Secret)
    except msgspec.ValidationError:
        context.add_problem(key, "this does not say where the secret lies", POINTER)
        return None
    places = [place for place in (secret.env, secret.file, secret.keyring) if place is not None]
    if len(places) != 1 or not places[0].strip():
        context.add_problem(key, "it has to name exactly one place", POINTER)
        return None
    return secret


def _decode(kind: type, raw: Any) -> Any:
    if issubclass(kind, Duration | Mode | Size):
        return kind.parse(raw)
    if kind is Path and isinstance(raw, str):
        return Path(raw)
    raise ValueError(f"Expected `str`, got `{type(raw).__name__}`")


@lru_cache(64)  # of thousands of rows it takes longer than all the rest
def _fields(schema: type[Struct]) -> Mapping[str, FieldInfo]:
    return {field.encode_name: field for field in fields(schema)}


def _in_toml(message: str) -> str:
    """Replace Python's type names in msgspec's message by TOML's."""
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


def _missing(field: FieldInfo, key: str) -> tuple[str, str]:
    if _structs(field.type) == [Secret]:
        return "this key is missing", POINTER
    if _structs(field.type):
        header = _header(key, get_origin(field.type))
        return "this section is missing", f"write {header}"
    return "this key is missing", f'write {field.encode_name} = "…"'


def _places(schema: type[Struct], context: LoadContext) -> Iterable[tuple[str, str]]:
    """Each key that a section of the file may hold, with that section as it is written."""
    for section in reversed(fields(schema)):
        for struct in context.struct_types(section.type):
            for field in fields(struct):
                yield field.encode_name, _header(section.encode_name, get_origin(section.type))


def _header(key: str, origin: Any) -> str:
    """The TOML header of the table at a key; origin: of the type that holds the table."""
    name = ROW_NUMBER.sub("", key)
    if origin is tuple or key.endswith("]"):
        return f"[[{name}]]"
    return f"[{name}.NAME]" if origin is dict else f"[{name}]"


def _structs(kind: Any) -> list[type[Struct]]:
    """The struct types within a type."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return [kind]
    return [struct for inner in get_args(kind) for struct in _structs(inner)]


def _unwrapped(kind: Any) -> tuple[Any, tuple[Validator, ...]]:
    """A field's type without "or None" and its validators, and the validators."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    first = next(choice for choice in choices if choice is not NoneType)
    if get_origin(first) is Annotated:
        bare, *validators = get_args(first)
        return bare, tuple(validators)
    return first, ()


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
