"""Business-term model: an invoice as a tree of groups and values of EN 16931-1.

A layout takes out what it places, and lists what is left: so nothing that was read is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field


class Value(Struct, frozen=True):
    """A business term with its text.

    term: its number in EN 16931-1, such as "BT-1"; "" for what is no business term. name: of the
    elements in which it stands, for those. qualifiers: by name, what its attributes say of it, such
    as the scheme of an identifier.
    """

    term: str
    text: str
    name: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()

    def qualifier(self, name: str) -> str:
        """Return what an attribute says of it, "" if it has no such attribute."""
        return next((text for known, text in self.qualifiers if known == name), "")


class Group(Struct):
    """A group of business terms, such as "BG-4", the seller; "" is the invoice itself."""

    term: str = ""
    values: list[Value] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)

    def take(self, *terms: str) -> list[Value]:
        """Take out the values of these terms, in the order of the document."""
        taken = [value for value in self.values if value.term in terms]
        if taken:
            self.values = [value for value in self.values if value.term not in terms]
        return taken

    def take_first(self, term: str) -> Value | None:
        """Take out the first value of a term; the others stay."""
        for index, value in enumerate(self.values):
            if value.term == term:
                return self.values.pop(index)
        return None

    def take_groups(self, *terms: str) -> list[Group]:
        """Take out the groups of these terms, in the order of the document."""
        taken = [group for group in self.groups if group.term in terms]
        if taken:
            self.groups = [group for group in self.groups if group.term not in terms]
        return taken

    def text(self, *terms: str) -> str:
        """Return the text of the first value of these terms, "" if there is none; it stays."""
        return next((value.text for value in self.values if value.term in terms), "")

    def walk(self) -> Iterator[Group]:
        """Yield the group and all that are in it."""
        yield self
        for group in self.groups:
            yield from group.walk()
