"""Peppyrus settings: the [[sources]] section of kind "peppyrus"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from msgspec import structs

from pipeline.config.loader import LoadContext
from pipeline.config.types import not_blank, one_of
from stages.sources.http.company_keys import CompanyKey, check_keys, located_keys
from stages.sources.http.settings import HttpSettings, web_address

#: The largest page that clients ask for.
LARGEST_PAGE = 100
#: How a PDF comes: as a text of JSON, in an object of JSON, as it is, or not at all.
TEXT, OBJECT, BYTES, NONE = "text", "object", "bytes", "none"


def page_of_list(size: int) -> int:
    """Check how many messages of a list are asked for at once. Raises ValueError."""
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"write 1 to {LARGEST_PAGE}; pages hold whole documents")
    return size


class Peppyrus(
    HttpSettings,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
    tag="peppyrus",
):
    """[[sources]] of kind "peppyrus". What Peppyrus does not publish is a setting here.

    keys: one for each organisation. url: base address of the API, with its version. folder: that is
    read. page_size: messages of a list at once; they hold whole documents.
    pdf: how a PDF comes; pdf_member: in which member of an object.
    """

    keys: tuple[CompanyKey, ...]
    url: Annotated[str, web_address] = "https://api.peppyrus.be/v1"
    folder: Annotated[str, not_blank] = "INBOX"
    page_size: Annotated[int, page_of_list] = 25
    pdf: Annotated[str, one_of(TEXT, OBJECT, BYTES, NONE)] = TEXT
    pdf_member: Annotated[str, not_blank] = "fileContent"

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that each key says whose it is, and that no two are of one company."""
        super().validate(base, key, context)
        if context.is_valid(key, "keys"):
            check_keys(self.keys, key, context)

    def located(self, base: Path) -> Self:
        """The same section with its paths, and those of its keys, absolute."""
        found = super().located(base)
        return structs.replace(found, keys=located_keys(found.keys, base))
