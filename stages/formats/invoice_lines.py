"""Line digest: what the lines of an invoice say, so that two forms of one invoice can be compared.

The amounts, quantities and names of all lines are read by XPath, each in the order of the document:
a loop over the lines would take several times as long as parsing them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from lxml import etree

from stages.values.amounts import unsigned_amount


class LinePaths:
    """The paths of what is read of a line, in one vocabulary.

    line: the path of the lines below the root of the document. amount, quantity, name: paths below
    a line. All of them may name alternatives, with a bar between them.
    """

    def __init__(
        self, namespaces: Mapping[str, str], line: str, amount: str, quantity: str, name: str
    ) -> None:
        def texts(path: str) -> etree.XPath:
            return etree.XPath(path, namespaces=dict(namespaces), smart_strings=False)

        def joined(field: str) -> str:
            return "|".join(
                f"{one}/{path}/text()" for one in line.split("|") for path in field.split("|")
            )

        fields = (amount, quantity, name)
        self.of_document = tuple(texts(joined(one)) for one in fields)
        self.of_line = tuple(
            texts("|".join(f"{path}/text()" for path in one.split("|"))) for one in fields
        )


def _same_name(text: str) -> str:
    return " ".join(text.split())


#: How amounts, quantities and names are spelt.
_SPELLINGS: tuple[Callable[[str], str], ...] = (unsigned_amount, unsigned_amount, _same_name)


class LineDigest:
    """A running digest of lines, for documents of which the lines are dropped as they are read."""

    def __init__(self) -> None:
        self._digests = [hashlib.sha256(usedforsecurity=False) for _ in range(3)]
        self._is_empty = True

    def add(self, paths: Iterable[etree.XPath], element: etree._Element) -> None:
        """Add what these paths find: LinePaths.of_line for a line, of_document for all of them."""
        for digest, path, spelt in zip(self._digests, paths, _SPELLINGS, strict=True):
            texts = path(element)
            if isinstance(texts, list) and texts:
                self._is_empty = False
                digest.update("\0".join([spelt(str(one)) for one in texts]).encode() + b"\0")

    def digest(self) -> str:
        """Return 16 characters that are equal for equal lines; "" if there were none."""
        if self._is_empty:
            return ""
        return hashlib.sha256(b"".join(one.digest() for one in self._digests)).hexdigest()[:16]
