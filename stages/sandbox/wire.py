"""Wire format: the contract of what a connector brings so that the sandbox can be its platform.

A connector's module `sandbox.py` fulfils it, and the registry of connectors names it. The sandbox
itself knows documents, their states, OAuth tokens and faults; everything about the platform's own
addresses and messages is in the wire format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from stages.sandbox.fault_spec import Target
from stages.sandbox.mailbox import Mailbox

#: Records an acknowledgement: the document's id, the platform's word for its status, the message.
Record = Callable[[str, str, str], None]


class Wire(ABC):
    """The wire format of one platform. Requests are below `base_path`, signed in already.

    kind: of the connector's section in [[sources]]. base_path: of the API, such as "/v4".
    """

    kind: str
    base_path: str

    @abstractmethod
    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """What is answered below base_path; `record` is called for each acknowledgement."""

    @abstractmethod
    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:
        """The answer that tells of a failed request as the platform does."""

    @abstractmethod
    def settings(self, mailbox: Mailbox) -> Mapping[str, str]:
        """Further keys of the section in [[sources]], for the documents of this mailbox."""

    # What faults have to know of requests and answers.

    @abstractmethod
    def target(self, request: web.Request) -> Target:
        """What a request is about; requests for tokens are not asked for."""

    @abstractmethod
    def document_id(self, request: web.Request) -> str:
        """The id of the document that an acknowledgement is about."""

    @abstractmethod
    def previous_page(self, request: web.Request) -> web.Request:
        """The request for the page of a list before the one that is asked for."""

    @abstractmethod
    def with_odd_item(self, page: bytes) -> bytes:
        """The same page of a list with an item in front that can't be read."""
