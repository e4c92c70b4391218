"""Typefaces: DejaVu Sans, embedded with the glyphs that a PDF shows and the text of each.

A font of a PDF is a composite font (ISO 32000-1, 9.7) with a code for every character. So all that
is shown can be searched for and copied: letters for which DejaVu has no glyph (Chinese, say) are
drawn as boxes, Arabic letters are drawn in their forms, and stand in the PDF as the letters that
they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import Any

from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream, PDFZCompress
from reportlab.pdfbase.ttfonts import TTFontFace

from stages.rendering.bidi import plain
from stages.rendering.words import GAP

FONTS = "stages.rendering.fonts"
#: The names of the typefaces in a PDF, and their files.
REGULAR, BOLD = "F1", "F2"
FILES = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}
#: The width of the gap between groups of digits, in thousandths of the size. Readers of PDFs take
#: less than half of a blank's width for no blank.
GAP_WIDTH = 120
_PER_SECTION = 100
#: Characters that are not drawn, and stay in the text: joiners, soft hyphens, variation selectors.
_INVISIBLE = {"Cf", "Cc", "Zl", "Zp"}
#: Characters of one font, which its table of glyphs has room for; no text has as many.
_LAST = 32_000


class Typeface:
    """A TrueType face, read once for all PDFs."""

    def __init__(self, name: str) -> None:
        with as_file(files(FONTS) / FILES[name]) as path:
            self.face: Any = TTFontFace(str(path))
        self.name = name
        #: By character, in thousandths of the size.
        self.widths = _Widths(self.face)
        # Reading glyphs moves a position in the face.
        self.lock = Lock()

    def width(self, text: str, size: float) -> float:
        """Return the width of a text in points."""
        return sum(map(self.widths.__getitem__, text)) * size / 1000


class _Widths(dict[str, float]):
    """Widths of characters, found when they are first asked for."""

    def __init__(self, face: Any) -> None:
        super().__init__({GAP: GAP_WIDTH})
        self._face = face

    def __missing__(self, character: str) -> float:
        width: float = 0 if is_invisible(character) else self._face.getCharWidth(ord(character))
        if len(self) < _LAST:
            self[character] = width
        return width


@cache
def typeface(name: str) -> Typeface:
    """Return a typeface: REGULAR or BOLD."""
    return Typeface(name)


def is_invisible(character: str) -> bool:
    """Whether a character is not drawn."""
    return unicodedata.category(character) in _INVISIBLE or "\ufe00" <= character <= "\ufe0f"


class Font:
    """The font of one PDF: a typeface with codes for the characters that are shown in it."""

    def __init__(self, typeface: Typeface) -> None:
        self.typeface = typeface
        self._codes = _Codes()

    def operand(self, text: str) -> str:
        """Return a text in visual order as the operand of TJ (ISO 32000-1, 9.4.3)."""
        code = self._codes.__getitem__
        pieces = ["<" + "".join(map(code, piece)) + ">" for piece in text.split(GAP)]
        return f" -{GAP_WIDTH} ".join(pieces)

    def addObjects(self, document: Any) -> None:  # noqa: N802 - reportlab calls it by this name
        """Add the font to a PDF of reportlab."""
        if len(self._codes) < 2:
            return
        face, characters = self.typeface.face, list(self._codes)
        drawn = [ord(" " if is_invisible(one) else one) for one in characters]
        with self.typeface.lock:
            descriptor = face.addSubsetObjects(document, self._base_name, drawn)
        widths = [round(self.typeface.widths[one]) for one in characters]
        glyphs = PDFStream()
        glyphs.content = b"\0\0" + b"".join(
            number.to_bytes(2, "big") for number in _glyphs(face.charToGlyph, drawn)
        )
        unicode = PDFStream()
        unicode.content = _to_unicode(characters)
        for stream in (glyphs, unicode):
            stream.filters = [PDFZCompress]
        descendant = PDFDictionary(
            {
                "Type": PDFName("Font"),
                "Subtype": PDFName("CIDFontType2"),
                "BaseFont": PDFName(self._base_name),
                "CIDSystemInfo": PDFDictionary(
                    {"Registry": "(Adobe)", "Ordering": "(Identity)", "Supplement": 0}
                ),
                "FontDescriptor": descriptor,
                "DW": round(face.defaultWidth),
                "W": PDFArray([1, PDFArray(widths)]),
                "CIDToGIDMap": document.Reference(glyphs, f"glyphs:{self.typeface.name}"),
            }
        )
        font = PDFDictionary(
            {
                "Type": PDFName("Font"),
                "Subtype": PDFName("Type0"),
                "BaseFont": PDFName(self._base_name),
                "Encoding": PDFName("Identity-H"),
                "DescendantFonts": PDFArray([document.Reference(descendant)]),
                "ToUnicode": document.Reference(unicode, f"unicode:{self.typeface.name}"),
            }
        )
        document.idToObject["BasicFonts"].dict[self.typeface.name] = document.Reference(font)

    @property
    def _base_name(self) -> str:
        prefix = "SYNQPR" if self.typeface.name == REGULAR else "SYNQPB"
        return f"{prefix}+{self.typeface.face.name.decode('ascii')}"


class _Codes(dict[str, str]):
    """The code of each character, as four hexadecimal digits, given when it is first shown."""

    def __missing__(self, character: str) -> str:
        number = len(self) + 1
        if number > _LAST:
            return "0000"
        self[character] = code = f"{number:04X}"
        return code


def _glyphs(glyph_of: dict[int, int], drawn: Sequence[int]) -> list[int]:
    """Return the numbers that the glyphs have in the subset: makeSubset() counts them so."""
    numbers = {0: 0}
    return [numbers.setdefault(glyph_of.get(code, 0), len(numbers)) for code in drawn]


def _to_unicode(characters: Sequence[str]) -> bytes:
    """Return the CMap from codes to text (ISO 32000-1, 9.10.3)."""
    lines = [
        "/CIDInit /ProcSet findresource begin",
        "12 dict begin",
        "begincmap",
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
        "/CMapName /Adobe-Identity-UCS def",
        "/CMapType 2 def",
        "1 begincodespacerange",
        "<0000> <FFFF>",
        "endcodespacerange",
    ]
    for start in range(0, len(characters), _PER_SECTION):
        section = characters[start : start + _PER_SECTION]
        lines.append(f"{len(section)} beginbfchar")
        for number, one in enumerate(section, start + 1):
            text = plain(one).encode("utf-16-be", "replace").hex().upper()
            lines.append(f"<{number:04X}> <{text}>")
        lines.append("endbfchar")
    lines += ["endcmap", "CMapName currentdict /CMap defineresource pop", "end", "end"]
    return "\n".join(lines).encode()
