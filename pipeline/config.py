"""Reads a TOML file into structs and reports everything that is wrong with it at once."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from pipeline.errors import ConfigurationError

S = TypeVar("S", bound=Struct)

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30,
}


class Duration(float):
    """Seconds, written as "30s", "5m", "2h", "1d" or a plain number of seconds."""


class Size(int):
    """Bytes, written as "4 MB" (1 MB = 1,000,000 bytes), "16 MiB" or a plain number."""


class Secret(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret lies; never the secret itself. Exactly one of the three is set.

    env: an environment variable. file: a path, relative to the configuration file.
    keyring: a name under the service "synqup" in the keyring of the operating system.
    """

    env: str | None = None
    file: str | None = None
    keyring: str | None = None


class Service(Struct, frozen=True, forbid_unknown_fields=True):
    """[service]: what concerns the whole program.

    max_document_size, spool_threshold: bytes. A document above the first is refused, one above
    the second is kept in a temporary file on its way. require_checksum: refuse a document that
    comes with none.
    """

    state_dir: Path
    poll_interval: Duration = Duration(300)
    shutdown_grace: Duration = Duration(30)
    max_document_size: Size = Size(50_000_000)
    spool_threshold: Size = Size(4_000_000)
    require_checksum: bool = False


class StageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[stages.NAME]: workers, and the bounds of the queue in front of them."""

    workers: int | None = None
    queue: int | None = None
    queue_bytes: Size | None = None


class Reading:
    """One file being read: what is wrong with it, and the structs made of it so far.

    refine: for a type of struct, what completes one: given the struct and its key it returns the
    struct to use, and adds what it finds wrong.
    """

    def __init__(self, refine: Mapping[type[Struct], Callable[[Any, str], Struct]]) -> None:
        self.problems: list[str] = []
        self._refine = refine
        self._made: list[tuple[str, Struct]] = []

    def wrong(self, key: str, what: str, right: str = "") -> None:
        """Note that a key is wrong, and what would be right."""
        self.problems.append(f"{key}: {what}" + (f"; {right}" if right else ""))

    def make(self, schema: type[S], values: Mapping[str, Any], key: str) -> S:
        """Make a struct whose values are all well in themselves."""
        made: Any = schema(**values)
        if schema in self._refine:
            made = self._refine[schema](made, key)
        self._made.append((key, made))
        return cast(S, made)

    def made(self, schema: type[S]) -> list[tuple[str, S]]:
        """The structs of a type that could be made, each with its key."""
        return [(key, made) for key, made in self._made if isinstance(made, schema)]


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigurationError."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(str(path), [f"it can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            str(path), [f"it is not UTF-8 at byte {error.start}; save it as UTF-8"]
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(path), [f"it is not TOML: {error}"]) from None


def convert(raw: Mapping[str, Any], schema: type[S], reading: Reading, key: str = "") -> S | None:
    """Make a struct of a table, or None if anything in it is wrong; goes on at every problem."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(schema)}
    for name in raw.keys() - fields.keys() - _tag(schema):
        reading.wrong(_join(key, name), "there is no such key", _suggestion(name, fields))
    values: dict[str, Any] = {}
    before = len(reading.problems)
    for name, field in fields.items():
        if name in raw:
            values[field.name] = _value(raw[name], field.type, reading, _join(key, name))
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            what = "section" if not key and not _is_scalar(field.type) else "key"
            reading.wrong(_join(key, name), f"this {what} is missing")
    return reading.make(schema, values, key) if len(reading.problems) == before else None


def _value(raw: Any, kind: Any, reading: Reading, key: str) -> Any:
    """Convert one value, by the type that its field declares."""
    choices = [choice for choice in _choices(kind) if choice is not NoneType]
    structs = [
        choice for choice in choices if isinstance(choice, type) and issubclass(choice, Struct)
    ]
    if Secret in choices:
        return _secret(raw, reading, key)
    if structs:
        return _table(raw, structs, reading, key)
    origin, inner = get_origin(choices[0]), get_args(choices[0])
    if origin is tuple and isinstance(raw, list):
        return tuple(
            _value(item, inner[0], reading, f"{key}[{number}]")
            for number, item in enumerate(raw, 1)
        )
    if origin is dict and isinstance(raw, dict):
        return {
            name: _value(item, inner[1], reading, _join(key, name)) for name, item in raw.items()
        }
    try:
        return msgspec.convert(raw, choices[0], dec_hook=_decode, strict=True)
    except msgspec.ValidationError as error:
        reading.wrong(key, _plain(str(error)))
        return None


def _table(raw: Any, structs: Sequence[type[Struct]], reading: Reading, key: str) -> Any:
    if not isinstance(raw, dict):
        reading.wrong(key, "a table is expected here", f"write [{key}] or [[{key}]]")
        return None
    tags = {config.tag: struct for struct in structs if (config := struct.__struct_config__).tag}
    if not tags:
        return convert(raw, structs[0], reading, key)
    kind = raw.get(next(iter(_tag(structs[0]))))
    if kind not in tags:
        known = ", ".join(f'"{tag}"' for tag in sorted(map(str, tags)))
        wrong = "this key is missing" if kind is None else f'there is no kind "{kind}"'
        reading.wrong(_join(key, "kind"), wrong, f"known are {known}")
        return None
    return convert(raw, tags[kind], reading, key)


def _secret(raw: Any, reading: Reading, key: str) -> Secret | None:
    # What stands here may be the secret itself, so nothing of it is ever repeated.
    right = 'write { env = "NAME" }, { file = "PATH" } or { keyring = "NAME" }'
    if not isinstance(raw, dict):
        reading.wrong(key, "a secret may not stand in the file", right)
        return None
    try:
        secret = msgspec.convert(raw, Secret)
    except msgspec.ValidationError:
        reading.wrong(key, "this does not say where the secret lies", right)
        return None
    if sum(place is not None for place in (secret.env, secret.file, secret.keyring)) != 1:
        reading.wrong(key, "it has to name exactly one place", right)
        return None
    return secret


def _decode(kind: type, raw: Any) -> Any:
    if kind is Duration:
        return Duration(_quantity(raw, SECONDS, 'a duration like "30s", "5m" or "2h"'))
    if kind is Size:
        return Size(_quantity(raw, BYTES, 'a size like "500 kB", "4 MB" or "16 MiB"'))
    if kind is Path and isinstance(raw, str):
        return Path(raw)
    raise ValueError(f"Expected `{kind.__name__}`, got `{type(raw).__name__}`")


def _quantity(raw: Any, units: Mapping[str, int], expected: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"expected is {expected}")  # noqa: TRY004 - msgspec words a ValueError
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(raw))
    if match is None or match[2].lower() not in units:
        raise ValueError(f'"{raw}" is not {expected}')
    return float(match[1]) * units[match[2].lower()]


def _plain(message: str) -> str:
    """Put what msgspec says into the words of TOML."""
    for python, toml in (
        ("`str`", "text"),
        ("`int`", "a number"),
        ("`float`", "a number"),
        ("`bool`", "true or false"),
        ("`array`", "a list"),
        ("`object`", "a table"),
    ):
        message = message.replace(python, toml)
    return message[:1].lower() + message[1:]


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is_scalar(kind: Any) -> bool:
    first = _choices(kind)[0]
    return get_origin(first) is None and not (isinstance(first, type) and issubclass(first, Struct))


def _tag(schema: type[Struct]) -> set[str]:
    field = schema.__struct_config__.tag_field
    return {field} if field else set()


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"


def absolute(base: Path, path: str | os.PathLike[str]) -> Path:
    """A path of the file as seen from its folder."""
    return Path(os.path.normpath(base / path))
