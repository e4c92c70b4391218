"""camt reader: camt.053, the statement of account of ISO 20022, in all versions.

A camt.052 reports movements before they are final and a camt.054 notifies of single ones; the same
movements come again in a later statement. An accounting package that imported both would book them
twice, so these messages are recognised and named, and are no statements.
"""

from __future__ import annotations

import re

from lxml import etree

from stages.formats.balances import bears_number, spelt_balance
from stages.formats.content import (
    UNKNOWN_PAGE,
    AccountStatement,
    Content,
    Other,
    Statement,
    check_count,
)
from stages.formats.elements import below, each, name_of, text_of
from stages.formats.party import Identifier
from stages.values.accounts import stated_iban
from stages.values.amounts import amount
from stages.values.dates import iso_date

#: The type of a message, wherever in a namespace it stands: countries have namespaces of their own.
_TYPE = re.compile(r"(?<![a-z0-9])((?:camt|pain|pacs)\.[0-9]{3})(?![0-9])", re.IGNORECASE)
_NAMESPACE = re.compile(r"urn:(?:[a-z0-9]+:)*xsd:\$?([a-z]{4}\.[0-9]{3})\.[0-9]{3}\.[0-9]{2}")
STATEMENT = "camt.053"
#: The types by the name of the one element in a message.
_ELEMENTS = {
    "BkToCstmrStmt": STATEMENT,
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "CstmrCdtTrfInitn": "pain.001",
    "CstmrPmtStsRpt": "pain.002",
    "CstmrDrctDbtInitn": "pain.008",
}
#: The first version puts itself behind the name.
_VERSION = re.compile(r"V[0-9]{2}$")

#: Other messages between companies and banks, by what people call them.
_OTHERS = {
    "camt.052": "a bank's report of movements that are not final",
    "camt.054": "a bank's notification of single movements",
    "camt.086": "a bank's statement of its fees",
    "pain.001": "an order of payments",
    "pain.002": "a bank's answer to orders",
    "pain.008": "an order of direct debits",
}


def read(root: etree._Element, _: object = None) -> Content | None:
    """Return the statements, or another ISO 20022 message by its name; None for other XML."""
    message = message_type(root)
    if not message:
        return None
    if message != STATEMENT:
        what = _OTHERS.get(message, "an ISO 20022 message")
        return Other(
            message,
            f"{what} ({message}), which is no statement of account",
            "xml",
            is_known=True,
        )
    parts: list[AccountStatement] = []
    for body in _bodies(root):
        page = _page(below(body, "{*}GrpHdr", "{*}MsgPgntn"))
        for statement in each(body, "{*}Stmt"):
            parts.append(_statement(statement, page))
            check_count(parts)
    return Statement(STATEMENT, tuple(parts), "xml")


def message_type(root: etree._Element) -> str:
    """Return the type of a message, "" if it is none of ISO 20022.

    Its namespace and its elements have to agree that it is a statement, if both tell.
    """
    stated = ""
    if name_of(root) == "Document":
        namespace = etree.QName(root).namespace or ""
        if match := _NAMESPACE.fullmatch(namespace) or _TYPE.search(namespace):
            stated = match[1].lower()
    if stated not in ("", STATEMENT):
        return stated
    found = [_ELEMENTS.get(_body_name(one), "") for one in _bodies(root)]
    return next(filter(None, found), stated)


def _bodies(root: etree._Element) -> list[etree._Element]:
    """Return the messages in a document, which may come without its root."""
    if _body_name(root) in _ELEMENTS:
        return [root]
    return list(root) if name_of(root) == "Document" else []


def _body_name(element: etree._Element) -> str:
    return _VERSION.sub("", name_of(element))


def _statement(statement: etree._Element, page: str) -> AccountStatement:
    """Return a statement. page: of the message that it stands in."""
    account = below(statement, "{*}Acct")
    pages = (page, _page(below(statement, "{*}StmtPgntn")))
    return AccountStatement(
        accounts=tuple(dict.fromkeys(_accounts(account))),
        holders=tuple(dict.fromkeys(_holders(account))),
        holder_name=text_of(below(account, "{*}Ownr", "{*}Nm")),
        number=_number(statement),
        issue_date=_day(statement),
        opening=_balance(statement, "OPBD") or _balance(statement, "PRCD"),
        closing=_balance(statement, "CLBD"),
        page="/".join(filter(None, pages)),
    )


def _number(statement: etree._Element) -> str:
    """Return the first number of a statement that is no filler, else the first that is stated."""
    keys = ("{*}ElctrncSeqNb", "{*}LglSeqNb", "{*}Id")
    stated = [text for key in keys if (text := text_of(below(statement, key)))]
    return next(filter(bears_number, stated), next(iter(stated), ""))


def _page(pagination: etree._Element | None) -> str:
    """Return a page as it is stated, with "+" if others follow; "" if it is not said to be one."""
    number = text_of(below(pagination, "{*}PgNb"))
    is_last = text_of(below(pagination, "{*}LastPgInd")).lower() not in ("false", "0")
    if not bears_number(number):
        return "" if is_last else UNKNOWN_PAGE
    return number if is_last else f"{number}+"


_ACCOUNTS = (("IBAN",), ("BBAN",), ("UPIC",), ("Othr", "Id"), ("PrtryAcct", "Id"))


def _accounts(account: etree._Element | None) -> list[str]:
    """Return the numbers of an account: as its IBAN if one is stated, else as they are written.

    A proxy stands for the account, and counts only where the account itself is not stated.
    """
    tags = [tuple(f"{{*}}{name}" for name in path) for path in _ACCOUNTS]
    own = [one for path in tags for one in each(account, "{*}Id", *path)]
    for places in (own, each(account, "{*}Id"), each(account, "{*}Prxy", "{*}Id")):
        if stated := [text for one in places if bears_number(text := text_of(one))]:
            return [stated_iban(text) or text for text in stated]
    return []


def _holders(account: etree._Element | None) -> list[Identifier]:
    """Return the identifiers of the account's owner, a company or a person with a business.

    Belgian banks state the register as the issuer of the number (Febelfin).
    """
    found = []
    for kind in ("OrgId", "PrvtId"):
        for other in each(account, "{*}Ownr", "{*}Id", f"{{*}}{kind}", "{*}Othr"):
            stated = (
                below(other, "{*}Issr"),
                below(other, "{*}SchmeNm", "{*}Prtry"),
                below(other, "{*}SchmeNm", "{*}Cd"),
            )
            scheme = next((text for element in stated if (text := text_of(element))), "")
            if value := text_of(below(other, "{*}Id")):
                found.append(Identifier(f"Acct/Ownr/Id/{kind}/Othr/Id", scheme, value))
        if lei := text_of(below(account, "{*}Ownr", "{*}Id", f"{{*}}{kind}", "{*}LEI")):
            found.append(Identifier(f"Acct/Ownr/Id/{kind}/LEI", "LEI", lei))
    return found


def _balance(statement: etree._Element, code: str) -> str:
    """Return the balance of a code in the one spelling of all formats.

    "" if it isn't stated, or if several are that differ.
    """
    found = {_spelt(one) for one in each(statement, "{*}Bal") if _code(one) == code}
    return found.pop() if len(found) == 1 else ""


def _code(balance: etree._Element) -> str:
    stated = below(balance, "{*}Tp", "{*}CdOrPrtry")
    return text_of(below(stated, "{*}Cd")) or text_of(below(stated, "{*}Prtry"))


def _spelt(balance: etree._Element) -> str:
    stated = below(balance, "{*}Amt")
    value = amount(text_of(stated))
    match text_of(below(balance, "{*}CdtDbtInd")):
        case "DBIT" if value is not None:
            value = value.copy_negate()
        case "CRDT":
            pass
        case _:
            value = None
    currency = "" if stated is None else stated.get("Ccy", "")
    return spelt_balance(_balance_day(balance), currency, value)


def _balance_day(balance: etree._Element) -> str:
    days = (below(balance, "{*}Dt", "{*}Dt"), below(balance, "{*}Dt", "{*}DtTm"))
    return next((found for day in days if (found := iso_date(text_of(day)))), "")


def _day(statement: etree._Element) -> str:
    """Return the day of the closing balance, else the end of the period, else the creation day."""
    closing = [_balance_day(one) for one in each(statement, "{*}Bal") if _code(one) == "CLBD"]
    others = (
        below(statement, "{*}FrToDt", "{*}ToDtTm"),
        below(statement, "{*}FrToDt", "{*}ToDt"),
        below(statement, "{*}CreDtTm"),
    )
    return next(filter(None, (*closing, *(iso_date(text_of(day)) for day in others))), "")
