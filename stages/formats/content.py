"""What a document says of itself, whatever its format."""

from __future__ import annotations

from collections.abc import Sized

from lxml import etree
from msgspec import Struct

from pipeline.text import sanitized
from stages.formats.party import Identifier, Party
from stages.model import Kind

#: Characters of what is said of a document that can't be read.
LONGEST = 500
#: Accounts, and holders, that the statements of one file have: more are of no bank.
ACCOUNTS = 1000

#: What a document may make its reader fail of, in spite of all limits.
BROKEN = (RecursionError, MemoryError, ArithmeticError, ValueError, etree.LxmlError)

#: What something that the list calls an invoice may be.
INVOICE_KINDS = (Kind.PURCHASE, Kind.SALES)


class Unreadable(Exception):
    """The document is not what its first bytes promise; the message is part of a sentence."""

    def __init__(self, what: str) -> None:
        """Take the words of a reader, which may repeat the document's own."""
        super().__init__(sanitized(what, LONGEST))


class Hostile(Unreadable):
    """The document is made to do harm, or might as well be: nothing more is done with it."""


def check_accounts(found: Sized) -> None:
    """Hostile if these are more accounts, or holders, than a file of statements has."""
    if len(found) > ACCOUNTS:
        raise Hostile(f"it holds statements of more than {ACCOUNTS:,} accounts or holders")


class Invoice(Struct, frozen=True):
    """An invoice or a credit note.

    format: "ubl-invoice" and the like. issue_date: ISO 8601. type_code: UNTDID 1001. total: the
    amount payable as it stands there. supplier_element, customer_element: where the parties stand.
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


class Statement(Struct, frozen=True):
    """One or more statements of account in a file.

    holders: who each part of the file says holds the account. accounts: IBANs or other numbers.
    number and issue_date (ISO 8601): of the last statement.
    """

    format: str
    holders: tuple[Identifier, ...]
    holder_name: str
    accounts: tuple[str, ...]
    number: str
    issue_date: str
    extension: str


class Other(Struct, frozen=True):
    """A document that is neither an invoice nor a statement.

    description: a noun phrase for reasons, such as "a PDF". extension: of its file, without a dot,
    "" if the format has none of its own. possible_kinds: the kinds that it may be if the list says
    so, since its content can't tell.
    """

    format: str
    description: str
    extension: str = ""
    possible_kinds: tuple[Kind, ...] = ()


Content = Invoice | Statement | Other
