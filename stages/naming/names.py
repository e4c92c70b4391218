"""File names that NTFS and ext4 both take, and that no text from outside can steer elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from stages.naming.templates import fill_compactly, variables

#: What one name may measure: bytes of UTF-8 on ext4, units of UTF-16 on NTFS.
MAX_NAME = 255
#: Room left for what tells twins apart: "-99999".
MAX_SUFFIX = 6

#: Microsoft, "Naming Files, Paths, and Namespaces": reserved characters and device names.
_RESERVED = re.compile(r'[<>:"/\\|?*]')
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³]) *(?=\.|$)", re.IGNORECASE
)
#: What needs no cleaning, as most names don't: letters that NFC leaves alone, digits, few signs.
_LETTER = "A-Za-z0-9À-ÖØ-öø-ÿ_"
_PLAIN = re.compile(
    rf"(?!(?i:{_DEVICE.pattern}))[{_LETTER}](?:[{_LETTER} .,;'&()+@#-]*[{_LETTER})])?"
)

#: Controls, surrogates, unassigned and private characters, line and paragraph separators, and
#: format characters, which could turn a name's letters round.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
_SEPARATORS = "_- "


def sanitize(text: str) -> str:
    """One component of a path: never empty but for empty text, never "." or "..", idempotent."""
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
    """The name that a template gives a document, with room left for a twin's number.

    A variable without a value drops out together with the separator beside it. The extension is
    without its dot. Where nothing remains the document's id has to serve: `values["id"]`.
    """
    used = {name: _part(values.get(name, "")) for name in variables(template)}
    filled = fill_compactly(template, used)
    stem = sanitize(filled.strip(_SEPARATORS)) or sanitize(_part(values["id"])) or "document"
    suffix = f".{extension}" if extension else ""
    return sanitize(_shorten(stem, MAX_NAME - MAX_SUFFIX - len(suffix) - 1).rstrip(" .") + suffix)


def _part(value: str) -> str:
    """A variable's value as part of a name; the template's own separators stay what they are."""
    return sanitize(value).strip(_SEPARATORS)


def _shorten(text: str, longest: int) -> str:
    """Cut at a character to so many bytes of UTF-8, which are never fewer units in UTF-16."""
    return text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore").rstrip(" .")
