"""API models: the JSON of CodaBox's delivery API v2, as three public third-party clients use it.

Where they agree it is taken for certain; they are of 2019 to 2022, and nothing here was held
against the platform itself.

Sign-in: HTTP Basic, and `X-Software-Company` with the key of the software. User and password come
once: `POST /request-access-token/invoicing-software/` `{"vat": "BE0403170701"}` answers 201 and has
a one-time token mailed to the client; `GET /get-credentials/{token}/` gives `username` and
`password`.

`GET /delivery/pod-client/`: who one is: `fetch_delay` (seconds between two lists of a feed),
`allowed_formats` (by model), `feed_clients` (the companies). `client_code` is the firm's own file
number; the enterprise number is in `GET /clients/` alone. `GET /delivery/feed/{id}/`: all that
waits for one of them, in the order of delivery, without pages.
`GET /delivery/download/{feed_index}/{format}/`: the document. `PUT /delivery/feed/{id}/`
`{"feed_offset": feed_index}`: all up to and with this one is received. The same with
`redownload-feed` and `redownload` for what CodaBox delivers a second time.

GET works with and without a slash at its end (without, by a redirect); PUT needs it. Errors are
`{"detail": "…"}`.

Guesses: that an offset may be sent twice; that one of a document that is no longer in the feed is
refused by 400; that `fetch_delay` counts for each feed; the answer to a list that is asked for too
early (429); the metadata of all models but `coda`, which are read as any JSON; pages of
`/clients/`, which are followed if its answer has a `next`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stages.sources.http import lenient_json
from stages.sources.http.lenient_json import as_utf8

#: Characters of an identifying value, which is kept of each document, and of a word of the API.
LONGEST_KEY = 1000
LONGEST_WORD = 100
#: Clients, and documents of one feed, at most.
MAX_CLIENTS = 20_000
MAX_ENTRIES = 50_000
#: Seconds of a `fetch_delay`, at most; a longer one is a mistake.
MAX_DELAY = 86_400.0

#: Ids that an address can't hold: they would lead to another place.
NO_IDS = ("", ".", "..")


class FeedClient(Struct, frozen=True):
    """A client of the firm at CodaBox. id: of its feed. code: the firm's own number of its file."""

    id: str
    client_id: str = ""
    name: str = ""
    code: str = ""

    @property
    def label(self) -> str:
        """As people know it."""
        return f"{self.name} ({self.code})" if self.name and self.code else self.name or self.code


class PodClient(Struct, frozen=True):
    """Who one is there. fetch_delay: seconds; None if it is not stated. formats: by model."""

    fetch_delay: float | None
    formats: Mapping[str, tuple[str, ...]]
    feeds: tuple[FeedClient, ...]


class FeedEntry(Struct, frozen=True, omit_defaults=True):
    """A document that waits in a feed. All but its index and its model are hints, or empty.

    after_hole: whether an entry that can't be read lies before it, so that no offset may reach it.
    """

    index: str
    model: str = ""
    number: str = ""
    date: str = ""
    account: str = ""
    after_hole: bool = False


class Feed(Struct, frozen=True):
    """What waits in a feed, in order. holes: why entries were left out that can't be read."""

    entries: tuple[FeedEntry, ...]
    holes: tuple[str, ...] = ()


class Client(Struct, frozen=True):
    """A client as `GET /clients/` tells of it. All may be empty."""

    id: str
    code: str
    name: str
    enterprise_number: str


def read_pod(body: bytes) -> PodClient:
    """Read the answer of pod-client. Raises one of JSON_ERRORS."""
    given = lenient_json.members(as_utf8(body))
    if "feed_clients" not in given:
        raise ValueError("there are no feed_clients")
    feeds = []
    for raw in _list(given["feed_clients"])[:MAX_CLIENTS]:
        client = _object(raw)
        if (id_ := _name(client.get("id"))) in NO_IDS:
            continue
        feeds.append(
            FeedClient(
                id_,
                _name(client.get("client_id")),
                (lenient_json.text(client.get("client_name")) or "").strip(),
                _name(client.get("client_code")),
            )
        )
    formats = {
        model: tuple(filter(None, (_word(one) for one in _list(raw)[:LONGEST_WORD])))
        for model, raw in _object(given.get("allowed_formats", b"{}")).items()
    }
    delay = lenient_json.count(given.get("fetch_delay"))
    return PodClient(None if delay is None else min(delay, MAX_DELAY), formats, tuple(feeds))


def read_feed(body: bytes) -> Feed:
    """Read the list of a feed. Raises one of JSON_ERRORS."""
    given = lenient_json.members(as_utf8(body))
    if "feed_entries" not in given:
        raise ValueError("there are no feed_entries")
    raws = _list(given["feed_entries"], strict=True)
    entries: list[FeedEntry] = []
    holes: list[str] = []
    for raw in raws[:MAX_ENTRIES]:  # what is left is listed once these have gone
        found = _entry(raw, after_hole=bool(holes))
        if isinstance(found, str):
            holes.append(found)
        else:
            entries.append(found)
    return Feed(tuple(entries), tuple(holes))


def read_clients(body: bytes) -> tuple[list[Client], str]:
    """Read a page of clients, and the address of the next one, "" if there is none.

    Raises one of JSON_ERRORS.
    """
    body = as_utf8(body).strip()
    following = ""
    if body.startswith(b"{"):
        given = lenient_json.members(body)
        following = lenient_json.word(given.get("next")) or ""
        lists = [given[name] for name in ("results", "clients") if name in given]
        if not lists:
            raise ValueError("there are no clients")
        (body, *_) = lists
    clients = []
    for raw in lenient_json.elements(body)[:MAX_CLIENTS]:
        client = _object(bytes(raw))
        legal = _object(client.get("legal_entity", b"{}"))
        names = (client.get("client_name"), client.get("name"), legal.get("name"))
        clients.append(
            Client(
                _name(client.get("id")),
                _name(client.get("client_code")),
                next(filter(None, map(lenient_json.text, names)), ""),
                _name(legal.get("enterprise_num")),
            )
        )
    return clients, following


def read_credentials(body: bytes) -> tuple[str, str]:
    """The user and the password of get-credentials. Raises one of JSON_ERRORS."""
    given = lenient_json.members(as_utf8(body))
    user, password = (lenient_json.word(given.get(one)) for one in ("username", "password"))
    if not user or not password:
        raise ValueError("there are no username and password")
    return user, password


def _entry(raw: bytes, *, after_hole: bool) -> FeedEntry | str:
    """An entry of a feed, or why it can't be read."""
    try:
        given = lenient_json.members(raw)
    except lenient_json.JSON_ERRORS:
        return "it is no JSON object"
    if (index := _name(given.get("feed_index"))) in NO_IDS:
        is_there = "feed_index" in given
        return "its feed_index is no text of use" if is_there else "it has no feed_index"
    about = _object(given.get("metadata", b"{}"))

    def said(*names: str) -> str:
        return next((word for one in names if (word := _name(about.get(one)))), "")

    return FeedEntry(
        index,
        _word(given.get("document_model")),
        said("last_statement_number", "first_statement_number", "number", "invoice_number"),
        said("new_balance_date", "date", "invoice_date"),
        said("iban"),
        after_hole,
    )


def _object(raw: bytes) -> Mapping[str, bytes]:
    try:
        return lenient_json.members(raw)
    except lenient_json.JSON_ERRORS:
        return {}


def _list(raw: bytes, *, strict: bool = False) -> Sequence[bytes]:
    if not strict and raw.strip() == b"null":
        return ()
    return [bytes(one) for one in lenient_json.elements(raw)]


def _name(raw: bytes | None) -> str:
    return (lenient_json.name(raw, LONGEST_KEY) or "").strip()


def _word(raw: bytes | None) -> str:
    """A word of the API, by which something is asked for."""
    word = (lenient_json.word(raw) or "").strip()
    return word if len(word) <= LONGEST_WORD and word not in NO_IDS else ""
