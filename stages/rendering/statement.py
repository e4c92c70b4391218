"""Statement layout: draws a CODA file as account statements that people read."""

from __future__ import annotations

from collections.abc import Iterable

from stages.formats.coda_movements import Balance, Entry, Header, Message, Movement, Trailer
from stages.rendering.cells import NORMAL, SMALL, TITLE
from stages.rendering.sheet import INNER, Cell, Paragraph, Sheet
from stages.rendering.words import Words

#: The columns of the movements: number, date, value date, description, amount.
WIDTHS = (54.0, 62.0, 62.0, INNER - 258, 80.0)
_HALVES = (INNER / 2, INNER / 2)


def draw_statements(sheet: Sheet, entries: Iterable[Entry], words: Words) -> None:
    """Draw the statements of a file. sheet.Full if there is too much of them."""
    _Layout(sheet, words).draw(entries)


class _Layout:
    def __init__(self, sheet: Sheet, words: Words) -> None:
        self._sheet = sheet
        self._words = words
        self._header: Header | None = None
        self._is_first = True

    def draw(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            match entry:
                case Header():
                    self._header = entry
                case Balance(is_closing=False):
                    self._opening(entry)
                case Balance():
                    self._balance(entry)
                case Movement():
                    self._movement(entry)
                case Message():
                    text = Paragraph(entry.text or "-", f"{self._words.label('message')}:")
                    self._sheet.row((INNER,), ((text,),))
                case Trailer():
                    self._trailer(entry)

    def _opening(self, balance: Balance) -> None:
        sheet, label = self._sheet, self._words.label
        sheet.end_table()
        if not self._is_first:
            sheet.new_page()
        self._is_first = False
        title = f"{label('statement')} {balance.number}"
        sheet.row((INNER,), ((Paragraph(title, bold=True, size=TITLE),),))
        said = Paragraph(label("rendered-statement"), size=SMALL, grey=True)
        sheet.row((INNER,), ((said,),), after=8)
        header = self._header
        left = [
            ("account", balance.account),
            ("currency", balance.currency),
            ("holder", balance.holder),
            ("description", balance.description),
        ]
        right = []
        if header is not None:
            right = [
                ("date", header.day),
                ("bank", f"{header.bic} {header.bank}".strip()),
                ("file", header.reference),
                ("holder", f"{header.addressee} {header.identifier}".strip()),
            ]
        sheet.row(_HALVES, [self._said(left), self._said(right)], gap=14, after=6)
        self._balance(balance)
        sheet.space(4)
        keys = ("number", "date", "value-date", "description", "amount")
        heads = [
            [
                Paragraph(
                    label(key), bold=True, size=7.2, align="right" if key == "amount" else "left"
                )
            ]
            for key in keys
        ]
        sheet.header(WIDTHS, heads)

    def _balance(self, balance: Balance) -> None:
        key = "closing" if balance.is_closing else "opening"
        text = f"{self._amount(balance.amount)} {balance.currency}".strip()
        cells = [
            [Paragraph(f"{self._words.label(key)} {balance.day}".strip(), bold=True, size=9)],
            [Paragraph(text, bold=True, size=9, align="right")],
        ]
        self._sheet.keep(24)
        self._sheet.row((INNER - 150, 150.0), cells)
        self._sheet.rule()

    def _movement(self, movement: Movement) -> None:
        is_detail = movement.detail.strip("0 ") != ""
        size = SMALL if is_detail else NORMAL
        number = f"{movement.number}.{movement.detail}" if is_detail else movement.number
        amount = Paragraph(self._amount(movement.amount), size=size, align="right")
        said: list[Paragraph] = []
        if movement.counterparty:
            said.append(Paragraph(movement.counterparty, bold=True, size=size))
        said += self._said(
            [
                ("counterparty", f"{movement.counterparty_account} {movement.bic}".strip()),
                ("communication", movement.communication),
                *(("information", one) for one in movement.information),
                ("client-reference", movement.client_reference),
                ("bank-reference", movement.reference),
                ("transaction", f"{movement.transaction} {movement.codes}".strip()),
            ],
            SMALL,
        )
        days = [[Paragraph(day, size=size)] for day in (movement.entry_day, movement.value_day)]
        cells: list[Cell] = [[Paragraph(number, size=size)], *days, said, [amount]]
        self._sheet.row(WIDTHS, cells, after=4)

    def _trailer(self, trailer: Trailer) -> None:
        self._sheet.end_table()
        for key, sum_ in (("debits", trailer.debits), ("credits", trailer.credits)):
            cells = [
                [Paragraph(self._words.label(key))],
                [Paragraph(self._amount(sum_), align="right")],
            ]
            self._sheet.row((INNER - 150, 150.0), cells)

    def _said(self, pairs: Iterable[tuple[str, str]], size: float = NORMAL) -> list[Paragraph]:
        label = self._words.label
        return [Paragraph(text, f"{label(key)}:", size=size) for key, text in pairs if text]

    def _amount(self, thousandths: int | None) -> str:
        """Return an amount with two decimals, and a third one only if it is none of zero."""
        if thousandths is None:
            return "?"
        whole, rest = divmod(abs(thousandths), 1000)
        decimals = f"{rest:03d}".removesuffix("0")
        sign = "-" if thousandths < 0 else ""
        return self._words.amount(f"{sign}{whole}.{decimals}")
