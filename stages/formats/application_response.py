"""UBL ApplicationResponse reader: what a customer, or its platform, answers to an invoice.

Peppol Invoice Response (T111) and Message Level Response (T71) of BIS 3, Peppol Message Level
Status (MLS 1.0), OIOUBL, and other profiles of UBL 2.0 to 2.4. An answer that says something in a
code that is not known here is an answer all the same, and its code is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from pipeline.text import NAME, first_few, sanitized
from stages.formats.content import MAX_REASON, MAX_VERDICTS, Answer, Hostile, Verdict
from stages.formats.elements import below, each, text_of
from stages.formats.party import Party
from stages.formats.ubl import CAC, CBC, UBL, party_of

ROOT = f"{{{UBL}ApplicationResponse-2}}ApplicationResponse"

#: What a code says, in words, and whether that is an acceptance, a refusal, or neither (None).
CODES: dict[str, tuple[str, bool | None]] = {
    # UNCL4343, as Peppol's Invoice Response, Message Level Response and MLS use it.
    "AB": ("received", None),
    "AP": ("accepted", True),
    "RE": ("rejected", False),
    "IP": ("being processed", None),
    "UQ": ("in query", None),
    "CA": ("conditionally accepted", True),
    "PD": ("paid", True),
    # OIOUBL (Denmark).
    "BUSINESSACCEPT": ("accepted", True),
    "BUSINESSREJECT": ("rejected", False),
    "TECHNICALACCEPT": ("received", None),
    "TECHNICALREJECT": ("rejected", False),
    "PROFILEACCEPT": ("received", None),
    "PROFILEREJECT": ("rejected", False),
    # UBL-TR (Turkey).
    "KABUL": ("accepted", True),
    "RED": ("rejected", False),
    # DIAN (Colombia).
    "02": ("received", None),
    "04": ("rejected", False),
    "030": ("received", None),
    "031": ("rejected", False),
    "032": ("received", None),
    "033": ("accepted", True),
    "034": ("accepted", True),
}
#: The answer says nothing in a code.
NOTHING = "nothing in particular"

#: What the codes of a reason mean: OPStatusReason and OPStatusAction of Peppol, and those of MLS.
#: Of a code that means nothing (NON, NOA, OTH) nothing is said.
_REASONS = {
    "NON": "",
    "REF": "references are incorrect",
    "LEG": "legal information is incorrect",
    "REC": "the receiver is unknown",
    "QUA": "the quality of the items is insufficient",
    "DEL": "there is an issue with the delivery",
    "PRI": "prices are incorrect",
    "QTY": "quantities are incorrect",
    "ITM": "items are incorrect",
    "PAY": "payment terms are incorrect",
    "UNR": "the transaction is not recognised",
    "FIN": "financial terms are incorrect",
    "PPD": "it is paid in part",
    "OTH": "",
    "NOA": "",
    "PIN": "provide information",
    "NIN": "issue a new invoice",
    "CNF": "credit it fully",
    "CNP": "credit it in part",
    "CNA": "credit the amount",
    "BV": "a rule of business is broken",
    "BW": "a rule of business warns",
    "SV": "a rule of syntax is broken",
    "FD": "it could not be delivered",
}

_ID = f"{CBC}ID"
_DATE = f"{CBC}IssueDate"
_CODE = f"{CBC}ResponseCode"
_DESCRIPTION = f"{CBC}Description"
_RESPONSE = f"{CAC}Response"
_STATUS = f"{CAC}Status"
_STATUS_CODE = f"{CBC}StatusReasonCode"
_STATUS_TEXT = f"{CBC}StatusReason"
_CONDITION = f"{CAC}Condition"
_DOCUMENT = f"{CAC}DocumentReference"
_LINE_ID = (f"{CAC}LineReference", f"{CBC}LineID")


def read(root: etree._Element, _: object = None) -> Answer | None:
    """Return the answer, or None if the document is something else. Hostile if it answers too much.

    Of an answer that names no document, or says nothing, that part is empty.
    """
    if root.tag != ROOT:
        return None
    responses = list(each(root, f"{CAC}DocumentResponse"))
    if len(responses) > MAX_VERDICTS:
        raise Hostile(f"it answers more than {MAX_VERDICTS:,} documents")
    first = responses[0] if responses else None
    # Who issued the invoice, and who got it, may stand apart from who sends and gets the answer:
    # a service that processes invoices, or a bookkeeper.
    issuer = party_of(below(first, f"{CAC}IssuerParty"))
    recipient = party_of(below(first, f"{CAC}RecipientParty"))
    return Answer(
        format="ubl-application-response",
        number=text_of(below(root, _ID)),
        issue_date=text_of(below(root, _DATE)) or text_of(below(root, f"{CBC}ResponseDate")),
        sender=_either(recipient, party_of(below(root, f"{CAC}SenderParty"))),
        receiver=_either(issuer, party_of(below(root, f"{CAC}ReceiverParty"))),
        verdicts=tuple(map(_verdict, responses)) or (Verdict("", "", NOTHING, None, ""),),
        extension="xml",
    )


def _either(nearer: Party, other: Party) -> Party:
    """Return a party that is named in two places, with the identifiers of both."""
    return Party(
        nearer.name or other.name,
        nearer.identifiers + other.identifiers,
        nearer.country or other.country,
    )


def _verdict(response: etree._Element) -> Verdict:
    said = below(response, _RESPONSE)
    code = sanitized(text_of(below(said, _CODE)), NAME)
    says, accepted = CODES.get(code.upper(), (f"code {code}" if code else NOTHING, None))
    document = below(response, _DOCUMENT)
    # Some profiles name the document in the response alone.
    answered = text_of(below(document, _ID)) or text_of(below(said, f"{CBC}ReferenceID"))
    return Verdict(
        answered=sanitized(answered, NAME),
        answered_date=text_of(below(document, _DATE)),
        says=says,
        accepted=accepted,
        reason=_reason(response, said),
    )


def _reason(response: etree._Element, said: etree._Element | None) -> str:
    """Return why, in the words of the answer: of the whole document, then of its lines."""
    reasons = list(_reasons(said)) if said is not None else []
    for line in response.iterchildren(f"{CAC}LineResponse"):
        place = _words(below(line, *_LINE_ID))
        for part in line.iterchildren(_RESPONSE):
            why = ", ".join(filter(None, _reasons(part)))
            # "NA" is how the MLS says that a reason is of no line.
            reasons.append(f"{place}: {why}" if place and why and place != "NA" else why)
    told = first_few(list(dict.fromkeys(one for one in reasons if one)))
    return sanitized("; ".join(told), MAX_REASON)


def _reasons(response: etree._Element) -> Iterator[str]:
    """Yield the reasons of a response, some empty: its description, then each of its statuses."""
    for description in response.iterchildren(_DESCRIPTION):
        yield _words(description)
    for status in response.iterchildren(_STATUS):
        code = _words(below(status, _STATUS_CODE))
        texts = [_words(one) for one in status.iterchildren(_STATUS_TEXT, _DESCRIPTION)]
        yield ", ".join(filter(None, texts)) or _REASONS.get(code.upper(), code)
        for condition in status.iterchildren(_CONDITION):
            name = _words(below(condition, f"{CBC}AttributeID"))
            value = _words(below(condition, _DESCRIPTION))
            yield f"{name}: {value}" if name and value else name or value


def _words(element: etree._Element | None) -> str:
    """Return a text for people, of which only the beginning is read: it may have any length."""
    text = element.text if element is not None else None
    return " ".join((text or "")[:MAX_REASON].split())
