"""Billit API v1, as far as it is needed: what its answers say, read leniently.

How each fact is known: [S] from the vendor's OpenAPI description, [P] from its pages, [C] from the
source of clients, [G] a guess. Nothing of it has been held against the real system.

- Sign-in: `ApiKey: <key>` for one's own administration; else OAuth 2 by authorization code alone.
  The browser goes to my.<host>/Account/Logon with client_id, redirect_uri and state, which holds no
  "&"; `POST /OAuth2/token` takes JSON [P, C]. An access token has 60 minutes; a refresh token does
  not end, and is good for one use [P].
- `PartyID` says which company; without it the oldest one of the user is taken, silently [P]. Of
  `ContextPartyID` the pages say that it is the accountant's own beside the client's PartyID, and
  the description of the feeds that the item's PartyID goes into it: a setting.
- `GET account/accountInformation` gives {"Companies": [{"PartyID", "Name", "VATNumber"}]} [C].
- Feeds [S]: `GET accountant/feeds` gives [{"Name"}], and a POST of one registers it; only what is
  exported from then on is in it. `GET accountant/feeds/{name}`, once a minute at most, gives
  [{"FeedItemID", "EntityID", "EntityType": "Order"|"Document", "PartyID"}]; `GET …/{FeedItemID}`
  {"FileName", "FileContent": base64, "FileContentSHA256Hash"}, whose hash is of the bytes, in
  hexadecimal or in base64; `POST …/{FeedItemID}/confirm` takes it off the list. DELETE of a feed is
  never called.
- Inbox [P, S]: `GET peppol/inbox`, with an optional ReceiverCompanyID, gives {"InboxItems": […]},
  the ten oldest; answers to sales (IMR, MLR) are among them. `GET files/{PeppolFileID}` gives
  {"FileID", "FileName", "MimeType", "FileContent": base64}, the envelope (SBDH) as it was sent.
  `POST peppol/inbox/{InboxItemID}/confirm` takes it off the list; it may be seen outside, so it is
  sent once the document is safe. `…/refuse` answers to the supplier [G] and is never called.
- What a second confirm answers is not known: 400, 404 and 409 count as "told already" if a later
  list does not show the item any more [S, G].
- Errors: {"errors": [{"Code", "Description"}]}, or {"ErrorEnum", "ErrorMessage", …} [P, C].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct

from pipeline.source import FoundCompany
from stages.sources.http import lenient_json
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8

#: Bytes of an answer that is no document, and objects in it, at most. A feed comes as a whole.
MAX_LIST_BYTES = 32_000_000
MAX_ITEMS = 200_000
#: Bytes of an id.
LONGEST_KEY = 200
#: Ids that an address can't hold: they would lead to another place.
NO_IDS = ("", ".", "..")


class InboxItem(Struct, frozen=True):
    """One document of the inbox. receivers: who it is for, in any spelling, the best first."""

    id: str
    file: str
    sender: str = ""
    receivers: tuple[str, ...] = ()
    type: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether it says something of a sale of ours."""
        return self.type.strip().upper() in ("IMR", "MLR", "MLS") or "ApplicationResp" in self.type


class FeedItem(Struct, frozen=True):
    """One document of a feed. party: of the company; type: "Order" or "Document"."""

    id: str
    party: str
    type: str = ""


class TooManyItems(ValueError):
    """There are more objects in an answer than can be."""


def inbox_items(body: bytes) -> Sequence[InboxItem | str]:
    """The items of the inbox, or why one can't be read. Raises one of JSON_ERRORS."""
    return [_inbox_item(given) for given in _objects(body, "inboxitems")]


def feed_items(body: bytes) -> Sequence[FeedItem | str]:
    """The items of a feed, or why one can't be read. Raises one of JSON_ERRORS."""
    return [_feed_item(given) for given in _objects(body, "items")]


def feed_names(body: bytes) -> Sequence[str]:
    """The names of the feeds that are registered. Raises one of JSON_ERRORS."""
    names = (lenient_json.text(one.get("name")) for one in _objects(body, "feeds", "items"))
    return [name for name in names if name]


def account_companies(body: bytes) -> Sequence[FoundCompany]:
    """The companies that an account gives access to. Raises one of JSON_ERRORS."""
    found: dict[str, FoundCompany] = {}
    for one in _objects(body, "companies", "items"):
        id_ = _name(one, "partyid", "companyid", "id")
        if id_:
            said = (_word(one, "name", "commercialname"), _word(one, "vatnumber", "companynumber"))
            found.setdefault(id_, FoundCompany(id_, *said))
    return list(found.values())


def _inbox_item(given: Mapping[str, bytes] | None) -> InboxItem | str:
    id_, file = _name(given, "inboxitemid"), _name(given, "peppolfileid", "fileid")
    if not given or id_ is None:
        return "it has no InboxItemID of use"
    if file is None:
        return f"item {id_} has no PeppolFileID of use"
    receivers = (_word(given, "receivercompanyid"), _word(given, "receiverpeppolid"))
    return InboxItem(
        id_,
        file,
        _word(given, "sendercompanyid", "senderpeppolid"),
        tuple(filter(None, receivers)),
        _word(given, "peppoldocumenttype"),
    )


def _feed_item(given: Mapping[str, bytes] | None) -> FeedItem | str:
    id_ = _name(given, "feeditemid")
    if not given or id_ is None:
        return "it has no FeedItemID of use"
    return FeedItem(id_, _name(given, "partyid") or "", _word(given, "entitytype"))


def _objects(body: bytes, *names: str) -> Sequence[Mapping[str, bytes]]:
    """The objects of an answer that is a list, or holds one under one of these names.

    Each by its members, still encoded, whose names are in lower case; one that is no object has
    none. ValueError if it is no such answer.
    """
    if body.count(b"{") > MAX_ITEMS:
        raise TooManyItems
    body = as_utf8(body).strip()
    if body.startswith(b"{"):
        given = _lower(lenient_json.members(body))
        name = next((one for one in names if one in given), None)
        if name is None:
            raise ValueError(f"there is no {names[0]}")
        body = given[name].strip()
    if body in (b"", b"null"):
        return []
    return [_members(one) for one in lenient_json.elements(body)]


def _members(raw: Raw) -> Mapping[str, bytes]:
    try:
        return _lower(lenient_json.members(bytes(raw)))
    except JSON_ERRORS:
        return {}


def _lower(given: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name.lower(): value for name, value in given.items()}


def _name(given: Mapping[str, bytes] | None, *names: str) -> str | None:
    """What identifies something: the first of these members that can be read."""
    for one in names:
        found = lenient_json.name((given or {}).get(one), LONGEST_KEY)
        if found is not None and found.strip() not in NO_IDS:
            return found
    return None


def _word(given: Mapping[str, bytes], *names: str) -> str:
    return next((word for one in names if (word := lenient_json.word(given.get(one)))), "")
