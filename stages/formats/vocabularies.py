"""XML that is neither an invoice nor a statement, recognised as what it is; and envelopes."""

from __future__ import annotations

from lxml import etree

from stages.formats.content import Content, Other
from stages.formats.elements import name_of

#: By the name of the root and how its namespace begins.
_KNOWN = {
    ("SocialDocument", ""): ("soda", "SODA, the payroll entries of a social secretariat"),
    ("html", "http://www.w3.org/1999/xhtml"): ("html", "a web page"),
    ("html", ""): ("html", "a web page"),
    ("Envelope", "http://schemas.xmlsoap.org/soap/envelope/"): ("soap", "a SOAP message"),
    ("Envelope", "http://www.w3.org/2003/05/soap-envelope"): ("soap", "a SOAP message"),
    ("xbrl", "http://www.xbrl.org/"): ("xbrl", "annual accounts or another XBRL report"),
    ("xmpmeta", "adobe:ns:meta/"): ("xmp", "metadata of a PDF"),
}

#: Envelopes that hold a document: Peppol's (SBDH 1.3), and those that banks put around a message.
_ENVELOPES = {"StandardBusinessDocument", "BizMsgEnvlp", "RequestPayload"}


def read(root: etree._Element) -> Content | None:
    """What it is, or None if it is not known."""
    name = etree.QName(root)
    namespace = name.namespace or ""
    for (local, start), (format_, what) in _KNOWN.items():
        if name.localname == local and (namespace.startswith(start) if start else not namespace):
            return Other(format_, what, "xml")
    return None


def enclosed(root: etree._Element) -> etree._Element | None:
    """The document in an envelope, which is what comes after its header; or None."""
    if name_of(root) not in _ENVELOPES:
        return None
    inside = [
        child
        for child in root
        if name_of(child) not in {"StandardBusinessDocumentHeader", "AppHdr", "Header", "Hdr"}
    ]
    return inside[0] if len(inside) == 1 else None
