"""Wire format: what a connector whose platform speaks HTTP brings so that the sandbox can be it.

A connector's module `sandbox.py` fulfils it, and the registry of connectors names it. The sandbox
itself knows documents, their states, OAuth tokens and faults; everything about the platform's own
addresses and messages is in the wire format.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware

from stages.sandbox.authorization import AUTHORIZE_PATH
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import Target
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Platform, Sandbox, SecretText, Value
from stages.sandbox.pushing import Push
from stages.sandbox.tokens import TOKEN_PATH, IssuerRules, Tokens, authorised

#: Records an acknowledgement: the document's id, the platform's word for its status, the message.
Record = Callable[[str, str, str], None]


class Wire(Platform):
    """The wire format of one platform. Requests are below `base_path`, signed in already.

    base_path: of the API, such as "/v4". url_path: of the address that a configuration names; that
    of the API by default. storage_url: where `storage` is served, once it is.
    token_path, authorize_path: of the issuer of its tokens; rules: what that does.
    """

    base_path: str
    url_path: str | None = None
    storage_url: str = ""
    token_path: str = TOKEN_PATH
    authorize_path: str = AUTHORIZE_PATH
    rules: IssuerRules = IssuerRules()

    @abstractmethod
    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """What is answered below base_path; `record` is called for each acknowledgement."""

    @abstractmethod
    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:
        """The answer that tells of a failed request as the platform does."""

    def settings(self, mailbox: Mailbox) -> Mapping[str, Value]:  # noqa: ARG002 - wires use it
        """Further keys of the section in [[sources]], for the documents of this mailbox."""
        return {}

    def section(
        self, served: Sandbox, mailbox: Mailbox, *, by_person: bool = False
    ) -> Mapping[str, Value]:
        """The keys of the section in [[sources]]; here those of a sign-in by OAuth 2.0."""
        keys: dict[str, Value] = {
            "url": served.url,
            "token_url": served.token_url,
            "client_id": served.client_id,
            "client_secret": SecretText(served.client_secret),
        }
        if by_person:
            keys["authorize_url"] = served.authorize_url
        return {**keys, **self.settings(mailbox)}

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:  # noqa: ARG002 - wires use it
        """What refuses requests that are not signed in; here those without a bearer token."""
        return authorised(tokens)

    def storage(self, mailbox: Mailbox) -> Sequence[web.RouteDef]:  # noqa: ARG002 - wires use it
        """What another host of the platform answers, to requests without a sign-in."""
        return ()

    def push(self, mailbox: Mailbox, document: Document) -> Push | None:  # noqa: ARG002 - wires use them
        """What tells `push_url` of a document that has arrived; None: nothing does."""
        return None

    # What faults have to know of requests and answers.

    @abstractmethod
    def target(self, request: web.Request) -> Target:
        """What a request is about; requests for tokens are not asked for."""

    def identity(self, request: web.Request) -> str:
        """What is the same of a request that is made again, by which faults are drawn."""
        return f"{request.method} {request.path_qs}"

    @abstractmethod
    def document_id(self, request: web.Request) -> str:
        """The id of the document that an acknowledgement is about."""

    @abstractmethod
    def previous_page(self, request: web.Request) -> web.Request:
        """The request for the page of a list before the one that is asked for."""

    @abstractmethod
    def with_odd_item(self, page: bytes) -> bytes:
        """The same page of a list with an item in front that can't be read."""
