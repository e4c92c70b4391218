"""EPC QR code: the payment of an invoice for a banking app (EPC069-12, version 2.1).

There is one only where the standard lets one be: an amount in euro, an IBAN of a SEPA country, a
credit transfer. Its error correction is level M, its character set UTF-8 (2.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import stdnum.iso11649
from msgspec import Struct
from reportlab.graphics.barcode.qrencoder import QR8bitByte, QRCode, QRErrorCorrectLevel

from stages.values.accounts import is_iban
from stages.values.identifiers import compact

#: The countries of the SEPA schemes (EPC409-09), with the codes that stand in their IBANs.
SEPA = {
    *("AD", "AL", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB"),
    *("GG", "GI", "GR", "HR", "HU", "IE", "IM", "IS", "IT", "JE", "LI", "LT", "LU", "LV", "MC"),
    *("MD", "ME", "MK", "MT", "NL", "NO", "PL", "PT", "RO", "RS", "SE", "SI", "SK", "SM", "VA"),
}
#: UNTDID 4461: credit transfers, and what says no more than that it is paid to an account.
CREDIT_TRANSFERS = {"", "1", "30", "31", "42", "57", "58", "ZZZ"}
#: Characters of the name and of the remittance information, and bytes of all (2.2).
MAX_NAME, MAX_TEXT, MAX_BYTES = 70, 140, 331
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2})0*)?")
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
#: Any of the eight masks can be read; to find the best one takes ten times as long.
_MASK = 0


class Payment(Struct, frozen=True):
    """What is to be paid, as an invoice says it; "" for what it does not say."""

    means: str
    currency: str
    amount: str
    name: str
    account: str
    bic: str
    reference: str


def epc_text(payment: Payment) -> str:
    """Return the text of the QR code, "" if the rules allow none."""
    account, bic = compact(payment.account), compact(payment.bic)
    amount = _AMOUNT.fullmatch(payment.amount)
    name = " ".join(payment.name.split())[:MAX_NAME]
    if (
        payment.currency != "EUR"
        or payment.means not in CREDIT_TRANSFERS
        or account[:2] not in SEPA
        or not is_iban(account)
        or amount is None
        or not name
    ):
        return ""
    said = f"{int(amount[1])}.{(amount[2] or '').ljust(2, '0')}"
    if said == "0.00":
        return ""
    reference = " ".join(payment.reference.split())
    is_structured = stdnum.iso11649.is_valid(reference)
    text = "\n".join(
        (
            *("BCD", "002", "1", "SCT"),
            bic if _BIC.fullmatch(bic) else "",
            name,
            account,
            f"EUR{said}",
            "",  # purpose
            compact(reference) if is_structured else "",
            "" if is_structured else reference[:MAX_TEXT],
        )
    ).rstrip("\n")
    return text if len(text.encode()) <= MAX_BYTES else ""


def modules(text: str) -> Sequence[Sequence[bool]]:
    """Return the modules of the QR code of a text, by line, without the quiet zone."""
    code: Any = QRCode(None, QRErrorCorrectLevel.M)
    # Bytes as they are: reportlab would look for a shorter mode, which not every app reads.
    code.addData(QR8bitByte(text.encode()))
    code.version = code.calculate_version()
    code.makeImpl(False, _MASK)
    lines: Sequence[Sequence[bool]] = code.modules
    return lines
