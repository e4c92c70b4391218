"""The values of an invoice, collected without any table: every text and attribute of its XML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

#: Elements whose text is the bytes of a file, or says nothing that the layout does not say.
SILENT = {
    *("EmbeddedDocumentBinaryObject", "AttachmentBinaryObject"),
    *("ChargeIndicator", "Indicator"),
}
#: Attributes that say how a value is spelt.
SPELLING = {"schemaLocation", "format"}

_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_NUMBER = re.compile(r"[+-]?[0-9]+\.[0-9]+")


def normalised(text: str) -> str:
    """A text without blanks."""
    return "".join(text.split())


def values_of(xml: bytes) -> Iterator[tuple[str, set[str]]]:
    """Yield each value with where it stands, in the spellings in which a reader may find it."""
    for element in etree.fromstring(xml).iter(etree.Element):
        name = etree.QName(element).localname
        place = (
            f"{etree.QName(element.getparent()).localname}/{name}"
            if element.getparent() is not None
            else name
        )  # type: ignore[arg-type]
        for key, text in element.attrib.items():
            if str(key).rpartition("}")[2] not in SPELLING and text.strip():
                yield f"{place}/@{key}", {normalised(str(text))}
        text = normalised(element.text or "")
        if text and name not in SILENT:
            yield place, spellings(text, name)


def spellings(text: str, name: str) -> set[str]:
    """A value as it stands, a number with a decimal comma, a day of CII in ISO 8601."""
    found = {text}
    if _NUMBER.fullmatch(text):
        found.add(text.replace(".", ","))
    if (match := _DATE.fullmatch(text)) and name in {"DateTimeString", "DateString"}:
        found.add("-".join(match.groups()))
    return found


def missing(xml: bytes, shown: str) -> list[str]:
    """The values of an invoice that are not in a text."""
    text = normalised(shown)
    return [
        f"{place}: {sorted(found)}"
        for place, found in values_of(xml)
        if not any(one in text for one in found)
    ]
