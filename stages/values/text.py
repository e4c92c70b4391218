"""Text normalisation: the plain form of a text, without any sign that nobody sees."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

#: Signs that Unicode lets no program show (Default_Ignorable_Code_Point), beside its format
#: characters (Cf): joiners, fillers and selectors of variants.
_IGNORABLE = frozenset(
    chr(code)
    for first, last in (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
        *((0x2065, 0x2065), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0)),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
#: Dashes that no two programs write alike, by the one of ASCII.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))
#: A sign that looks like a blank and is no space to Unicode.
_BRAILLE_BLANK = "\u2800"


def plain(text: str) -> str:
    """Return a text in one spelling: NFKC, without invisible signs, each space one blank.

    Invisible are format characters (zero-width and bidirectional ones, the soft hyphen, the
    byte-order mark), control characters, and what Unicode calls ignorable.
    """
    if not (text.isascii() and text.isprintable()):
        # What is invisible goes first: it may stand between a letter and its accent.
        visible = "".join(map(_visible, text))
        text = unicodedata.normalize("NFKC", visible)
    return " ".join(text.split())


def same_dashes(text: str) -> str:
    """Return a text with the dash of ASCII for each other one."""
    return text if text.isascii() else text.translate(_DASHES)


@lru_cache(2048)  # a language has few signs
def _visible(sign: str) -> str:
    """Return a sign, a blank for any kind of space, "" for an invisible one."""
    if sign.isspace() or sign == _BRAILLE_BLANK:
        return " "
    if sign in _IGNORABLE or unicodedata.category(sign) in {"Cf", "Cc"}:
        return ""
    return sign
