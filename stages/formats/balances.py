"""Balance spelling: the balances of statements in one spelling, whatever format states them.

They are half of what tells one statement from another, so a balance that isn't stated without
doubt has no spelling at all.
"""

from __future__ import annotations

import re
from decimal import Decimal

from stages.values.amounts import plain_amount

_CURRENCY = re.compile(r"[A-Z]{3}")


def spelt_balance(day: str, currency: str, amount: Decimal | None) -> str:
    """Return a balance as "2026-03-02 EUR -123.45", "" unless all three of it are known.

    day: ISO 8601, "" if not stated. amount: negative for a debit.
    """
    code = currency.strip().upper()
    digits = plain_amount(amount)
    if not day or not digits or not _CURRENCY.fullmatch(code):
        return ""
    return f"{day} {code} {digits}"


def bears_number(text: str) -> bool:
    """Whether what is stated is a number, and no word or filler in the place of one."""
    return any(sign.isdecimal() and sign != "0" for sign in text)
