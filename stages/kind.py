"""Kind of a document: purchase, sales, statement, or unknown; it decides the destination."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The kind of a document, which decides its destination."""

    PURCHASE = "purchase"
    SALES = "sales"
    STATEMENT = "statement"
    UNKNOWN = "unknown"

    @property
    def destination_key(self) -> str:
        """The key of [delivery] and [[companies]] that holds the destination of this kind."""
        return {
            "purchase": "purchases",
            "sales": "sales",
            "statement": "statements",
            "unknown": "others_path",
        }[self.value]
