"""Company folders: fills a path template with what is known of a company."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.long_paths import local_path
from stages.naming.names import sanitize
from stages.naming.templates import fill, variables


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


def fixed_part(template: str) -> Path:
    """The part of an absolute path template that is the same for every company: a folder."""
    parts = Path(template).parts
    variable = next((n for n, part in enumerate(parts) if variables(part)), len(parts))
    return local_path(Path(*parts[:variable]))
