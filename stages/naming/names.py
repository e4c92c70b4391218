"""File names: sanitizes text, so that NTFS and ext4 accept it as one component of a path.

No text of a document can lead to another folder.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from stages.naming.templates import fill_compactly, variables

#: Maximum length of a name: in bytes of UTF-8 on ext4, in units of UTF-16 on NTFS.
MAX_NAME = 255
#: Room left for the number of an alternative name: "-99999".
MAX_SUFFIX = 6

#: Microsoft, "Naming Files, Paths, and Namespaces": reserved characters and device names.
_RESERVED = re.compile(r'[<>:"/\\|?*]')
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³]) *(?=\.|$)", re.IGNORECASE
)
#: Fast path: most names need no change. Letters that are in NFC already, digits, some punctuation.
_LETTER = "A-Za-z0-9À-ÖØ-öø-ÿ_"
_PLAIN = re.compile(
    rf"(?!(?i:{_DEVICE.pattern}))[{_LETTER}](?:[{_LETTER} .,;'&()+@#-]*[{_LETTER})])?"
)

#: Categories of characters that are replaced: controls, surrogates, unassigned and private ones,
#: line and paragraph separators, and format characters, which can reverse how a name is displayed.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
_SEPARATORS = "_- "


def sanitize(text: str) -> str:
    """Make text valid as one component of a path. Idempotent.

    The result is empty only for empty text, and never "." or "..".
    """
    if len(text) < MAX_NAME // 4 and "  " not in text and _PLAIN.fullmatch(text):
        return text
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = "".join("_" if unicodedata.category(c) in _UNPRINTABLE else c for c in text)
    text = _RESERVED.sub("_", text)
    text = re.sub(r"\s+", " ", text)
    text = text.strip(" .") or "_" * bool(text)
    return _shorten(f"_{text}" if _DEVICE.match(text) else text, MAX_NAME)


def file_name(template: str, values: Mapping[str, str], extension: str) -> str:
    """The name that a template gives a document, with room left for the number of an alternative.

    A variable without a value is omitted, and the separator before it. extension: without its dot.
    If nothing remains, the document's id is used: `values["id"]`.
    """
    used = {name: _part(values.get(name, "")) for name in variables(template)}
    filled = fill_compactly(template, used)
    stem = sanitize(filled.strip(_SEPARATORS)) or sanitize(_part(values["id"])) or "document"
    suffix = f".{extension}" if extension else ""
    return sanitize(_shorten(stem, MAX_NAME - MAX_SUFFIX - len(suffix) - 1).rstrip(" .") + suffix)


def _part(value: str) -> str:
    """The value of a variable as part of a name, without separators at its ends."""
    return sanitize(value).strip(_SEPARATORS)


def _shorten(text: str, longest: int) -> str:
    """Cut text at a character to a maximum of bytes of UTF-8; UTF-16 never needs more units."""
    return text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore").rstrip(" .")
