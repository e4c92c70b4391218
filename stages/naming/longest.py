"""Longest paths: how long a path a template can give at most, before any document is known."""

from __future__ import annotations

from collections.abc import Mapping

from stages.naming.names import MAX_NAME, MAX_SUFFIX, file_name, sanitize
from stages.naming.templates import fill, variables

#: Characters that the value of a variable has at most. The others may be as long as a name.
LONGEST = {
    "issue_date": len("2026-11-26"),
    "account": 34,  # ISO 13616: an IBAN
    "kind": len("statement"),
}


def longest_name(template: str, known: Mapping[str, str], extension: str) -> int:
    """The characters that a name of a template has at most, with the number of an alternative.

    known: the values that are the same for all documents. extension: the longest, without its dot.
    """
    values = {name: "x" * LONGEST.get(name, MAX_NAME) for name in variables(template)}
    values |= {name: sanitize(known[name]) for name in values.keys() & known.keys()}
    return len(file_name(fill(template, values), {"id": "x"}, extension)) + MAX_SUFFIX
