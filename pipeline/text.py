"""Makes text from outside fit to be shown: printable, on one line, and of a size that is read.

What a document, a server or a file says may hold signs that steer a terminal (ESC, the C1
controls), that turn the letters around them (bidirectional marks), or that can't be encoded.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Characters of one text, and items of one list, that anybody reads.
LONGEST = 4000
FEW = 10
#: Characters of a name or a number that tell which one it is.
NAME = 100


def printable(text: str) -> str:
    """The same with a space in place of each sign that is not printed."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else " " for sign in text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which it keeps."""
    return "\n".join(map(printable, text.split("\n")))


def truncated(text: str, most: int = LONGEST) -> str:
    """The beginning of a long text, and how much is left out."""
    if len(text) <= most:
        return text
    return f"{text[:most]} ... and {len(text) - most:,} more characters"


def sanitized(text: str, most: int = LONGEST) -> str:
    """A text from outside as it is shown: printable, and not too long."""
    if len(text) <= most and text.isprintable():
        return text
    return printable(truncated(text, most))


def first_few(items: Sequence[str], most: int = FEW) -> list[str]:
    """The first items, each of one line, and how many are left out, if any are."""
    if not items:
        return []
    few = [sanitized(item, LONGEST // most) for item in items[:most]]
    return [*few, f"and {len(items) - most:,} more"] if len(items) > most else few


def enumerated(items: Sequence[str]) -> str:
    """Names or numbers within a sentence: the first few, and how many more there are."""
    said = ", ".join(sanitized(item, NAME) for item in items[:FEW])
    return f"{said} and {len(items) - FEW:,} more" if len(items) > FEW else said
