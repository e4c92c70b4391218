"""Templates for paths and names: text with [variables] in brackets, and how it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Annotated

from pipeline.config.loader import suggestion
from pipeline.config.types import CONTROL, output_path

_VARIABLE = re.compile(r"\[([^\[\]]*)\]")
_SEPARATED = re.compile(r"([-_ ]*)\[([^\[\]]*)\]")

#: Variables of a path: about the company whose documents go there.
PATH_VARIABLES = ("enterprise_name", "enterprise_identifier", "accounting_file_id")

#: Variables of a file name: about the document, and those of a path.
NAME_VARIABLES = (
    *("issue_date", "document_number", "counterparty", "account", "kind", "id"),
    *PATH_VARIABLES,
)


@lru_cache(64)  # there are three or four in a configuration
def variables(template: str) -> tuple[str, ...]:
    """The names in a template's brackets, in order."""
    return tuple(_VARIABLE.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace variables by their values, unchanged. Other text in brackets stays as it is."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), template)


def fill_compactly(template: str, values: Mapping[str, str]) -> str:
    """Replace variables by their values; omit one without a value, and the separator before it."""
    return _SEPARATED.sub(
        lambda match: match[1] + value if (value := values.get(match[2])) else "", template
    )


def _known(known: Sequence[str], template: str) -> str:
    """Check the variables of a template. Raises ValueError with a suggestion."""
    wrong = [
        f"there is no variable [{name}]; {suggestion(name, known, '[{}]')}"
        for name in variables(template)
        if name not in known
    ]
    if set(_VARIABLE.sub("", template)) & set("[]"):
        wrong.append("a bracket has no other half; write variables like [enterprise_name]")
    if wrong:
        raise ValueError("; ".join(wrong))
    return template


def _one_name(template: str) -> str:
    """Check that a template gives one name, not a path. Raises ValueError."""
    if not template.strip():
        raise ValueError('a name can\'t be empty; write "[id]", for instance')
    if CONTROL.search(template) or set(template) & set('<>:"/\\|?*'):
        raise ValueError("a name can't hold any of < > : \" / \\ | ? *; write _ or - instead")
    return template


#: A template in the configuration, checked when the configuration is read.
PathTemplate = Annotated[str, partial(_known, PATH_VARIABLES), output_path]
NameTemplate = Annotated[str, partial(_known, NAME_VARIABLES), _one_name]
