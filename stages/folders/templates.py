"""Templates of paths and names: text with [variables] in brackets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

_VARIABLE = re.compile(r"\[([^\[\]]*)\]")

#: What a path may say of the company whose documents go there.
PATH_VARIABLES = ("enterprise_name", "enterprise_identifier", "accounting_file_id")

#: What a file's name may say besides.
NAME_VARIABLES = (
    *("issue_date", "document_number", "counterparty", "account", "kind", "id"),
    *PATH_VARIABLES,
)


def variables(template: str) -> list[str]:
    """The names in a template's brackets, in order."""
    return _VARIABLE.findall(template)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values for all variables, as they are."""
    return _VARIABLE.sub(lambda match: values[match[1]], template)


def unknown_variables(template: str, known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each variable that does not exist, with what would be right."""
    for name in variables(template):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            every = ", ".join(f"[{one}]" for one in known)
            yield name, f"did you mean [{near[0]}]?" if near else f"known are {every}"
