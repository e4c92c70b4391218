"""Billit settings: the [[sources]] section of kind "billit"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from msgspec import structs
from yarl import URL

from pipeline.config.loader import POINTER, LoadContext
from pipeline.config.types import Duration, Secret, above_zero, one_of
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.oauth_settings import OAuthSettings
from stages.sources.http.settings import HttpSettings, web_address

#: The two doors.
FEEDS, INBOX = "feeds", "inbox"
#: Whose number ContextPartyID is.
ACCOUNTANT, COMPANY = "accountant", "company"
#: How requests for tokens are sent.
JSON = "json"
#: The version of the API, which the base address ends with.
VERSION = "/v1"


def party(text: str) -> str:
    """Check a PartyID, which is sent as a header. Raises ValueError."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError('a PartyID is a whole number in quotes, like "640218"')
    return text


class Billit(
    OAuthSettings,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
    tag="billit",
):
    """[[sources]] of kind "billit". What Billit does not say, or says twice, is a setting here.

    door: "feeds", what the clients of an accountant have exported, or "inbox", what came by Peppol.
    url: base address of the API, with its version. token_url, authorize_url: of the sign-in, by
    default those that belong to url.
    api_key: for one's own administration, in place of a sign-in.
    party_id: one's own PartyID; for an accountant the firm's. context_header: whose PartyID goes
    into ContextPartyID; by default the company's at the feeds, and the accountant's at the inbox.
    token_request: how requests for tokens are sent. remote_server: the name of this machine, for
    Billit's log of what was fetched.
    Feeds: feed, the name of the feed, of this installation alone. register_feed: register it, if it
    is not there. list_pause: seconds between two looks at it.
    Inbox: per_company, look at the inbox of each company (ReceiverCompanyID) by itself. envelope:
    "unwrap" delivers the invoice in the envelope (SBDH), "keep" the envelope.
    push_secret: of the webhooks, one in each line. push_max_age: how long ago one may have been
    signed.
    """

    door: Annotated[str, one_of(FEEDS, INBOX)]
    url: Annotated[str, web_address] = "https://api.billit.be/v1"
    token_url: Annotated[str, web_address] = ""
    client_id: str = ""
    scope: str = ""
    offline_access: bool = False
    api_key: Secret | None = None
    party_id: Annotated[str, party] = ""
    context_header: Annotated[str, one_of(ACCOUNTANT, COMPANY)] = ""
    token_request: Annotated[str, one_of(JSON, "form")] = JSON
    remote_server: str = ""
    feed: str = ""
    register_feed: bool = False
    list_pause: Duration = Duration(60)
    per_company: bool = False
    envelope: Annotated[str, one_of("unwrap", "keep")] = "unwrap"
    push_secret: Secret | None = None
    push_max_age: Annotated[Duration, above_zero] = Duration(300)

    @property
    def base(self) -> URL:
        """The base address, with the version."""
        url = URL(self.url)
        path = url.raw_path.rstrip("/")
        return url.with_path(path or VERSION, encoded=True)

    @property
    def client(self) -> OAuthClient:
        """The credentials."""
        return structs.replace(super().client, in_json=self.token_request == JSON)

    @property
    def exclusive_sign_in(self) -> bool:
        """A refresh token is good for one sign-in; an API key for any number."""
        return self.api_key is None

    def located(self, base: Path) -> Self:
        """The same section with its paths, and the addresses of its sign-in, absolute."""
        found = super().located(base)
        if found.api_key is not None:
            return found
        return structs.replace(
            found,
            token_url=found.token_url or str(URL(found.url).with_path("/OAuth2/token")),
            authorize_url=found.authorize_url or logon_address(found.url),
        )

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that there is one way to sign in, and what the door needs."""
        HttpSettings.validate(self, base, key, context)
        if context.is_valid(key, "door", "feed") and self.door == FEEDS and not self.feed.strip():
            context.add_problem(
                f"{key}.feed",
                "this key is missing",
                'name the feed of this installation, like "synqup-1"; two that read one feed lose'
                " documents",
            )
        if not context.is_valid(key, "api_key", "client_id", "client_secret", "authorize_url"):
            return
        if self.api_key is not None:
            if self.client_id:
                context.add_problem(
                    f"{key}.api_key",
                    "there is a client_id too",
                    "write the one or the other; an api_key is for one's own administration",
                )
            return
        if not self.client_id:
            context.add_problem(
                f"{key}.client_id",
                "this key is missing",
                "write client_id and client_secret, or api_key for one's own administration",
            )
        if self.client_secret is None:
            context.add_problem(f"{key}.client_secret", "this key is missing", POINTER)
        if context.is_valid(key, "url") and not (self.authorize_url or logon_address(self.url)):
            context.add_problem(
                f"{key}.authorize_url",
                "this key is missing, and url does not tell it",
                "write the address at which people sign in, like"
                ' "https://my.billit.be/Account/Logon"',
            )


def logon_address(url: str) -> str:
    """Where people sign in, by the address of the API; "" if that does not tell it."""
    api = URL(url)
    host = (api.host or "").lower()
    if not host.startswith("api."):
        return ""
    return str(URL.build(scheme="https", host=f"my.{host[4:]}", path="/Account/Logon"))
