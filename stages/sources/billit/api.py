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

from collections.abc import Sequence

from msgspec import Struct

from pipeline.source import FoundCompany
from stages.sources.http import lenient_json
from stages.sources.http.json_objects import Members, key, objects, word

#: Bytes of an answer that is no document, at most. A feed comes as a whole.
MAX_LIST_BYTES = 32_000_000


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


def inbox_items(body: bytes) -> Sequence[InboxItem | str]:
    """The items of the inbox, or why one can't be read. Raises one of JSON_ERRORS."""
    return [_inbox_item(given) for given in objects(body, "inboxitems")]


def feed_items(body: bytes) -> Sequence[FeedItem | str]:
    """The items of a feed, or why one can't be read. Raises one of JSON_ERRORS."""
    return [_feed_item(given) for given in objects(body, "items")]


def feed_names(body: bytes) -> Sequence[str]:
    """The names of the feeds that are registered. Raises one of JSON_ERRORS."""
    names = (lenient_json.text(one.get("name")) for one in objects(body, "feeds", "items"))
    return [name for name in names if name]


def account_companies(body: bytes) -> Sequence[FoundCompany]:
    """The companies that an account gives access to. Raises one of JSON_ERRORS."""
    found: dict[str, FoundCompany] = {}
    for one in objects(body, "companies", "items"):
        id_ = key(one, "partyid", "companyid", "id")
        if id_:
            said = (word(one, "name", "commercialname"), word(one, "vatnumber", "companynumber"))
            found.setdefault(id_, FoundCompany(id_, *said))
    return list(found.values())


def _inbox_item(given: Members | None) -> InboxItem | str:
    id_, file = key(given, "inboxitemid"), key(given, "peppolfileid", "fileid")
    if not given or id_ is None:
        return "it has no InboxItemID of use"
    if file is None:
        return f"item {id_} has no PeppolFileID of use"
    receivers = (word(given, "receivercompanyid"), word(given, "receiverpeppolid"))
    return InboxItem(
        id_,
        file,
        word(given, "sendercompanyid", "senderpeppolid"),
        tuple(filter(None, receivers)),
        word(given, "peppoldocumenttype"),
    )


def _feed_item(given: Members | None) -> FeedItem | str:
    id_ = key(given, "feeditemid")
    if not given or id_ is None:
        return "it has no FeedItemID of use"
    return FeedItem(id_, key(given, "partyid") or "", word(given, "entitytype"))
