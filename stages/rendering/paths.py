"""Path tables: where the business terms of EN 16931 stand in UBL and CII, ready for a reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from lxml import etree
from msgspec import Struct, field

#: The folder of the tables.
TABLES = "stages.rendering.tables"
#: Spaces by which one level of a tree is indented.
_INDENT = 2
_SEGMENT = re.compile(r"([^\[]+)(?:\[([^=]*)=([^\]]*)\])?")


class Condition(Struct, frozen=True):
    """What has to hold for an element: a text at a path below it, or of itself or an attribute."""

    path: tuple[str, ...]
    attribute: str
    text: str

    def holds(self, element: etree._Element) -> bool:
        """Whether it holds; upper and lower case are the same."""
        return any(found.casefold() == self.text for found in self._texts([element]))

    def _texts(self, found: list[etree._Element]) -> Iterable[str]:
        for name in self.path:
            found = [child for one in found for child in one if local_name(child) == name]
        for one in found:
            text = one.get(self.attribute) if self.attribute else one.text
            yield (text or "").strip()


class Place(Struct):
    """An element that a table knows.

    term: its business term or group; "-" if it is shown by other means, "" if it only holds others.
    places: of the elements in it, by name; those with a condition first. attributes: their terms.
    """

    condition: Condition | None = None
    term: str = ""
    places: dict[str, list[Place]] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    def place_of(self, child: etree._Element) -> Place | None:
        """Return the place of an element in this one, None if the table does not know it."""
        for place in self.places.get(local_name(child), ()):
            if place.condition is None or place.condition.holds(child):
                return place
        return None


@cache
def places(table: str) -> Place:
    """Return the place of the root by a table: "ubl" or "cii"."""
    lines = (files(TABLES) / f"{table}.txt").read_text("utf-8").splitlines()
    root = Place()
    above = [[root]]
    for line in lines:
        path, _, term = line.partition("\t")
        name = path.lstrip(" ")
        depth = (len(path) - len(name)) // _INDENT
        del above[depth + 1 :]
        if name.startswith("@"):
            for parent in above[depth]:
                parent.attributes[name[1:]] = term
            continue
        above.append(_added(above[depth], name, term))
    _complete(root)
    return root


def local_name(element: etree._Element) -> str:
    """Return the name of an element without its namespace, "" of a comment or the like."""
    tag = element.tag
    return tag[tag.rfind("}") + 1 :] if isinstance(tag, str) else ""


def _added(parents: list[Place], text: str, term: str) -> list[Place]:
    """Add the place of one line of a table to its parents."""
    match = _SEGMENT.fullmatch(text)
    assert match is not None, text
    names, path, said = match.groups()
    condition = None
    if said is not None:
        *steps, attribute = path.rpartition("@") if "@" in path else (path, "")
        below = tuple(step for step in steps[0].split("/") if step)
        condition = Condition(below, attribute, said.casefold())
    place = Place(condition, term)
    for parent in parents:
        for name in names.split("|"):
            known = parent.places.setdefault(name, [])
            known.append(place)
            known.sort(key=lambda one: one.condition is None)
    return [place]


def _complete(place: Place) -> None:
    """Let places with a condition know what those without one know of the same element."""
    for alike in place.places.values():
        general = next((one for one in alike if one.condition is None), None)
        for one in alike:
            if general is not None and one is not general:
                for name, inner in general.places.items():
                    one.places.setdefault(name, inner)
                one.attributes = {**general.attributes, **one.attributes}
            _complete(one)
