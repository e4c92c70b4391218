"""Bank statements of the sandbox: draws them at random and writes CODA 2 (Febelfin, CODA 2.6)."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from msgspec import Struct

from stages.sandbox.companies import Company, invent_account, to_ascii
from stages.sandbox.invoices import draw_remittance

LAST_YEAR = 2026
#: An account has one statement a day in each of so many years; then the next account begins.
YEARS = 26
DAYS = 365

#: Transaction codes: simple amount, family, operation, category (Febelfin, CODA 2.6, annex 2).
TRANSFER_RECEIVED = "00150000"
TRANSFER_SENT = "00101000"
CARD_COSTS = "00437000"


class Movement(Struct, frozen=True):
    """One movement: cents, negative for a debit; card costs have no counterparty."""

    amount: int
    code: str
    reference: str
    remittance: str = ""
    counterparty: Company | None = None


class Statement(Struct, frozen=True):
    """The movements of one day on one account; balances in cents.

    sequence: counts the statements of an account within a year.
    """

    holder: Company
    iban: str
    bic: str
    day: date
    sequence: int
    old_balance: int
    movements: tuple[Movement, ...]

    @property
    def number(self) -> str:
        """The year and the sequence number within it."""
        return f"{self.day.year}-{self.sequence:03}"

    @property
    def new_balance(self) -> int:
        """The old balance and the movements."""
        return self.old_balance + sum(movement.amount for movement in self.movements)


def draw_statement(
    rng: Random, serial: int, holder: Company, counterparties: tuple[Company, ...]
) -> Statement:
    """Draw a statement of a company; no two serials have the same account and day."""
    year, day = divmod(serial, DAYS)
    account, year = divmod(year, YEARS)
    iban, bic = holder.iban, holder.bic
    if account:
        iban, bic = invent_account(Random(f"{holder.identifier}/account/{account}"))
    return Statement(
        holder=holder,
        iban=iban,
        bic=bic,
        day=date(LAST_YEAR - year, 1, 1) + timedelta(days=day),
        sequence=day + 1,
        old_balance=rng.randrange(-500_000, 5_000_000),
        movements=tuple(_draw_movement(rng, counterparties) for _ in range(rng.randrange(1, 8))),
    )


def _draw_movement(rng: Random, counterparties: tuple[Company, ...]) -> Movement:
    reference = f"SBX{rng.randrange(10**12):012}"
    if rng.random() < 1 / 6:
        return Movement(-rng.randrange(100, 2_500), CARD_COSTS, reference)
    amount = rng.randrange(1_000, 900_000)
    sent = rng.random() < 1 / 2
    return Movement(
        amount=-amount if sent else amount,
        code=TRANSFER_SENT if sent else TRANSFER_RECEIVED,
        reference=reference,
        remittance=draw_remittance(rng),
        counterparty=rng.choice(counterparties),
    )


def to_coda(statement: Statement) -> bytes:
    """Write a statement as CODA: ASCII, records of 128 characters that end in CR LF."""
    body = [_old_balance(statement)]
    for sequence, movement in enumerate(statement.movements, 1):
        body += _movement(statement, sequence, movement)
    body.append(_new_balance(statement))
    records = [_header(statement), *body, _trailer(statement, len(body))]
    return "".join(f"{record}\r\n" for record in records).encode("ascii")


def _header(statement: Statement) -> str:
    holder = statement.holder
    return (
        f"00000{statement.day:%d%m%y}{statement.iban[4:7]}05{'':8}{statement.number:10}"
        f"{to_ascii(holder.name):26.26}{statement.bic:11}0{holder.number} 00000{'':39}2"
    )


def _old_balance(statement: Statement) -> str:
    return (
        f"12{statement.sequence:03}{_account(statement)}{_amount(statement.old_balance)}"
        f"{statement.day - timedelta(days=1):%d%m%y}{to_ascii(statement.holder.name):26.26}"
        f"{'Zichtrekening':35}{statement.sequence:03}"
    )


def _movement(statement: Statement, sequence: int, movement: Movement) -> list[str]:
    number = f"{sequence:04}"
    other = movement.counterparty
    # Type 101: a structured communication of twelve digits; otherwise free text.
    words = f"1101{movement.remittance}" if movement.remittance else "0Kosten bankkaart"
    main = (
        f"21{number}0000{movement.reference:21}{_amount(movement.amount)}{statement.day:%d%m%y}"
        f"{movement.code}{words:54}{statement.day:%d%m%y}{statement.sequence:03}0"
    )
    if other is None:
        return [f"{main}0 0"]
    name = to_ascii(other.name)
    return [
        f"{main}1 0",
        f"22{number}0000{'':53}{'':35}{other.bic:11}{'':16}1 0",
        f"23{number}0000{other.iban:34}EUR{name:35.35}{'':43}0 1",
        # Type 001: identifies the counterparty.
        f"31{number}0001{movement.reference:21}{movement.code}1001{name:70.70}{'':12}0 0",
    ]


def _new_balance(statement: Statement) -> str:
    return (
        f"8{statement.sequence:03}{_account(statement)}{_amount(statement.new_balance)}"
        f"{statement.day:%d%m%y}{'':64}0"
    )


def _trailer(statement: Statement, records: int) -> str:
    amounts = [movement.amount for movement in statement.movements]
    debit = -sum(amount for amount in amounts if amount < 0)
    credit = sum(amount for amount in amounts if amount > 0)
    return f"9{'':15}{records:06}{debit * 10:015}{credit * 10:015}{'':75}2"


def _account(statement: Statement) -> str:
    """Account structure 2: a Belgian IBAN, then the currency."""
    return f"{statement.iban:34}EUR"


def _amount(cents: int) -> str:
    """The sign (1 for a debit), then twelve digits and three decimals."""
    return f"{int(cents < 0)}{abs(cents) * 10:015}"
