"""Settings of e-invoice.be: the [[sources]] section of kind "einvoice_be", and its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from msgspec import structs

from pipeline.config.loader import LoadContext
from pipeline.config.types import Duration, Secret, above_zero, one_of
from stages.sources.http.company_keys import CompanyKey, check_keys, located_keys
from stages.sources.http.settings import HttpSettings, host_pattern, web_address

#: The largest page that the platform gives.
LARGEST_PAGE = 100
#: The stores of which the platform's is likeliest to be one; it does not say which.
LIKELY_STORES = (
    "*.e-invoice.be",
    "storage.googleapis.com",
    "*.storage.googleapis.com",
    "*.amazonaws.com",
    "*.blob.core.windows.net",
    "*.r2.cloudflarestorage.com",
    "*.digitaloceanspaces.com",
    "*.scw.cloud",
    "*.your-objectstorage.com",
)


def page_of_list(size: int) -> int:
    """Check how many documents of a list are asked for at once. Raises ValueError."""
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"the platform gives 1 to {LARGEST_PAGE} a page; write {LARGEST_PAGE}")
    return size


class EInvoiceBe(
    HttpSettings, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="einvoice_be"
):
    """[[sources]] of kind "einvoice_be". What the platform does not publish is a setting here.

    keys: one for each company. url: base address of the API.
    storage_hosts: where documents may be fetched from without a key, by https; "*." stands for any
    part. The sandbox's, on this machine, may be http.
    inbox, outbox: which of the two lists are read.
    overlap: how far before the latest document that has come a list is read again. full_walk: how
    often it is read from its start. unsent: how long an invoice that is not sent yet is waited for
    in particular; what is sent later is found by the next full walk.
    ubl_wait: how long a document without a UBL waits since it was first listed, before it is
    quarantined.
    stated: whether the size and the hash that come with an address are checked.
    rate_limit: whether the platform's limits are for each key, or for all of an address together.
    push_secret: of the webhooks, one in each line.
    """

    keys: tuple[CompanyKey, ...]
    url: Annotated[str, web_address] = "https://api.e-invoice.be"
    storage_hosts: tuple[Annotated[str, host_pattern], ...] = LIKELY_STORES
    page_size: Annotated[int, page_of_list] = LARGEST_PAGE
    inbox: bool = True
    outbox: bool = True
    overlap: Annotated[Duration, above_zero] = Duration(2 * 86_400)
    full_walk: Annotated[Duration, above_zero] = Duration(7 * 86_400)
    unsent: Duration = Duration(30 * 86_400)
    ubl_wait: Duration = Duration(86_400)
    stated: Annotated[str, one_of("check", "ignore")] = "check"
    rate_limit: Annotated[str, one_of("key", "address")] = "key"
    push_secret: Secret | None = None

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that each key says whose it is, and that no two are of one company."""
        super().validate(base, key, context)
        if context.is_valid(key, "inbox", "outbox") and not (self.inbox or self.outbox):
            context.add_problem(
                f"{key}.inbox", "neither the inbox nor the outbox is read", "leave one of them on"
            )
        if context.is_valid(key, "keys"):
            check_keys(self.keys, key, context)

    def located(self, base: Path) -> Self:
        """The same section with its paths, and those of its keys, absolute."""
        found = super().located(base)
        return structs.replace(found, keys=located_keys(found.keys, base))
