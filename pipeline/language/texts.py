"""Texts: what is to be said, in no language yet, with what fills it."""

from __future__ import annotations

from msgspec import Struct


class Moment(Struct, frozen=True):
    """A time, which each reader is told in his own way; seconds since 1970."""

    at: float


class Sentence(Struct, frozen=True):
    """A sentence that another part of synqup has said in English, translated as far as known."""

    text: str


class Label(Struct, frozen=True):
    """The label of a document."""

    text: str


class Recorded(Struct, frozen=True):
    """What the ledger has recorded of an error: said as its reason and its remedy."""

    label: str
    text: str


class Size(Struct, frozen=True):
    """A number of bytes."""

    bytes: int


class Listed(Struct, frozen=True):
    """Some texts, one after the other."""

    texts: tuple[Text, ...]


class Text(Struct, frozen=True):
    """A text of the catalogs. id: as it stands there, in English; plural: for all but one `n`.

    values: what fills its placeholders; `n` among them where there is a plural.
    """

    id: str
    values: dict[str, Value] = {}
    plural: str = ""
    n: int = 1


Value = str | int | float | Moment | Sentence | Label | Recorded | Size | Listed | Text


def mark(text: str) -> str:
    """Mark a text for the catalogs; it is translated where it is shown."""
    return text


def both(one: str, many: str) -> tuple[str, str]:
    """Mark a text for one thing and for several; as mark()."""
    return one, many


def said(text: str, **values: Value) -> Text:
    """A text of the catalogs, and what fills it."""
    return Text(text, values)


def counted(one: str, many: str, n: int, **values: Value) -> Text:
    """A text of the catalogs about n things."""
    return Text(one, {"n": n, **values}, many, n)
