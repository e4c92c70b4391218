"""Other XML vocabularies: names XML that is neither invoice nor statement."""

from __future__ import annotations

from lxml import etree

from stages.formats.content import Content, Other

#: What platforms of France send of each invoice in its life (UN/CEFACT D22B).
_CDAR = "CrossDomainAcknowledgementAndResponse"
#: Format and description by the name of the root and the beginning of its namespace.
_KNOWN = {
    ("SocialDocument", ""): ("soda", "SODA, the payroll entries of a social secretariat"),
    ("html", "http://www.w3.org/1999/xhtml"): ("html", "a web page"),
    ("html", ""): ("html", "a web page"),
    ("Envelope", "http://schemas.xmlsoap.org/soap/envelope/"): ("soap", "a SOAP message"),
    ("Envelope", "http://www.w3.org/2003/05/soap-envelope"): ("soap", "a SOAP message"),
    ("xbrl", "http://www.xbrl.org/"): ("xbrl", "annual accounts or another XBRL report"),
    (_CDAR, "urn:un:unece:uncefact:data:standard:" + _CDAR): (
        "cdar",
        "an answer to a document, or its status at a platform (CDAR)",
    ),
    ("xmpmeta", "adobe:ns:meta/"): ("xmp", "metadata of a PDF"),
}


def read(root: etree._Element, _: object = None) -> Content | None:
    """Return what the document is, or None if its vocabulary is not known."""
    name = etree.QName(root)
    namespace = name.namespace or ""
    for (local, start), (format_, what) in _KNOWN.items():
        if name.localname == local and (namespace.startswith(start) if start else not namespace):
            return Other(format_, what, "xml", is_known=True)
    return None
