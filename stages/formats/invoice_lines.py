"""Line digest: what the lines of an invoice say, so that two forms of one invoice can be compared.

What is read of all lines (their amounts, for one) is read by one XPath, in the order of the
document: a loop over the lines would take several times as long.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

from lxml import etree

from stages.values.amounts import unsigned_amount
from stages.values.text import plain

_DIGITS = b"0123456789"
#: The end of one amount, and a zero at the beginning of the next one.
_ZERO = bytes((0, 0x30))
#: Characters of an amount as most write it, at most.
_LONGEST = 32

#: What may have another spelling: all but the letters of most languages of Europe.
_ODD = re.compile("[\x7f-\xa0\xa8\xaa\xad\xaf\xb2-\xb5\xb8-\xba\xbc-\xbe\u0132-\U0010ffff]")
#: The same in Latin-1, which has the letters of most names.
_ODD_LATIN = bytes(code for code in range(256) if _ODD.match(chr(code)))

#: The amounts, quantities, names, descriptions and further words of lines, each in the order of the
#: document.
Columns = tuple[Sequence[str], ...]


class LinePaths:
    """The paths of what is read of lines, in one vocabulary.

    line: the path of the lines below the root of the document. amount, quantity, name, description,
    words: paths below a line; words can be compared within one vocabulary only, such as notes. They
    are such as most lines lack: each text that is there takes as long as a path without any.
    """

    def __init__(
        self,
        namespaces: Mapping[str, str],
        line: str,
        amount: str,
        quantity: str,
        name: str,
        description: str,
        words: Sequence[str],
    ) -> None:
        def texts(below: str, fields: Sequence[str]) -> etree.XPath:
            path = " | ".join(f"{below}{field}/text()" for field in fields)
            return etree.XPath(path, namespaces=dict(namespaces), smart_strings=False)

        columns = ([amount], [quantity], [name], [description], words)
        self._of_document = [texts(f"{line}/", fields) for fields in columns]
        self._of_line = [texts("", fields) for fields in columns]

    def of_document(self, root: etree._Element) -> Columns:
        """Return the columns of all lines below a root."""
        return tuple([_strings(path(root)) for path in self._of_document])

    def of_line(self, line: etree._Element) -> Columns:
        """Return the columns of one line."""
        return tuple([_strings(path(line)) for path in self._of_line])


class LineDigest:
    """A running digest of lines, for documents of which the lines are dropped as they are read."""

    def __init__(self) -> None:
        self._columns: tuple[list[str], ...] = tuple([] for _ in _SPELLINGS)

    def add(self, columns: Columns) -> None:
        """Add some lines."""
        for kept, found, spelt in zip(self._columns, columns, _SPELLINGS, strict=True):
            if found:
                kept.append(spelt(found))

    def digest(self) -> str:
        """Return 16 characters that are equal for equal lines; "" if there were none.

        Descriptions don't count: not every profile of CII has a place for them.
        """
        return self._digest(_EVERYWHERE)

    def descriptions(self) -> str:
        """Return 16 characters that are equal for equal descriptions; "" if there were none."""
        return self._digest(_DESCRIPTIONS)

    def words(self) -> str:
        """Return 16 characters that are equal for equal further words; "" if there were none."""
        return self._digest(_WORDS)

    def _digest(self, columns: slice) -> str:
        texts = ["".join(column) for column in self._columns[columns]]
        if not any(texts):
            return ""
        return hashlib.sha256("\1".join(texts).encode()).hexdigest()[:16]


def _strings(found: object) -> list[str]:
    return found if isinstance(found, list) else []


def _amounts(texts: Sequence[str]) -> str:
    """Return amounts in one spelling, without their sign, each with a NUL behind it."""
    if _are_usual(texts):
        spelt = [one.rstrip("0").removesuffix(".") if "." in one else one for one in texts]
    else:
        spelt = list(map(unsigned_amount, texts))
    return "\0".join(spelt) + "\0"


def _are_usual(texts: Sequence[str]) -> bool:
    """Whether all amounts are written as most write them: digits, perhaps a point and digits.

    All are looked at together, by searches for bytes: a pattern would take several times as long.
    """
    joined = "\0".join(("", *texts, ""))
    if not joined.isascii() or max(map(len, texts)) > _LONGEST:
        return False
    data = joined.encode()
    if data.translate(None, _DIGITS).replace(b".\0", b"\0") != bytes(len(texts) + 1):
        return False
    # Nothing before or behind a point, no amount at all, a zero before other digits.
    if b"\0." in data or b".\0" in data or b"\0\0" in data:
        return False
    return data.count(_ZERO) == data.count(_ZERO + b".") + data.count(_ZERO + b"\0")


def _names(texts: Sequence[str]) -> str:
    """Return names with their blanks collapsed, each with a NUL behind it."""
    joined = "\0".join(texts)
    if not joined.isascii() and _has_odd(joined):
        joined = "\0".join(map(plain, texts))
    joined = " ".join(joined.split())
    return joined.replace(" \0", "\0").replace("\0 ", "\0") + "\0"


def _has_odd(text: str) -> bool:
    try:
        latin = text.encode("latin-1")
    except UnicodeEncodeError:
        return _ODD.search(text) is not None
    return len(latin.translate(None, _ODD_LATIN)) != len(latin)


#: How the columns are spelt.
_SPELLINGS: tuple[Callable[[Sequence[str]], str], ...] = (
    *(_amounts, _amounts),
    *(_names, _names, _names),
)
#: The columns that every vocabulary has, and those that are compared apart.
_EVERYWHERE, _DESCRIPTIONS, _WORDS = slice(3), slice(3, 4), slice(4, 5)
