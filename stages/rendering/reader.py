"""Business-term reader: the tree of an invoice as groups and values, by a table of paths.

Every element with a text becomes a value, also where no table knows it: then it has the names of
its elements instead of a term, and stands in the group in which it was found.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView
from typing import cast

from lxml import etree

from stages.rendering.model import Group, Value
from stages.rendering.paths import Place, local_name, places

#: Characters of one text that are shown.
MAX_TEXT = 100_000
#: Elements that hold the bytes of a file, which are named and not shown.
FILES = {"EmbeddedDocumentBinaryObject", "AttachmentBinaryObject", "BinaryObject"}
_FILE_NAMES = ("filename", "fileName")
#: Attributes that say nothing about the value, but how it is spelt in the XML.
_SILENT = {"schemaLocation", "noNamespaceSchemaLocation", "format", "nil", "type"}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def read(root: etree._Element, table: str) -> Group:
    """Return an invoice as a tree of groups. table: "ubl" or "cii"."""
    invoice = Group()
    _read_children(root, places(table), invoice, ())
    return invoice


def _read_children(
    element: etree._Element, place: Place | None, group: Group, names: tuple[str, ...]
) -> None:
    for child in element:
        known = place.place_of(child) if place is not None else None
        if name := local_name(child):
            _read(child, known, group, (*names, name))


def _read(
    element: etree._Element, place: Place | None, group: Group, names: tuple[str, ...]
) -> None:
    """Read an element into a group. names: of the elements from that group down to this one."""
    term = place.term if place is not None else ""
    if term.startswith("BG-"):
        group.groups.append(inner := Group(term))
        group, term, names = inner, "", ()
    name = local_name(element)
    attributes = _attributes(element)
    if place is not None:
        known = place.attributes
        group.values += [Value(known[key], text) for key, text in attributes if key in known]
        attributes = [(key, text) for key, text in attributes if key not in known]
    path = _spaced(names or (name,))
    if name in FILES:
        said = tuple(one for one in attributes if one[0] not in _FILE_NAMES)
        group.values.append(Value(term, _file_name(attributes), path, said))
        return
    text = (element.text or "").strip()
    if text and term != "-":
        shown = text if len(text) <= MAX_TEXT else text[:MAX_TEXT]
        is_whole = len(shown) == len(text)
        more = () if is_whole else (("cut", ""),)
        group.values.append(Value(term, shown, path, (*attributes, *more)))
    elif attributes and not text:
        group.values += [Value("", said, f"{path} {_spaced((key,))}") for key, said in attributes]
    _read_children(element, place, group, names)
    for child in element:
        # Text behind a child is no part of any vocabulary, and is shown all the same.
        if child.tail and (tail := child.tail.strip()):
            group.values.append(Value("", tail[:MAX_TEXT], path))


def _attributes(element: etree._Element) -> list[tuple[str, str]]:
    if not element.attrib:
        return []
    found = []
    for key, text in cast("ItemsView[str, str]", element.attrib.items()):
        name = key[key.rfind("}") + 1 :]
        if name not in _SILENT and (said := text.strip()):
            found.append((name, said[:MAX_TEXT]))
    return found


def _file_name(attributes: list[tuple[str, str]]) -> str:
    return next((text for key, text in attributes if key in _FILE_NAMES), "")


def _spaced(names: tuple[str, ...]) -> str:
    """Return names of elements as people read them: "TaxScheme" as "Tax Scheme"."""
    return " / ".join(_WORD.sub(" ", name) for name in names)
