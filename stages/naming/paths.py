"""The folder that a path template gives a company."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from stages.naming.names import sanitize
from stages.naming.templates import fill


@lru_cache(1024)  # every document of a company and a kind goes to the same
def company_folder(template: str, *, name: str, identifier: str, accounting_file_id: str) -> Path:
    """The folder that a path template gives a company.

    Each variable's value is cleaned so that it stays within one component of the path.
    """
    values = {
        "enterprise_name": sanitize(name),
        "enterprise_identifier": sanitize(identifier),
        "accounting_file_id": sanitize(accounting_file_id),
    }
    return Path(fill(template, values))
