"""Invoices and credit notes of the sandbox, drawn at random; amounts in cents, whole quantities."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from random import Random

from msgspec import Struct

from stages.sandbox.companies import Company, check_digits

#: Name, unit (UN/ECE recommendation 20), lowest and highest price in cents, VAT rate in percent.
GOODS = (
    ("Onderhoud verwarmingsketel", "HUR", 4_500, 9_500, 21),
    ("Papier A4 80 g & enveloppes", "C62", 399, 4_999, 21),
    ("Transport Liège/Gent", "C62", 12_000, 48_000, 21),
    ('Scharnier 3/8" inox <A2>', "C62", 120, 1_950, 21),
    ("Farine de blé 25 kg", "KGM", 80, 240, 6),
    ("Café d'Éthiopie", "KGM", 1_100, 2_600, 6),
    ("Vakliteratuur boekhouding", "C62", 1_900, 8_900, 6),
    ("Repas d'affaires", "C62", 2_200, 6_500, 12),
)
FIRST_DAY = date(2026, 1, 1)
DAYS = 300
TERM = timedelta(days=30)
NUMBERS = ("{year}-{serial:06}", "F{year}/{serial:06}", "INV{serial:07}")


class Line(Struct, frozen=True):
    """One line: price and amount in cents, VAT rate in percent."""

    name: str
    unit: str
    quantity: int
    price: int
    rate: int

    @property
    def amount(self) -> int:
        """Without VAT."""
        return self.quantity * self.price


class Invoice(Struct, frozen=True):
    """An invoice or a credit note.

    self_billed: whether the customer issued it in the supplier's name. remittance: the twelve
    digits of its structured communication. order: the customer's reference. embeds_pdf: whether
    its UBL contains its PDF.
    """

    number: str
    issued: date
    due: date
    credit: bool
    self_billed: bool
    embeds_pdf: bool
    supplier: Company
    customer: Company
    order: str
    remittance: str
    lines: tuple[Line, ...]

    @property
    def net(self) -> int:
        """The sum of the lines, in cents."""
        return sum(line.amount for line in self.lines)

    @property
    def vat_bases(self) -> dict[int, int]:
        """The sum of the lines of each VAT rate, in cents."""
        bases: dict[int, int] = defaultdict(int)
        for line in self.lines:
            bases[line.rate] += line.amount
        return bases

    @property
    def vat(self) -> int:
        """The VAT of all rates, in cents."""
        return sum(vat_of(base, rate) for rate, base in self.vat_bases.items())

    @property
    def total(self) -> int:
        """With VAT, in cents."""
        return self.net + self.vat


def vat_of(base: int, rate: int) -> int:
    """The VAT on a base in cents, rounded half up to the cent (EN 16931, BR-CO-17)."""
    return (base * rate + 50) // 100


def money(cents: int) -> str:
    """The amount as documents write it: 1234.50."""
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02}"


def draw_invoice(rng: Random, serial: int, supplier: Company, customer: Company) -> Invoice:
    """Draw an invoice between two companies; no two serials have the same number."""
    issued = FIRST_DAY + timedelta(days=rng.randrange(DAYS))
    return Invoice(
        number=rng.choice(NUMBERS).format(year=issued.year, serial=serial),
        issued=issued,
        due=issued + TERM,
        credit=rng.random() < 1 / 10,
        self_billed=rng.random() < 1 / 12,
        embeds_pdf=rng.random() < 1 / 6,
        supplier=supplier,
        customer=customer,
        order=f"PO-{rng.randrange(10**5):05}",
        remittance=draw_remittance(rng),
        lines=tuple(_draw_line(rng) for _ in range(rng.randrange(1, 6))),
    )


def draw_remittance(rng: Random) -> str:
    """Twelve digits; the last two are check digits (Febelfin, structured communication)."""
    digits = f"{rng.randrange(10**10):010}"
    return digits + check_digits(digits)


def _draw_line(rng: Random) -> Line:
    name, unit, lowest, highest, rate = rng.choice(GOODS)
    return Line(name, unit, rng.randrange(1, 25), rng.randrange(lowest, highest), rate)
