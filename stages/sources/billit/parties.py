"""Parties: whose data a request is for, and of which configured company a document is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from msgspec import Struct

from pipeline.errors import SourceError
from stages.settings import Company, Member
from stages.sources.billit.api import InboxItem
from stages.sources.billit.settings import ACCOUNTANT, COMPANY, FEEDS, INBOX, Billit
from stages.sources.http.known_companies import canonical, numbers_of


class Place(Struct, frozen=True):
    """Where a document is, as which its entry's id is written.

    party: the PartyID of its company, if that is known. item: its number in the list. receiver:
    the company whose inbox it is in, if that is looked at by itself. file: of the inbox, its file.
    """

    door: str
    party: str
    item: str
    receiver: str = ""
    file: str = ""

    @property
    def id(self) -> str:
        """The id of its entry."""
        parts = [self.door, self.party, self.item]
        if self.door == INBOX:
            parts += [self.receiver, self.file]
        return "/".join(quote(part, safe="") for part in parts)

    @property
    def scope(self) -> Scope:
        """The list that shows it."""
        return Scope(self.party, self.receiver)


def place_of(id_: str, subject: str) -> Place:
    """The place that an entry's id says. SourceError if it is none."""
    parts = [unquote(part) for part in id_.split("/")]
    if (parts[0], len(parts)) == (FEEDS, 3):
        return Place(FEEDS, parts[1], parts[2])
    if (parts[0], len(parts)) == (INBOX, 5):
        return Place(INBOX, *parts[1:])
    raise SourceError(subject, "its id is none of this connector's", "Restore the kind of source")


class Scope(Struct, frozen=True):
    """An inbox to look at: that of a PartyID, or of a receiver alone; "" is not asked for."""

    party: str = ""
    receiver: str = ""

    def __str__(self) -> str:
        return self.receiver or self.party


def scopes(settings: Billit, members: Sequence[Member]) -> Sequence[Scope]:
    """The inboxes to look at, each once."""
    if settings.per_company:
        found = [Scope(one.platform_id or "", one.company.identifier) for one in members]
    else:
        found = [Scope(one.platform_id or "") for one in members]
    return list(dict.fromkeys(found)) or [Scope()]


def party_headers(settings: Billit, door: str, party: str) -> Mapping[str, str]:
    """The headers that say whose data is meant. party: the company's, "" for none."""
    own = settings.party_id
    if not party or party == own:
        return {"PartyID": own or party} if own or party else {}
    whose = settings.context_header or (COMPANY if door == FEEDS else ACCOUNTANT)
    if whose == ACCOUNTANT:
        return {"PartyID": party, **({"ContextPartyID": own} if own else {})}
    if door == INBOX and not own:
        return {"PartyID": party}
    return {**({"PartyID": own} if own else {}), "ContextPartyID": party}


class Owners:
    """Finds the configured company of a document.

    strict: whether every company has a PartyID, so that documents of others are left out.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.strict = all(one.platform_id is not None for one in members)
        self._by_party = {one.platform_id: one.company for one in reversed(members)}
        self._by_number = {
            number: one.company for one in reversed(members) for number in numbers_of(one.company)
        }
        self._parties: dict[str, list[str]] = {}
        for one in members:
            self._parties.setdefault(one.company.identifier, []).append(one.platform_id or "")
        self._alone = members[0].company if len(members) == 1 else None

    def of_party(self, party: str) -> Company | None:
        """The company of a PartyID."""
        company = self._by_party.get(party)
        return company or (None if self.strict else self._alone)

    def of_item(self, item: InboxItem, scope: Scope) -> tuple[bool, Company | None]:
        """Whether a document of the inbox may be of a configured company, and of which.

        Who it is for decides where that can be read; else whose inbox it is in.
        """
        stated = [number for one in item.receivers if (number := canonical(one))]
        for number in stated:
            if company := self._by_number.get(number):
                return True, company
        if stated:
            return False, None
        if scope.receiver:
            return True, self._by_number.get(canonical(scope.receiver))
        return True, self._by_party.get(scope.party) if scope.party else self._alone

    def party(self, company: Company | None, scope: Scope) -> str:
        """The PartyID of a document's company; the same whichever inbox shows the document."""
        found = self._parties.get(company.identifier, []) if company is not None else []
        return scope.party if scope.party in found or not found else found[0]
