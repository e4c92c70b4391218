"""Connector questions: what `synqup init` asks of a section of [[sources]], by its declared fields.

A connector needs no line for it: its required fields are asked by their names. With questions of
its own it says which others, in which words and with which default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, get_args

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from pipeline.config.loader import LoadContext, convert
from pipeline.config.types import Secret

#: Fields that are asked elsewhere: for the whole source.
_COMMON = ("name",)


class Question(Struct, frozen=True):
    """What a connector asks about one of its fields.

    ask: the question by language. default: what it usually is. optional: whether the answer may be
    left out.
    """

    key: str
    ask: dict[str, str] = {}
    default: str = ""
    optional: bool = False


class SettingQuestion(Struct, frozen=True):
    """A question about one field of a section. ask: by language, or empty for its name."""

    section: type[Struct]
    key: str
    ask: dict[str, str]
    default: str
    optional: bool
    is_secret: bool

    def value_of(self, text: str) -> Any:
        """The value that an answer gives the field, as it is written. ValueError if it is wrong."""
        return setting_value(self.section, self.key, text)


def kind_of(section: type[Struct]) -> str:
    """The `kind` of a section, as users write it."""
    return str(section.__struct_config__.tag)


def setting_questions(
    section: type[Struct], questions: Sequence[Question]
) -> Sequence[SettingQuestion]:
    """All that has to be asked: what the connector asks, then its other required fields."""
    known = {field.encode_name: field for field in fields(section)}
    asked = {one.key: one for one in questions}
    for key, field in known.items():
        if _is_required(field) and key not in _COMMON:
            asked.setdefault(key, Question(key))
    return [
        SettingQuestion(
            section, key, one.ask, one.default, one.optional, _is_secret(known[key].type)
        )
        for key, one in asked.items()
    ]


def setting_value(section: type[Struct], key: str, text: str) -> Any:
    """The value that a text gives a field of a section: the text, or what TOML makes of it.

    ValueError says what is wrong with it.
    """
    problems: list[str] = []
    values: list[Any] = [text]
    with suppress(tomllib.TOMLDecodeError, KeyError, RecursionError):
        values.append(tomllib.loads(f"value = {text}")["value"])
    for value in values:
        context = LoadContext(section)
        convert({key: value}, section, context)
        found = [one for one in context.problems if one.startswith((f"{key}:", f"{key}."))]
        if not found:
            return value
        problems.append(found[0].removeprefix(f"{key}: "))
    # That a value is of the wrong type says less than what is wrong with one of the right type.
    telling = [one for one in problems if not one.startswith("expected ")]
    raise ValueError((telling or problems)[0])


def _is_required(field: FieldInfo) -> bool:
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def _is_secret(kind: Any) -> bool:
    return kind is Secret or Secret in get_args(kind)
