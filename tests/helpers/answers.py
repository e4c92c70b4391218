"""Answers to invoices, made to measure: UBL ApplicationResponses."""

from __future__ import annotations

from stages.formats.content import Answer
from stages.formats.xml import content_of
from tests.helpers.invoices import CUSTOMER, SUPPLIER, UBL

INVOICE_RESPONSE = (
    "<cbc:CustomizationID>urn:fdc:peppol.eu:poacc:trns:invoice_response:3</cbc:CustomizationID>"
    "<cbc:ProfileID>urn:fdc:peppol.eu:poacc:bis:invoice_response:3</cbc:ProfileID>"
)
MLS = (
    "<cbc:CustomizationID>urn:peppol:edec:mls:1.0</cbc:CustomizationID>"
    "<cbc:ProfileID>urn:peppol:edec:mls</cbc:ProfileID>"
)


def named(party: str, name: str) -> str:
    return (
        f"{party}<cac:PartyLegalEntity><cbc:RegistrationName>{name}</cbc:RegistrationName>"
        "</cac:PartyLegalEntity>"
    )


def status(code: str = "", text: str = "", *, condition: str = "", action: str = "") -> str:
    """A reason, the words of it, a condition "NAME=VALUE", and what the customer asks for."""
    name, _, value = condition.partition("=")
    told = f'<cbc:StatusReasonCode listID="OPStatusReason">{code}</cbc:StatusReasonCode>'
    told += f"<cbc:StatusReason>{text}</cbc:StatusReason>" if text else ""
    if condition:
        told += (
            f"<cac:Condition><cbc:AttributeID>{name}</cbc:AttributeID>"
            f"<cbc:Description>{value}</cbc:Description></cac:Condition>"
        )
    told = f"<cac:Status>{told}</cac:Status>"
    if action:
        asked = f'<cbc:StatusReasonCode listID="OPStatusAction">{action}</cbc:StatusReasonCode>'
        told += f"<cac:Status>{asked}</cac:Status>"
    return told


def line(where: str, text: str, code: str) -> str:
    """What is said of one line of the document."""
    return (
        f"<cac:LineResponse><cac:LineReference><cbc:LineID>{where}</cbc:LineID>"
        f"</cac:LineReference><cac:Response><cbc:Description>{text}</cbc:Description>"
        f"<cac:Status><cbc:StatusReasonCode>{code}</cbc:StatusReasonCode></cac:Status>"
        "</cac:Response></cac:LineResponse>"
    )


def response(
    code: str = "AP", answered: str = "F-1", *, why: str = "", lines: str = "", more: str = ""
) -> str:
    """What is said of one document. why: within the response; more: after what is answered."""
    return (
        f'<cac:DocumentResponse><cac:Response><cbc:ResponseCode listID="UNCL4343OpSubset">{code}'
        f"</cbc:ResponseCode>{why}</cac:Response><cac:DocumentReference><cbc:ID>{answered}</cbc:ID>"
        "<cbc:IssueDate>2026-02-01</cbc:IssueDate><cbc:DocumentTypeCode>380"
        f"</cbc:DocumentTypeCode></cac:DocumentReference>{more}{lines}</cac:DocumentResponse>"
    )


def answer_xml(
    *responses: str,
    sender: str = named(CUSTOMER, "Customer"),
    receiver: str = SUPPLIER,
    number: str = "IR-1",
    profile: str = INVOICE_RESPONSE,
) -> str:
    """An answer, by default of the customer in tests/helpers/invoices.py to its supplier."""
    return (
        f'<?xml version="1.0"?><ApplicationResponse xmlns="{UBL}ApplicationResponse-2" '
        f'xmlns:cac="{UBL}CommonAggregateComponents-2" '
        f'xmlns:cbc="{UBL}CommonBasicComponents-2">{profile}<cbc:ID>{number}</cbc:ID>'
        "<cbc:IssueDate>2026-02-03</cbc:IssueDate>"
        f"<cac:SenderParty>{sender}</cac:SenderParty>"
        f"<cac:ReceiverParty>{receiver}</cac:ReceiverParty>"
        f"{''.join(responses or (response(),))}</ApplicationResponse>"
    )


def mls_xml(code: str = "RE", answered: str = "90f14eff-3705-4869", lines: str = "") -> str:
    """A status from one service provider to another, which names neither customer nor supplier."""
    sender, receiver = (
        f'<cbc:EndpointID schemeID="0242">{one}</cbc:EndpointID>' for one in ("123456", "234567")
    )
    told = response(code, answered, lines=lines)
    return answer_xml(told, sender=sender, receiver=receiver, profile=MLS, number="MLS-1")


def answer(text: str) -> Answer:
    content = content_of(text.encode())
    assert isinstance(content, Answer), content
    return content
