"""Cells: the values and groups of an invoice as paragraphs, each behind its label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import structs

from stages.rendering.model import Group, Value
from stages.rendering.sheet import Paragraph
from stages.rendering.words import Words

#: Sizes in points.
SMALL, NORMAL, TITLE = 6.8, 8.0, 15.0
#: The terms of an address, in the order of an envelope; those that share a line stand together.
_ADDRESSES = (
    ({"BT-35", "BT-50", "BT-64", "BT-75"},),
    ({"BT-36", "BT-51", "BT-65", "BT-76"},),
    ({"BT-162", "BT-163", "BT-164", "BT-165"},),
    ({"BT-38", "BT-53", "BT-67", "BT-78"}, {"BT-37", "BT-52", "BT-66", "BT-77"}),
    ({"BT-39", "BT-54", "BT-68", "BT-79"},),
    ({"BT-40", "BT-55", "BT-69", "BT-80"},),
)
#: Groups whose values are said in one line.
_INLINE = {"BG-26", "BG-27", "BG-28", "BG-32", "BG-14"}
_ADDRESS_GROUPS = {"BG-5", "BG-8", "BG-12", "BG-15"}
_NAMES = ("BT-27", "BT-44", "BT-59", "BT-62", "BT-70")


class Cells:
    """Makes paragraphs in one language. currency: of the document, which amounts don't repeat."""

    def __init__(self, words: Words, currency: str) -> None:
        self.words = words
        self.currency = currency

    def shown(self, value: Value) -> str:
        """Return the text of a value as people read it."""
        return self.words.shown(value, self.currency)

    def values(self, values: Iterable[Value], size: float = NORMAL) -> list[Paragraph]:
        """Return values, each behind its label; a text of several lines as several paragraphs."""
        return [one for value in values for one in self._value(value, size)]

    def _value(self, value: Value, size: float) -> Iterator[Paragraph]:
        lines = [line for line in self.shown(value).splitlines() if line.strip()] or ["-"]
        yield Paragraph(lines[0], f"{self.words.label_of(value)}:", size=size)
        for line in lines[1:]:
            yield Paragraph(line, size=size)

    def texts(self, values: Iterable[Value], size: float = NORMAL) -> list[Paragraph]:
        """Return values without their labels, line by line."""
        lines = (line for value in values for line in self.shown(value).splitlines())
        return [Paragraph(line, size=size) for line in lines if line.strip()]

    def together(self, values: Iterable[Value]) -> str:
        """Return values one after the other, without labels."""
        return " ".join(map(self.shown, values))

    def group(self, group: Group, size: float = NORMAL) -> list[Paragraph]:
        """Return all of a group that is left in it, and of the groups inside it."""
        if group.term in _ADDRESS_GROUPS:
            return [*self.address(group, size), *self._rest(group, size)]
        if group.term in _INLINE:
            line = self.inline(group, size)
            return [line, *self._inner(group, size)]
        return self._rest(group, size)

    def inline(self, group: Group, size: float = NORMAL) -> Paragraph:
        """Return the values of a group as one paragraph behind the label of the group."""
        label = self.words.label(group.term)
        if group.term == "BG-32":
            label = self.together(group.take("BT-160")) or label
        elif group.term in {"BG-26", "BG-14"}:
            period = group.take("BT-73", "BT-74", "BT-134", "BT-135")
            text = " / ".join(map(self.shown, period))
            others = group.take(*(value.term for value in group.values))
            return Paragraph("; ".join([text, *self._labelled(others)]), f"{label}:", size=size)
        silent = {"BT-97", "BT-104", "BT-139", "BT-144", "BT-161"}
        taken, group.values = group.values, []
        said = [
            self.shown(value) if value.term in silent else next(iter(self._labelled([value])))
            for value in taken
        ]
        return Paragraph(" · ".join(said) or "-", f"{label}:", size=size)

    def address(self, group: Group, size: float = NORMAL) -> list[Paragraph]:
        """Take the address out of a group, in the order of an envelope."""
        found = []
        for line in _ADDRESSES:
            taken = [value for terms in line for value in group.take(*terms)]
            if taken:
                found.append(Paragraph(self.together(taken), size=size))
        return found

    def party(self, group: Group) -> list[Paragraph]:
        """Return a party: its role, its name, its address, and all else behind labels."""
        found = [Paragraph(self.words.label(group.term), grey=True, size=SMALL)]
        names = group.take(*_NAMES)
        found += [structs.replace(one, bold=True, size=9.5) for one in self.texts(names)]
        inner = group.take_groups(*_ADDRESS_GROUPS)
        for one in inner:
            found += self.group(one)
        found += self.values(group.values, SMALL)
        for one in group.groups:
            found += self._rest(one, SMALL)
        group.values, group.groups = [], []
        return found

    def _rest(self, group: Group, size: float) -> list[Paragraph]:
        values, group.values = group.values, []
        return [*self.values(values, size), *self._inner(group, size)]

    def _inner(self, group: Group, size: float) -> list[Paragraph]:
        groups, group.groups = group.groups, []
        found: list[Paragraph] = []
        for one in groups:
            if one.term not in _INLINE | _ADDRESS_GROUPS:
                found.append(Paragraph(self.words.label(one.term), size=size, grey=True))
            found += self.group(one, size)
        return found

    def _labelled(self, values: Iterable[Value]) -> Iterator[str]:
        for value in values:
            yield f"{self.words.label_of(value)}: {' '.join(self.shown(value).split())}"
