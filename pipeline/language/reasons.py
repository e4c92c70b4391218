"""Reasons: takes apart what the ledger records of an error."""

from __future__ import annotations

import re

#: How a remedy begins: the last sentence of those that an error consists of.
_LAST = re.compile(r"(?s)(?P<reason>.+)\. (?P<remedy>[A-Z\[`][^\n]*?)\.?")


def reason_and_remedy(recorded: str, label: str) -> tuple[str, str]:
    """The parts of what the ledger records of an error: without its subject, the document."""
    text = recorded.removeprefix(f"{label}: ").strip()
    found = _LAST.fullmatch(text)
    if found is None:
        return text.removesuffix("."), ""
    return found["reason"], found["remedy"]
