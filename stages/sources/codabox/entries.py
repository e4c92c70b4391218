"""Feed entries: what a feed says of a document, as the engine takes it."""

from __future__ import annotations

from urllib.parse import quote, unquote

from pipeline.source import Entry, Form
from pipeline.text import quoted
from stages.kind import Kind
from stages.model import Listed
from stages.settings import Config
from stages.sources.codabox.api import FeedEntry, PodClient
from stages.sources.codabox.clients import OwnedFeed
from stages.sources.codabox.settings import CodaBox

#: What the models are. Of all others, known or not, the content tells.
KINDS = {
    "coda": Kind.STATEMENT,
    "purchase_invoice": Kind.PURCHASE,
    "sales_invoice": Kind.SALES,
}
MEDIA_TYPES = {
    "cod": "application/vnd.coda",
    "pdf": "application/pdf",
    "xml": "application/xml",
}
#: Formats of one document that are tried, at most.
MAX_FORMATS = 5
#: What the id of a document begins with that CodaBox delivers a second time.
AGAIN = "redownload:"


class FeedListed(Listed, frozen=True):
    """What a feed says of a document. formats: in which it may be had, the best first."""

    formats: tuple[str, ...] = ()


def entry_of(
    one: FeedEntry, feed: OwnedFeed, pod: PodClient, config: Config, settings: CodaBox
) -> Entry:
    """The entry of a document in a feed."""
    number = f" {one.number}" if one.number else ""
    account = f" of {one.account}" if one.account else ""
    named = f"{one.model or 'document'}{number}{account}"
    formats = formats_of(one.model, pod, settings)
    # No offset reaches what lies behind an entry that can't be read.
    behind = ", behind an entry that can't be read" if one.after_hole else ""
    return Entry(
        id=entry_id(settings, feed.client.id, one.index),
        revision="",
        label=f"{quoted(named)} (id {quoted(one.index)})",
        forms=tuple(Form(name, MEDIA_TYPES.get(name, "")) for name in formats),
        lane=f"{feed.label} [{feed.client.id}]{behind}",
        meta=FeedListed(
            config=config,
            id=one.index,
            kind=KINDS.get(one.model),
            company=feed.company.identifier if feed.company else None,
            number=one.number,
            issue_date=one.date,
            formats=formats[:MAX_FORMATS],
        ),
    )


def formats_of(model: str, pod: PodClient, settings: CodaBox) -> tuple[str, ...]:
    """The formats of a model, the best first: those wanted that it has, then its others.

    Of a model that the account does not tell of, all that are wanted are tried.
    """
    wanted = _wanted(KINDS.get(model), settings)
    allowed = pod.formats.get(model) or wanted
    return tuple(dict.fromkeys([*(one for one in wanted if one in allowed), *allowed]))


def formats_listed(listed: Listed, settings: CodaBox) -> tuple[str, ...]:
    """The formats of a document; of one that no feed shows any more, those that are wanted."""
    if isinstance(listed, FeedListed) and listed.formats:
        return listed.formats
    return _wanted(listed.by_hand.kind if listed.by_hand else listed.kind, settings)


def _wanted(kind: Kind | None, settings: CodaBox) -> tuple[str, ...]:
    match kind:
        case Kind.STATEMENT:
            return settings.statement_formats
        case Kind.PURCHASE | Kind.SALES:
            return settings.invoice_formats
        case _:
            return settings.other_formats


def entry_id(settings: CodaBox, feed: str, index: str) -> str:
    """The id of an entry; what is delivered a second time has another one."""
    again = AGAIN if settings.feed == "redownload" else ""
    return f"{again}{quote(feed, safe='')}/{index}"


def split_id(id_: str) -> tuple[str, str]:
    """The feed and the index of an id."""
    feed, _, index = id_.removeprefix(AGAIN).partition("/")
    return unquote(feed), index
