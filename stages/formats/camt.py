"""camt reader: camt.053, the statement of account of ISO 20022, in all versions.

A camt.052 reports movements before they are final and a camt.054 notifies of single ones; the same
movements come again in a later statement. An accounting package that imported both would book them
twice, so these messages are recognised and named, and are no statements.
"""

from __future__ import annotations

import re

from lxml import etree

from stages.formats.content import AccountStatement, Content, Other, Statement, check_count
from stages.formats.elements import below, each, name_of, text_of
from stages.formats.party import Identifier
from stages.values.dates import iso_date

_NAMESPACE = re.compile(r"urn:(?:[a-z0-9]+:)*xsd:\$?([a-z]{4}\.[0-9]{3})\.[0-9]{3}\.[0-9]{2}")
STATEMENT = "camt.053"

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
    message = _NAMESPACE.fullmatch(etree.QName(root).namespace or "")
    if message is None or name_of(root) != "Document":
        return None
    if message[1] != STATEMENT:
        what = _OTHERS.get(message[1], "an ISO 20022 message")
        return Other(
            message[1],
            f"{what} ({message[1]}), which is no statement of account",
            "xml",
            is_known=True,
        )
    parts: list[AccountStatement] = []
    for statement in each(root, "{*}BkToCstmrStmt", "{*}Stmt"):
        parts.append(_statement(statement))
        check_count(parts)
    return Statement(STATEMENT, tuple(parts), "xml")


def _statement(statement: etree._Element) -> AccountStatement:
    account = below(statement, "{*}Acct")
    number = next((text for key in _NUMBERS if (text := text_of(below(statement, key)))), "")
    return AccountStatement(
        accounts=tuple(dict.fromkeys(_accounts(account))),
        holders=tuple(dict.fromkeys(_holders(account))),
        holder_name=text_of(below(account, "{*}Ownr", "{*}Nm")),
        number=number,
        issue_date=_day(statement),
    )


_NUMBERS = ("{*}ElctrncSeqNb", "{*}LglSeqNb", "{*}Id")


def _accounts(account: etree._Element | None) -> list[str]:
    numbers = (below(account, "{*}Id", "{*}IBAN"), below(account, "{*}Id", "{*}Othr", "{*}Id"))
    return [text for element in numbers if (text := text_of(element))]


def _holders(account: etree._Element | None) -> list[Identifier]:
    """Return the identifiers of the account's owner.

    Belgian banks state the register as the issuer of the number (Febelfin).
    """
    found = []
    for other in each(account, "{*}Ownr", "{*}Id", "{*}OrgId", "{*}Othr"):
        stated = (
            below(other, "{*}Issr"),
            below(other, "{*}SchmeNm", "{*}Prtry"),
            below(other, "{*}SchmeNm", "{*}Cd"),
        )
        scheme = next((text for element in stated if (text := text_of(element))), "")
        if value := text_of(below(other, "{*}Id")):
            found.append(Identifier("Acct/Ownr/Id/OrgId/Othr/Id", scheme, value))
    return found


def _day(statement: etree._Element) -> str:
    """Return the day of the closing balance, else the end of the period, else the creation day."""
    days = [
        below(balance, "{*}Dt", "{*}Dt")
        for balance in each(statement, "{*}Bal")
        if text_of(below(balance, "{*}Tp", "{*}CdOrPrtry", "{*}Cd")) == "CLBD"
    ]
    days += [below(statement, "{*}FrToDt", "{*}ToDtTm"), below(statement, "{*}CreDtTm")]
    return next((found for day in days if (found := iso_date(text_of(day)))), "")
