"""Text sanitizer: makes text from outside printable, of one line and of bounded length.

Text of a document, a server or a file may hold characters that control a terminal (ESC, the C1
controls), that reverse the letters around them (bidirectional marks), or that can't be encoded.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Characters of one text, and items of one list, at most.
LONGEST = 4000
FEW = 10
#: Characters of a name or a number, at most.
NAME = 100
#: Characters of a server's message that are quoted, at most.
QUOTED = 200


def printable(text: str) -> str:
    """The text with a space in place of each character that is not printable."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " for one in text)


def printable_lines(text: str) -> str:
    """As printable(), but keeps the line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def truncated(text: str, most: int = LONGEST) -> str:
    """The first `most` characters of a text, and how many were left out."""
    if len(text) <= most:
        return text
    return f"{text[:most]} ... and {len(text) - most:,} more characters"


def sanitized(text: str, most: int = LONGEST) -> str:
    """The text as it may be shown: printable(), of at most `most` characters and a note."""
    return printable(truncated(text, most))


def quoted(text: str) -> str:
    """A server's message, printable, on one line, and cut to QUOTED characters."""
    # Only the beginning is made printable, as the text may be very long.
    return printable(text[: 2 * QUOTED].strip())[:QUOTED].strip()


def first_few(items: Sequence[str], most: int = FEW) -> list[str]:
    """The first items, each sanitized, and a last one that says how many were left out, if any."""
    few = [sanitized(item, LONGEST // most) for item in items[:most]]
    return [*few, f"and {len(items) - most:,} more"] if len(items) > most else few


def enumerated(items: Sequence[str]) -> str:
    """Names or numbers for a sentence: the first few, separated by commas, and how many more."""
    said = ", ".join(sanitized(item, NAME) for item in items[:FEW])
    return f"{said} and {len(items) - FEW:,} more" if len(items) > FEW else said
