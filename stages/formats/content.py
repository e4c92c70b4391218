"""Content model: what a document says of itself, whatever its format, and why it can't be read."""

from __future__ import annotations

from collections.abc import Sized

from lxml import etree
from msgspec import Struct

from pipeline.text import sanitized
from stages.formats.party import Identifier, Party
from stages.kind import Kind

#: Characters of the reason why a document can't be read.
MAX_REASON = 500
#: Accounts, and holders, in the statements of one file: no bank sends more.
MAX_ACCOUNTS = 1000

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


def check_accounts(found: Sized) -> None:
    """Raise Hostile if these are more accounts, or holders, than one file of statements has."""
    if len(found) > MAX_ACCOUNTS:
        raise Hostile(f"it holds statements of more than {MAX_ACCOUNTS:,} accounts or holders")


class Invoice(Struct, frozen=True):
    """An invoice or a credit note.

    format: for example "ubl-invoice". issue_date: ISO 8601. type_code: UNTDID 1001. total: the
    amount payable, spelt as in the document. supplier_element, customer_element: the elements in
    which the parties stand, for reasons.
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
    """One or more statements of account in one file.

    holders: the identifiers of the account's holder, from each part of the file. accounts: IBANs or
    other account numbers. number and issue_date (ISO 8601): those of the last statement.
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
