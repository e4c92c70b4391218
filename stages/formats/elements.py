"""XML element helpers: text, names and paths of elements, shared by all vocabularies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from stages.formats.content import Unreadable
from stages.values.text import plain

#: Characters of a text that is read; no name and no number is longer.
MAX_TEXT = 1024
#: What stands behind a day that has a time zone.
_ZONE = re.compile(r"(?<=[0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})")


def tree_parser(*, remove_blank_text: bool) -> etree.XMLParser:
    """A parser of whole trees that resolves, loads and fetches nothing."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=remove_blank_text,
        collect_ids=False,
        huge_tree=False,
    )


def text_of(element: etree._Element | None) -> str:
    """Return the text of an element with its blanks collapsed, "" if there is none.

    Unreadable if it has more than MAX_TEXT characters.
    """
    if element is None or not (text := element.text):
        return ""
    if text.isalnum() and len(text) <= MAX_TEXT:
        return text
    if len(text) > MAX_TEXT and len(text := text.strip()) > MAX_TEXT:
        raise Unreadable(f"{name_of(element)} has {len(text):,} characters or more")
    return " ".join(text.split())


def name_of(element: etree._Element) -> str:
    """Return the name of an element without its namespace."""
    tag: str = element.tag
    return tag[tag.rfind("}") + 1 :]


def below(element: etree._Element | None, *tags: str) -> etree._Element | None:
    """Follow a path of tags downwards, by the first child of each; None where it ends."""
    for tag in tags:
        if element is None:
            return None
        element = next(element.iterchildren(tag), None) if "*" in tag else _child(element, tag)
    return element


def _child(element: etree._Element, tag: str) -> etree._Element | None:
    # Elements have few children: a loop over them takes half the time of iterchildren().
    for child in element:
        if child.tag == tag:
            return child
    return None


def children(element: etree._Element | None) -> dict[str, etree._Element]:
    """Return the children of an element by their tags, the first of each."""
    # From the last to the first, so that the first of each tag stays.
    return {} if element is None else {child.tag: child for child in reversed(element)}


def each(element: etree._Element | None, *tags: str) -> Iterator[etree._Element]:
    """Yield all elements at a path of tags below an element."""
    found = [] if element is None else [element]
    for tag in tags:
        found = [child for one in found for child in one.iterchildren(tag)]
    return iter(found)


def all_text(elements: Iterable[etree._Element]) -> str:
    """Return all text in some elements, of which the order doesn't matter, in one spelling.

    Without blanks, signs that nobody sees, and the zones of days.
    """
    texts = [
        etree.tostring(one, method="text", encoding="unicode", with_tail=False)
        if len(one)
        else one.text or ""
        for one in elements
    ]
    if not texts:
        return ""
    text = "\n".join(sorted(texts))
    if not text.isascii():
        text = plain(text)
    text = "".join(text.split())
    return _ZONE.sub("", text) if ":" in text or "Z" in text else text
