"""Company folders: fills a path template with what is known of a company."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.long_paths import local_path
from stages.naming.names import sanitize
from stages.naming.templates import fill


@lru_cache(1024)  # all documents of a company and a kind go to the same folder
def company_folder(template: str, *, name: str, identifier: str, accounting_file_id: str) -> Path:
    """The folder that a path template gives a company.

    The value of each variable is sanitized, so that it stays within one component of the path.
    """
    values = {
        "enterprise_name": sanitize(name),
        "enterprise_identifier": sanitize(identifier),
        "accounting_file_id": sanitize(accounting_file_id),
    }
    return local_path(fill(template, values))
