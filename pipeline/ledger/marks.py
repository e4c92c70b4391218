"""Marks: what tells documents of one identity apart; words of the form `name=value,value`.

Two documents of one identity are the same unless a name that both have has no value in common. So
a name with one value says "this has to be equal", a name with several "one of these has to be
equal", and a name that one of the two lacks says nothing. Names and values have no blank, no comma
and no equals sign.
"""

from __future__ import annotations

from collections.abc import Mapping


def marks(values: Mapping[str, set[str]]) -> str:
    """Return the marks of a document, for the ledger; names without values are left out."""
    return " ".join(f"{name}={','.join(sorted(found))}" for name, found in values.items() if found)


def contradict(one: str, other: str) -> bool:
    """Whether marks say that two documents of one identity are not the same."""
    if one == other:
        return False
    values = _values(one)
    return any(
        name in values and values[name].isdisjoint(found) for name, found in _values(other).items()
    )


def _values(text: str) -> dict[str, set[str]]:
    words = (word.partition("=") for word in text.split())
    return {name: set(found.split(",")) for name, _, found in words}
