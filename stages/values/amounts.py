"""Amounts: decimal numbers of documents, in one spelling."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache


@lru_cache(8192)
def same_amount(text: str) -> str:
    """Return one spelling of an amount, without trailing zeros; the text itself if it is none."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return text.strip()
    return f"{value.normalize():f}" if value else "0"
