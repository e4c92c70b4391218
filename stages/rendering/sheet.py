"""Sheet: draws rows of cells on A4 pages, breaks lines and pages, and writes the PDF.

A row is cells side by side, a cell is paragraphs one below the other. A paragraph that fits on a
page is never broken between two, so that its text stays in one piece. The bytes depend on what is
drawn and on nothing else: no clock, no random number.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from reportlab.pdfgen.canvas import Canvas

from stages.rendering.bidi import is_right_to_left, runs
from stages.rendering.typeface import BOLD, REGULAR, Font, typeface

#: A4 in points, and its margins.
WIDTH, HEIGHT = 595.0, 842.0
MARGIN, FOOT = 42.0, 46.0
#: What can be drawn on: its width, and the y of its top.
INNER, TOP = WIDTH - 2 * MARGIN, HEIGHT - MARGIN
#: Characters and pages of one PDF; some ten thousand lines of an invoice need no more.
MAX_CHARACTERS = 2_000_000
MAX_PAGES = 500
#: The smallest size to which a word is drawn that is too long for its cell.
SMALLEST = 4.0
_LEADING = 1.32
_GREY = "0.4 g"
_BLACK = "0 g"
_SHADE = "0.93 g"


class Full(Exception):
    """More has been drawn than a PDF may have."""


class Paragraph(Struct, frozen=True):
    """A text with a label in front of it, in grey.

    size: in points. align: "left" or "right". after: points of space below it.
    """

    text: str
    label: str = ""
    bold: bool = False
    size: float = 8.0
    grey: bool = False
    align: str = "left"
    after: float = 0.0


Cell = Sequence[Paragraph]


class _Span(Struct, frozen=True):
    """A part of a line in one style, in logical order."""

    text: str
    font: str
    is_grey: bool


class _Line(Struct, frozen=True):
    spans: tuple[_Span, ...]
    size: float
    width: float


class _Block(Struct):
    """A paragraph that has been broken into lines for a cell."""

    lines: list[_Line]
    leading: float
    after: float
    align: str

    @property
    def height(self) -> float:
        return len(self.lines) * self.leading + self.after


class Sheet:
    """A PDF that is being drawn, from the top of its first page downwards."""

    def __init__(self) -> None:
        self._fonts = {name: Font(typeface(name)) for name in (REGULAR, BOLD)}
        self._pages: list[list[str]] = [[]]
        self._y = TOP
        self._characters = 0
        self._header: tuple[Sequence[float], Sequence[Cell]] | None = None

    @property
    def _ops(self) -> list[str]:
        return self._pages[-1]

    def row(
        self,
        widths: Sequence[float],
        cells: Sequence[Cell],
        *,
        gap: float = 6.0,
        after: float = 2.0,
    ) -> None:
        """Draw cells side by side. widths: of each cell with the gap behind it. Full if too much.

        What does not fit on the page goes on the next one, by whole paragraphs if that is possible.
        """
        queues = [
            [self._block(one, width - gap) for one in cell]
            for cell, width in zip(cells, widths, strict=True)
        ]
        height = max((sum(block.height for block in queue) for queue in queues), default=0)
        if self._y - height < FOOT and height <= (TOP - FOOT) / 2:
            self.new_page()
        while True:
            lowest = self._y
            is_fresh = self._is_fresh
            x = MARGIN
            for queue, width in zip(queues, widths, strict=True):
                lowest = min(lowest, self._draw_blocks(queue, x, width - gap, forced=is_fresh))
                x += width
            self._y = lowest
            if not any(queues):
                break
            self.new_page()
        self._y -= after

    def header(self, widths: Sequence[float], cells: Sequence[Cell]) -> None:
        """Draw the header of a table, and again on each page until the table ends."""
        self._header = None
        self.keep(60)
        self._draw_header(widths, cells)
        self._header = (widths, cells)

    def end_table(self) -> None:
        """No header any more on the pages that follow."""
        self._header = None

    def keep(self, height: float) -> None:
        """Go to a new page unless there is as much room on this one."""
        if self._y - height < FOOT:
            self.new_page()

    def space(self, height: float) -> None:
        """Leave room."""
        self._y -= height

    def rule(self) -> None:
        """Draw a thin line across."""
        self._ops.append(
            f"0.4 w 0.75 G {MARGIN} {self._y:.1f} m {WIDTH - MARGIN} {self._y:.1f} l S"
        )
        self._y -= 3

    @property
    def position(self) -> float:
        """The y of the next row, in points from the bottom of the page."""
        return self._y

    @property
    def page(self) -> int:
        """The number of the page."""
        return len(self._pages)

    def down_to(self, y: float) -> None:
        """Let the next row begin at this y or below it."""
        self._y = min(self._y, y)

    def cut(self, notice: Paragraph) -> None:
        """Say on a page of its own that there would be more."""
        self._header = None
        self._characters = 0
        self._pages.append([])
        self._y = TOP
        self.row((INNER,), ((notice,),))

    def squares(self, modules: Sequence[Sequence[bool]], side: float, x: float) -> None:
        """Draw a square of dark and light modules, its top at the place where the row would be."""
        step = side / len(modules)
        ops = [_BLACK]
        for number, line in enumerate(modules):
            y = self._y - (number + 1) * step
            start = None
            for at, dark in enumerate([*line, False]):
                if dark and start is None:
                    start = at
                elif not dark and start is not None:
                    ops.append(
                        f"{x + start * step:.2f} {y:.2f} {(at - start) * step:.2f} {step:.2f} re"
                    )
                    start = None
        self._ops.append(" ".join([*ops, "f"]))

    def new_page(self) -> None:
        """Go on at the top of a new page. Full if there are as many as a PDF may have."""
        if len(self._pages) >= MAX_PAGES:
            raise Full
        self._pages.append([])
        self._y = TOP
        if self._header is not None:
            self._draw_header(*self._header)

    def to_pdf(self, title: str, footer: str, page: str) -> bytes:
        """Return the PDF. footer: on each page, with `page`, its number, and how many there are."""
        file = io.BytesIO()
        canvas = _Canvas(file, pagesize=(WIDTH, HEIGHT), invariant=1, pageCompression=1)
        canvas.setTitle(title)
        canvas.setCreator("Synqup")
        count = len(self._pages)
        for number, ops in enumerate(self._pages, 1):
            said = Paragraph(f"{footer} · {page} {number}/{count}", size=6.0, grey=True)
            block = self._block(said, INNER)
            ops = [*ops, *self._text_of(block.lines, MARGIN, FOOT - 14, block, INNER)]  # noqa: PLW2901
            canvas.addLiteral("\n".join(ops))
            canvas.showPage()
        document: Any = canvas._doc  # noqa: SLF001 - there is no other way to its fonts
        document.delayedFonts.extend(self._fonts.values())
        canvas.save()
        return file.getvalue()

    @property
    def _is_fresh(self) -> bool:
        """Whether nothing stands on the page but the header of a table."""
        return self._y >= TOP - (0 if self._header is None else 40)

    def _draw_header(self, widths: Sequence[float], cells: Sequence[Cell]) -> None:
        height = max(
            sum(self._block(one, width - 6).height for one in cell)
            for cell, width in zip(cells, widths, strict=True)
        )
        self._ops.append(
            f"{_SHADE} {MARGIN - 2} {self._y - height - 3:.1f} {INNER + 4} {height + 5:.1f} re f"
        )
        self.row(widths, cells, after=5)

    def _draw_blocks(self, queue: list[_Block], x: float, width: float, *, forced: bool) -> float:
        """Draw paragraphs of a cell as far as they fit; the others stay. Return the y below them.

        forced: whether the page is fresh, so that one which does not fit has to be broken.
        """
        y = self._y
        while queue:
            block = queue[0]
            if y - block.height + block.after < FOOT:
                room = int((y - FOOT) / block.leading)
                is_long = block.height > TOP - FOOT - 60
                if room < 1 or not (is_long or (forced and y == self._y)):
                    break
                part = block.lines[:room]
                block.lines = block.lines[room:]
                self._ops.extend(self._text_of(part, x, y, block, width))
                y -= len(part) * block.leading
                break
            self._ops.extend(self._text_of(block.lines, x, y, block, width))
            y -= block.height
            queue.pop(0)
        return y

    def _text_of(
        self, lines: Sequence[_Line], x: float, y: float, block: _Block, width: float
    ) -> list[str]:
        """Return the operators that draw lines, the first one below y (ISO 32000-1, 9.4)."""
        ops = []
        for line in lines:
            y -= block.leading
            at = x + width - line.width if block.align == "right" else x
            baseline = y + block.leading * 0.24
            parts = ["BT"]
            for span in line.spans:
                font, face = self._fonts[span.font], typeface(span.font)
                colour = _GREY if span.is_grey else _BLACK
                parts.append(f"/{span.font} {line.size:g} Tf {colour}")
                for run in runs(span.text):
                    start = at + face.width(run.before, line.size)
                    parts.append(f"1 0 0 1 {start:.2f} {baseline:.2f} Tm")
                    parts.append(f"[{font.operand(run.text)}] TJ")
                at += face.width(span.text, line.size)
            ops.append(" ".join([*parts, "ET"]))
        return ops

    def _block(self, paragraph: Paragraph, width: float) -> _Block:
        """Break a paragraph into lines. Full if that is more than a PDF may have."""
        costs = 4 if is_right_to_left(paragraph.text) else 1
        self._characters += costs * len(paragraph.text)
        if self._characters > MAX_CHARACTERS:
            raise Full
        font = BOLD if paragraph.bold else REGULAR
        words = [(word, REGULAR, True) for word in paragraph.label.split()]
        words += [(word, font, paragraph.grey) for word in paragraph.text.split()]
        size = paragraph.size
        widest = max((typeface(name).width(word, size) for word, name, _ in words), default=0)
        if widest > width:
            size = max(SMALLEST, size * width / widest * 0.999)
        return _Block(_lines(words, width, size), size * _LEADING, paragraph.after, paragraph.align)


def _lines(words: Sequence[tuple[str, str, bool]], width: float, size: float) -> list[_Line]:
    """Break words into lines: at blanks, and inside a word only if it is longer than a line."""
    lines: list[_Line] = []
    line: list[tuple[str, str, bool]] = []
    used = 0.0
    blank = typeface(REGULAR).width(" ", size)
    for whole, font, is_grey in words:
        for word in _pieces(whole, font, width, size):
            needed = typeface(font).width(word, size)
            if line and used + blank + needed > width:
                lines.append(_line(line, size, used))
                line, used = [], 0.0
            used += needed + (blank if line else 0)
            line.append((word, font, is_grey))
    if line:
        lines.append(_line(line, size, used))
    return lines


def _pieces(word: str, font: str, width: float, size: float) -> list[str]:
    """Cut a word that is longer than a line."""
    if size > SMALLEST or typeface(font).width(word, size) <= width:
        return [word]
    pieces, start, used = [], 0, 0.0
    widths = typeface(font).widths
    for at, one in enumerate(word):
        needed = widths[one] * size / 1000
        if used + needed > width and at > start:
            pieces.append(word[start:at])
            start, used = at, 0.0
        used += needed
    return [*pieces, word[start:]]


def _line(words: Sequence[tuple[str, str, bool]], size: float, width: float) -> _Line:
    spans: list[_Span] = []
    for word, font, is_grey in words:
        last = spans[-1] if spans else None
        if last is not None and (last.font, last.is_grey) == (font, is_grey):
            spans[-1] = _Span(f"{last.text} {word}", font, is_grey)
        else:
            if last is not None:
                spans[-1] = _Span(last.text + " ", last.font, last.is_grey)
            spans.append(_Span(word, font, is_grey))
    return _Line(tuple(spans), size, width)


class _Canvas(Canvas):  # type: ignore[misc] # reportlab has no types
    """A canvas without Helvetica, which is in no PDF here."""

    def _make_preamble(self) -> None:
        self._preamble = "1 0 0 1 0 0 cm"
