"""Envelopes of Peppol (SBDH 1.3), made to measure."""

from __future__ import annotations

from tests.helpers.invoices import ubl

SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
DECLARED = '<?xml version="1.0" encoding="UTF-8"?>\n'
HEADER = "<StandardBusinessDocumentHeader><a/></StandardBusinessDocumentHeader>"
INVOICE = ubl(declaration="").strip()


def envelope(*inside: str, declared: str = DECLARED, more: str = "") -> str:
    return (
        f'{declared}<StandardBusinessDocument xmlns="{SBDH}"{more}>{HEADER}\n'
        f"  {''.join(inside)}\n</StandardBusinessDocument>\n"
    )
