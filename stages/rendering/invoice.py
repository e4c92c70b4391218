"""Invoice layout: draws the business terms of an invoice in the order in which people read one.

What has no place of its own is listed where it was found: in the line, in the party, or at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

from stages.formats.cii import CREDIT_NOTES
from stages.rendering.cells import NORMAL, SMALL, TITLE, Cells
from stages.rendering.epc import Payment, epc_text, modules
from stages.rendering.model import Group, Value
from stages.rendering.sheet import INNER, MARGIN, Paragraph, Sheet
from stages.rendering.words import Words

HALVES = (INNER / 2, INNER / 2)
#: The columns of the lines: number, description, quantity, price, VAT, amount.
LINE_WIDTHS = (32.0, INNER - 302, 76.0, 74.0, 46.0, 74.0)
#: The columns of the VAT breakdown: category, rate, base, tax.
VAT_WIDTHS = (INNER - 230, 60.0, 85.0, 85.0)
#: The columns of the totals, at the right.
TOTAL_WIDTHS = (INNER - 260, 160.0, 100.0)
QR_SIDE = 84.0

#: The terms of the head, and those of references, in their order.
FACTS = ("BT-3", "BT-2", "BT-9", "BT-5", "BT-6", "BT-7", "BT-8", "BT-72")
REFERENCES = (
    *("BT-10", "BT-13", "BT-14", "BT-12", "BT-11", "BT-16", "BT-15", "BT-17", "BT-18", "BT-18-1"),
    "BT-19",
)
TOTALS = tuple(f"BT-{number}" for number in (106, 107, 108, 109, 110, 111, 112, 113, 114, 115))
_BOLD_TOTALS = {"BT-112", "BT-115"}
#: UNTDID 1001: invoices that the customer has made.
SELF_BILLED = {"389", "261", "500", "501", "502", "527"}


def draw_invoice(sheet: Sheet, invoice: Group, words: Words) -> None:
    """Draw an invoice, which is empty afterwards. sheet.Full if there is too much of it."""
    currency = invoice.text("BT-5")
    _Layout(sheet, Cells(words, currency), currency).draw(invoice)


def title_of(invoice: Group, words: Words) -> str:
    """Return what an invoice is, with its number."""
    type_code = invoice.text("BT-3")
    what = words.label("credit-note" if type_code in CREDIT_NOTES else "invoice")
    return f"{what} {invoice.text('BT-1')}".strip()


class _Layout:
    def __init__(self, sheet: Sheet, cells: Cells, currency: str) -> None:
        self._sheet = sheet
        self._cells = cells
        self._words = cells.words
        self._currency = currency

    def draw(self, invoice: Group) -> None:
        """Draw all parts; what each takes out of the invoice does not stand in those after it."""
        payment = _payment_of(invoice, self._currency)
        for group in invoice.groups:
            if group.term == "BG-23":  # in CII the day of the tax stands with each rate
                known = invoice.values
                known += [one for one in group.take("BT-7", "BT-8") if one not in known]
        self._head(invoice)
        self._parties(invoice)
        self._facts(invoice)
        self._notes(invoice)
        self._lines(invoice)
        self._allowances(invoice)
        self._vat(invoice)
        self._totals(invoice)
        self._payment(invoice, payment)
        self._attachments(invoice)
        self._others(invoice)

    def _heading(self, key: str) -> None:
        self._sheet.keep(60)
        self._sheet.space(7)
        heading = Paragraph(self._words.label(key), bold=True, size=9.5)
        self._sheet.row((INNER,), ((heading,),), after=1)
        self._sheet.rule()

    def _full(self, paragraphs: Iterable[Paragraph]) -> None:
        for one in paragraphs:
            self._sheet.row((INNER,), ((one,),), after=1)

    def _head(self, invoice: Group) -> None:
        title = title_of(invoice, self._words)
        invoice.take_first("BT-1")
        self._full([Paragraph(title, bold=True, size=TITLE)])
        if invoice.text("BT-3") in SELF_BILLED:
            self._full([Paragraph(self._words.label("self-billed"), size=NORMAL)])
        self._full([Paragraph(self._words.label("rendered"), size=SMALL, grey=True)])
        self._sheet.space(8)

    def _parties(self, invoice: Group) -> None:
        sellers, buyers = invoice.take_groups("BG-4"), invoice.take_groups("BG-7")
        self._sheet.row(
            HALVES, [self._party_cell(sellers), self._party_cell(buyers)], gap=14, after=8
        )
        others = invoice.take_groups("BG-10", "BG-11", "BG-13")
        for at in range(0, len(others), 2):
            cells = [self._cells.party(one) for one in others[at : at + 2]]
            self._sheet.row(HALVES, [*cells, []][:2], gap=14, after=8)

    def _party_cell(self, parties: Iterable[Group]) -> list[Paragraph]:
        return [one for party in parties for one in self._cells.party(party)]

    def _facts(self, invoice: Group) -> None:
        facts = self._cells.values(_taken(invoice, FACTS))
        for period in invoice.take_groups("BG-14"):
            facts += self._cells.group(period)
        references = self._cells.values(_taken(invoice, REFERENCES))
        for preceding in invoice.take_groups("BG-3"):
            label = f"{self._words.label('BG-3')}:"
            said = self._cells.together(preceding.take("BT-25", "BT-26"))
            references.append(Paragraph(said or "-", label))
            references += self._cells.group(preceding)
        self._sheet.rule()
        self._sheet.row(HALVES, [facts, references], gap=14)

    def _notes(self, invoice: Group) -> None:
        notes = self._cells.texts(invoice.take("BT-22"))
        for group in invoice.take_groups("BG-1"):
            subject = self._cells.together(group.take("BT-21"))
            texts = self._cells.texts(group.take("BT-22"))
            first = texts[0].text if texts else "-"
            notes += [Paragraph(first, f"{subject}:" if subject else ""), *texts[1:]]
            notes += self._cells.group(group)
        if notes:
            self._heading("notes")
            self._full(notes)

    def _lines(self, invoice: Group) -> None:
        lines = invoice.take_groups("BG-25")
        if not lines:
            return
        self._heading("lines")
        amount = self._words.label("BT-131")
        amount = f"{amount} ({self._currency})" if self._currency else amount
        keys = ("BT-126", "description", "BT-129", "BT-146", "vat")
        self._sheet.header(LINE_WIDTHS, _heads([*map(self._words.label, keys), amount], right=2))
        for line in lines:
            self._sheet.row(LINE_WIDTHS, self._line(line), after=4)
        self._sheet.end_table()

    def _line(self, line: Group) -> list[list[Paragraph]]:
        cells = self._cells
        number = cells.together(line.take("BT-126"))
        name = [Paragraph(one.text, bold=True) for one in cells.texts(line.take("BT-153"))]
        quantity = [cells.together(line.take(term)) for term in ("BT-129", "BT-130")]
        price = [cells.together(line.take("BT-146"))]
        base = [cells.together(line.take(term)) for term in ("BT-149", "BT-150")]
        if any(base):
            price += [self._words.label("per"), *base]
        # What the category means stands in the breakdown.
        vat = [*(one.text for one in line.take("BT-151")), cells.together(line.take("BT-152"))]
        amount = cells.together(line.take("BT-131"))
        described = [*name, *cells.texts(line.take("BT-154")), *cells.group(line, SMALL)]
        return [
            [Paragraph(number)],
            described,
            *([_right(" ".join(filter(None, one)))] for one in (quantity, price, vat)),
            [_right(amount)],
        ]

    def _allowances(self, invoice: Group) -> None:
        groups = invoice.take_groups("BG-20", "BG-21")
        if not groups:
            return
        self._heading("allowances")
        widths = (INNER - 84, 84.0)
        for group in groups:
            amounts = self._cells.together(group.take("BT-92", "BT-99"))
            said = [self._cells.inline(group), *self._cells.group(group)]
            self._sheet.row(widths, [said, [_right(amounts)]])

    def _vat(self, invoice: Group) -> None:
        groups = invoice.take_groups("BG-23")
        if not groups:
            return
        self._heading("vat-breakdown")
        keys = ("BT-118", "BT-119", "BT-116", "BT-117")
        self._sheet.header(VAT_WIDTHS, _heads(list(map(self._words.label, keys)), right=1))
        for group in groups:
            taken = [self._cells.together(group.take(one)) for one in ("BT-118-0", *keys)]
            category = Paragraph(" ".join(filter(None, taken[:2])))
            rest = self._cells.group(group, SMALL)
            self._sheet.row(VAT_WIDTHS, [[category, *rest], *([_right(one)] for one in taken[2:])])
        self._sheet.end_table()

    def _totals(self, invoice: Group) -> None:
        taxes = invoice.take("BT-110")
        groups = invoice.take_groups("BG-22")
        for group in groups:
            taxes += group.take("BT-110")
        for group in groups or [Group("BG-22")]:
            group.values += map(self._tax_total, taxes)
            taxes = []
            if not group.values:
                continue
            self._heading("totals")
            for value in _taken(group, TOTALS):
                bold = value.term in _BOLD_TOTALS
                label = self._words.label_of(value)
                text = self._cells.shown(value)
                if bold and self._currency and not text.endswith(self._currency):
                    text = f"{text} {self._currency}"
                row = [[], [Paragraph(label, bold=bold)], [_right(text, bold=bold)]]
                self._sheet.row(TOTAL_WIDTHS, row, after=1)
            self._full(self._cells.group(group))

    def _tax_total(self, value: Value) -> Value:
        """Return a total of the tax as BT-111 if it is not in the currency of the document."""
        stated = value.qualifier("currencyID")
        is_other = bool(stated) and bool(self._currency) and stated != self._currency
        return Value("BT-111" if is_other else "BT-110", value.text, value.name, value.qualifiers)

    def _payment(self, invoice: Group, payment: Payment | None) -> None:
        paid: list[Paragraph] = []
        for group in invoice.take_groups("BG-16"):
            paid += self._cells.group(group)
        paid += self._cells.values(invoice.take("BT-83", "BT-89", "BT-90"))
        paid += self._cells.values(invoice.take("BT-20"))
        text = epc_text(payment) if payment is not None else ""
        if not paid and not text:
            return
        self._heading("payment")
        if not text:
            self._full(paid)
            return
        sheet = self._sheet
        sheet.keep(QR_SIDE + 30)
        sheet.squares(modules(text), QR_SIDE, MARGIN + INNER - QR_SIDE - 8)
        below = sheet.position - QR_SIDE - 12
        page = sheet.page
        head, tail = paid[:14], paid[14:]
        sheet.row((INNER - QR_SIDE - 24,), (head,))
        if sheet.page == page:
            sheet.down_to(below + 10)
        scan = Paragraph(self._words.label("scan"), size=SMALL, grey=True, align="right")
        sheet.row((INNER - 2,), ((scan,),))
        self._full(tail)

    def _attachments(self, invoice: Group) -> None:
        groups = invoice.take_groups("BG-24")
        if not groups:
            return
        self._heading("attachments")
        for group in groups:
            said = self._cells.together(group.take("BT-122", "BT-123"))
            files = self._cells.values(group.take("BT-125", "BT-124"), SMALL)
            rest = self._cells.group(group, SMALL)
            self._sheet.row((INNER,), ((Paragraph(said or "-"), *files, *rest),))

    def _others(self, invoice: Group) -> None:
        process = self._cells.values(invoice.take("BT-24", "BT-23"), SMALL)
        rest = self._cells.group(invoice, SMALL)
        for key, paragraphs in (("other", rest), ("process", process)):
            if paragraphs:
                self._heading(key)
                self._full(paragraphs)


def _taken(group: Group, terms: Iterable[str]) -> list[Value]:
    """Take the values of terms out of a group, in the order of the terms."""
    return [value for term in terms for value in group.take(term)]


def _heads(texts: list[str], *, right: int) -> list[list[Paragraph]]:
    """Return the heads of columns; from the number `right` on they are at the right."""
    return [
        [Paragraph(text, bold=True, size=7.2, align="right" if at >= right else "left")]
        for at, text in enumerate(texts)
    ]


def _right(text: str, *, bold: bool = False) -> Paragraph:
    return Paragraph(text, bold=bold, align="right")


def _payment_of(invoice: Group, currency: str) -> Payment | None:
    """Return what a QR code would say, None of a credit note or where no account is stated."""
    if invoice.text("BT-3") in CREDIT_NOTES:
        return None
    groups = list(invoice.walk())
    found = {
        term: next((text for one in groups if (text := one.text(term))), "")
        for term in ("BT-59", "BT-27", "BT-85", "BT-83", "BT-115")
    }
    means = [one for one in groups if one.term == "BG-16"]
    for one in means:
        for account in one.groups:
            if account.term == "BG-17" and (number := account.text("BT-84")):
                return Payment(
                    means=one.text("BT-81"),
                    currency=currency,
                    amount=found["BT-115"],
                    name=account.text("BT-85") or found["BT-59"] or found["BT-27"],
                    account=number,
                    bic=account.text("BT-86") or one.text("BT-86"),
                    reference=one.text("BT-83") or found["BT-83"],
                )
    return None
