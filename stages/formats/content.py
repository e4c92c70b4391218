"""Content model: what a document says of itself, whatever its format, and why it can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized

from lxml import etree
from msgspec import Struct

from pipeline.text import sanitized
from stages.formats.party import Identifier, Party
from stages.kind import Kind

#: Characters of the reason why a document can't be read.
MAX_REASON = 500
#: Documents that one answer answers.
MAX_VERDICTS = 1000
#: Statements in one file: some banks send a year of many accounts at once, and none sends more.
MAX_STATEMENTS = 10_000

#: The page of a statement that is only a part of it and does not say which.
UNKNOWN_PAGE = "?"

#: The exceptions that a malformed document may cause in its reader, in spite of all limits.
BROKEN = (RecursionError, MemoryError, ArithmeticError, ValueError, etree.LxmlError)

#: The kinds that are invoices.
INVOICE_KINDS = (Kind.PURCHASE, Kind.SALES)


class Unreadable(Exception):
    """A document is not what its first bytes promise. The message is part of a sentence."""

    def __init__(self, what: str) -> None:
        """Make the message fit to be shown, for it may quote the document."""
        super().__init__(sanitized(what, MAX_REASON))


class Hostile(Unreadable):
    """A document would cost more to read than any real one does: it is not read any further."""


def check_count(statements: Sized) -> None:
    """Raise Hostile if these are more statements than one file has."""
    if len(statements) > MAX_STATEMENTS:
        raise Hostile(f"it holds more than {MAX_STATEMENTS:,} statements")


class Details(Struct, frozen=True):
    """What a reader of an invoice acts on beside its number, day and total; "" or () if not stated.

    Spelt so that two forms of one invoice (UBL, CII) have equal details: amounts are without their
    sign, which not all write in credit notes, and the sign of the total tells anyway.

    vocabulary: "ubl" or "cii". due_date: ISO 8601, as it stands if it is no date. payees: the
    accounts to be paid, sorted. payee_name: of a payee other than the supplier. reference: of the
    payment. net, gross: without and with taxes. taxes: the tax breakdown, sorted. lines: a digest
    of all lines, in their order. categories: each group of taxes with its category of UNTDID 5305
    (AE is reverse charge), sorted; () unless all of them have one. terms: how it is paid, by codes
    and in words, which can be compared within one vocabulary only. more: what else is said, without
    blanks, for which that holds too: references, periods, delivery, notes, descriptions of lines.
    line_words: a digest, for which that holds too, of the notes, periods, order lines and articles
    of lines.
    """

    vocabulary: str
    due_date: str = ""
    payees: tuple[str, ...] = ()
    payee_name: str = ""
    reference: str = ""
    net: str = ""
    gross: str = ""
    taxes: tuple[str, ...] = ()
    lines: str = ""
    categories: tuple[str, ...] = ()
    terms: str = ""
    more: str = ""
    line_words: str = ""


def with_categories(taxes: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the groups of a tax breakdown with their categories, sorted.

    () unless all have one of EN 16931, which are letters: older documents have codes of their own.
    """
    if not all(category.isalpha() for _, category in taxes):
        return ()
    return tuple(sorted([f"{tax} {category.upper()}" for tax, category in taxes]))


class Invoice(Struct, frozen=True):
    """An invoice or a credit note.

    format: for example "ubl-invoice". issue_date: ISO 8601. type_code: UNTDID 1001. total: the
    amount payable, spelt as in the document. supplier_element, customer_element: the elements in
    which the parties stand, for reasons. details: None where the document could be read in part
    only.
    """

    format: str
    number: str
    issue_date: str
    type_code: str
    currency: str
    total: str
    supplier: Party
    customer: Party
    supplier_element: str
    customer_element: str
    extension: str
    details: Details | None = None


class AccountStatement(Struct, frozen=True):
    """One statement of one account.

    accounts: its number, as IBAN if there is one, else as it is written with its bank, and other
    numbers that the statement has for it.
    holders: the identifiers of the account's holder. issue_date: of the closing balance, ISO 8601.
    page: which part of the numbered statement it is, as it is spelt: a page, several with commas
    between them, or the second number of CODA; "" if not stated, UNKNOWN_PAGE where it would be.
    opening, closing: the balances as stages/formats/balances.py spells them; "" if not stated.
    """

    accounts: tuple[str, ...]
    holders: tuple[Identifier, ...] = ()
    holder_name: str = ""
    number: str = ""
    issue_date: str = ""
    opening: str = ""
    closing: str = ""
    page: str = ""


class Statement(Struct, frozen=True):
    """A file with one or more statements of account, which may be of several holders."""

    format: str
    parts: tuple[AccountStatement, ...]
    extension: str

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts of all parts, each once."""
        return tuple(dict.fromkeys(account for part in self.parts for account in part.accounts))

    @property
    def holders(self) -> tuple[Identifier, ...]:
        """The identifiers of all holders, each once."""
        return tuple(dict.fromkeys(holder for part in self.parts for holder in part.holders))

    @property
    def holder_name(self) -> str:
        """The first name of a holder."""
        return next((part.holder_name for part in self.parts if part.holder_name), "")

    @property
    def number(self) -> str:
        """The number of the last statement that has one."""
        return next((part.number for part in reversed(self.parts) if part.number), "")

    @property
    def issue_date(self) -> str:
        """The day of the last statement that has one, ISO 8601."""
        return next((part.issue_date for part in reversed(self.parts) if part.issue_date), "")


class Bundle(Struct, frozen=True):
    """One file that holds several documents: a PDF with several invoices, an envelope.

    description: a noun phrase for reasons. parts: invoices and statements, at least two.
    """

    format: str
    description: str
    parts: tuple[Invoice | Statement, ...]
    extension: str


class Verdict(Struct, frozen=True):
    """What an answer says of one document.

    answered: the number of that document; answered_date: its day, ISO 8601, "" if not stated.
    says: for people: "accepted", "rejected". accepted: None if it is neither. reason: why, "" if
    not stated.
    """

    answered: str
    answered_date: str
    says: str
    accepted: bool | None
    reason: str


class Answer(Struct, frozen=True):
    """An answer to an invoice: a UBL ApplicationResponse (Peppol Invoice Response, or MLS).

    sender: the customer, or who answers for it. receiver: who issued the invoice. verdicts: at
    least one, and more if it answers several documents; the first one names the file.
    """

    format: str
    number: str
    issue_date: str
    sender: Party
    receiver: Party
    verdicts: tuple[Verdict, ...]
    extension: str

    @property
    def answered(self) -> str:
        """The number of the first document that it answers."""
        return self.verdicts[0].answered


class Other(Struct, frozen=True):
    """A document that is neither an invoice nor a statement.

    description: a noun phrase for reasons, such as "a PDF". extension: of its file, without a dot,
    "" if the format has none of its own. possible_kinds: the kinds that it may be if the list says
    so, since its content can't tell. is_known: whether its content says what it is, so that it is
    certainly neither an invoice nor a statement, whatever the list calls it.
    """

    format: str
    description: str
    extension: str = ""
    possible_kinds: tuple[Kind, ...] = ()
    is_known: bool = False


Content = Invoice | Statement | Bundle | Answer | Other


class Reading(Struct, frozen=True):
    """What reading a document gave.

    content: None where its structure is too broken to be read; the problems say so. problems: what
    is wrong with its structure, each as part of a sentence; none if the document is whole.
    warnings: what is odd in a document that is whole, or can't be checked in it, likewise.
    """

    content: Content | None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def checked(content: Content, problems: Callable[[], Iterable[str]]) -> Reading:
    """Return content with the problems of its structure.

    Where they can't be found, as Unreadable says, that is the last of them; Hostile passes.
    """
    found: list[str] = []
    try:
        found.extend(problems())
    except Hostile:
        raise
    except BROKEN as error:
        found.append(f"it can't be checked ({type(error).__name__})")
    except Unreadable as error:
        found.append(str(error))
    return Reading(content, tuple(found))
