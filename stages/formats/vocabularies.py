"""Other XML vocabularies: names XML that is neither invoice nor statement, and opens envelopes."""

from __future__ import annotations

from lxml import etree

from stages.formats.content import Content, Other
from stages.formats.elements import name_of

#: Format and description by the name of the root and the beginning of its namespace.
_KNOWN = {
    ("SocialDocument", ""): ("soda", "SODA, the payroll entries of a social secretariat"),
    ("html", "http://www.w3.org/1999/xhtml"): ("html", "a web page"),
    ("html", ""): ("html", "a web page"),
    ("Envelope", "http://schemas.xmlsoap.org/soap/envelope/"): ("soap", "a SOAP message"),
    ("Envelope", "http://www.w3.org/2003/05/soap-envelope"): ("soap", "a SOAP message"),
    ("xbrl", "http://www.xbrl.org/"): ("xbrl", "annual accounts or another XBRL report"),
    ("xmpmeta", "adobe:ns:meta/"): ("xmp", "metadata of a PDF"),
}

#: The roots of envelopes: that of Peppol (SBDH 1.3), and those that banks put around a message.
_ENVELOPES = {"StandardBusinessDocument", "BizMsgEnvlp", "RequestPayload"}


def read(root: etree._Element, _: object = None) -> Content | None:
    """Return what the document is, or None if its vocabulary is not known."""
    name = etree.QName(root)
    namespace = name.namespace or ""
    for (local, start), (format_, what) in _KNOWN.items():
        if name.localname == local and (namespace.startswith(start) if start else not namespace):
            return Other(format_, what, "xml", is_known=True)
    return None


def enclosed(root: etree._Element) -> etree._Element | None:
    """Return the document in an envelope, the one element beside its header; None if none is."""
    if name_of(root) not in _ENVELOPES:
        return None
    inside = [
        child
        for child in root
        if name_of(child) not in {"StandardBusinessDocumentHeader", "AppHdr", "Header", "Hdr"}
    ]
    return inside[0] if len(inside) == 1 else None
