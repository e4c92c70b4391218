"""JSON objects: an answer that lists things, each by its members, read leniently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.sources.http import lenient_json
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8

#: Objects in an answer, at most.
MAX_OBJECTS = 200_000
#: Characters of an id.
LONGEST_KEY = 200
#: Ids that an address can't hold: they would lead to another place.
NO_IDS = ("", ".", "..")

#: The members of an object, still encoded, by their names in lower case.
Members = Mapping[str, bytes]


class TooManyObjects(ValueError):
    """There are more objects in an answer than can be."""


def objects(body: bytes, *names: str) -> Sequence[Members]:
    """The objects of an answer that is a list, or holds one under one of these names.

    One that is no object has no members. ValueError if it is no such answer.
    """
    if body.count(b"{") > MAX_OBJECTS:
        raise TooManyObjects
    body = as_utf8(body).strip()
    if body.startswith(b"{"):
        given = lowered(lenient_json.members(body))
        name = next((one for one in names if one in given), None)
        if name is None:
            raise ValueError(f"there is no {names[0]}")
        body = given[name].strip()
    if body in (b"", b"null"):
        return []
    return [_members(bytes(one)) for one in lenient_json.elements(body)]


def members_of(body: bytes) -> Members:
    """The members of an answer that is an object. Raises one of JSON_ERRORS if it is none."""
    return lowered(lenient_json.members(as_utf8(body)))


def inner(given: Members, name: str) -> Members:
    """The members of an object within an object; none if there is no such object."""
    return _members(given.get(name, b""))


def key(given: Members | None, *names: str) -> str | None:
    """What identifies something: the first of these members that can be read."""
    for one in names:
        found = lenient_json.name((given or {}).get(one), LONGEST_KEY)
        if found is not None and found.strip() not in NO_IDS:
            return found
    return None


def word(given: Members, *names: str) -> str:
    """The first of these members that is a text; "" if none is."""
    return next((found for one in names if (found := lenient_json.word(given.get(one)))), "")


def lowered(given: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same members with their names in lower case."""
    return {name.lower(): value for name, value in given.items()}


def _members(raw: bytes) -> Members:
    try:
        return lowered(lenient_json.members(raw))
    except JSON_ERRORS:
        return {}
