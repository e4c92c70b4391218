"""Feed clients: finds the configured company of each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from pipeline.source import FoundCompany
from stages.settings import Company, Member
from stages.sources.codabox.api import Client, FeedClient
from stages.sources.http.known_companies import Signs
from stages.values.identifiers import company_identifier


class OwnedFeed(Struct, frozen=True):
    """A feed that is to be read. company: None if several companies have its number."""

    client: FeedClient
    company: Company | None

    @property
    def label(self) -> str:
        """As people know it."""
        return self.client.label or self.client.id


def owned(feeds: Iterable[FeedClient], members: Sequence[Member]) -> list[OwnedFeed]:
    """The feeds of configured companies; those of others are left alone."""
    found = []
    for client in feeds:
        owners = {
            member.company.identifier: member.company for member in members if is_of(client, member)
        }
        if owners:
            (company, *others) = owners.values()
            found.append(OwnedFeed(client, None if others else company))
    return found


def is_of(client: FeedClient, member: Member) -> bool:
    """Whether a feed client is a company."""
    return not signs_of(member).isdisjoint(signs_of_feed(client))


def signs_of(member: Member) -> Signs:
    """A company is known by its platform_id if there is one, else by its file number."""
    if member.platform_id is not None:
        return _signs("id", member.platform_id)
    return _signs("file number", member.company.accounting_file_id)


def signs_of_feed(client: FeedClient) -> Signs:
    """A feed client is known by its code, which is the file number, and by its ids."""
    return _signs("id", client.code, client.client_id, client.id) | _signs(
        "file number", client.code
    )


def found_companies(feeds: Iterable[FeedClient], clients: Iterable[Client]) -> list[FoundCompany]:
    """The feed clients as companies, with the numbers that the list of clients has of them."""
    by_code = {_bare(client.code): client for client in clients if client.code.strip()}
    by_id = {_bare(client.id): client for client in clients if client.id}
    found = []
    for feed in feeds:
        client = by_code.get(_bare(feed.code)) or by_id.get(_bare(feed.client_id))
        found.append(
            FoundCompany(
                id=feed.code or feed.client_id or feed.id,
                name=feed.name or (client.name if client else ""),
                identifier=_identifier(client.enterprise_number) if client else "",
                file_number=feed.code,
            )
        )
    return found


def _identifier(number: str) -> str:
    """A number as the configuration has it, or as it is written."""
    try:
        return company_identifier(number)
    except ValueError:
        return number


def _signs(sort: str, *names: str) -> Signs:
    return {(sort, bare) for name in names if (bare := _bare(name))}


def _bare(text: str) -> str:
    return text.strip().casefold()
