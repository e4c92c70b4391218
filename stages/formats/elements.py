"""Reading elements of XML, whatever the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from stages.formats.content import Unreadable

#: Characters of what is worth reading; more than a name or a number has anywhere.
LONGEST = 1024


def text_of(element: etree._Element | None) -> str:
    """Its text with single blanks, or nothing. Unreadable if no name or number is as long."""
    if element is None or not (text := element.text):
        return ""
    if len(text) > LONGEST and len(text := text.strip()) > LONGEST:
        raise Unreadable(f"{name_of(element)} has {len(text):,} characters or more")
    return " ".join(text.split())


def name_of(element: etree._Element) -> str:
    """Its name without the namespace."""
    tag: str = element.tag
    return tag[tag.rfind("}") + 1 :]


def below(element: etree._Element | None, *tags: str) -> etree._Element | None:
    """The first child of this tag, its first child of the next, and so on."""
    for tag in tags:
        if element is None:
            return None
        element = next(element.iterchildren(tag), None) if "*" in tag else _child(element, tag)
    return element


def _child(element: etree._Element, tag: str) -> etree._Element | None:
    # Few elements have many children: a look at each costs half of what a pattern does.
    for child in element:
        if child.tag == tag:
            return child
    return None


def each(element: etree._Element | None, *tags: str) -> Iterator[etree._Element]:
    """All elements at this path of tags below it."""
    found = [] if element is None else [element]
    for tag in tags:
        found = [child for one in found for child in one.iterchildren(tag)]
    return iter(found)
