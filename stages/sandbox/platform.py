"""Platform: the contract of what the sandbox can be, whatever it speaks.

A connector's module `sandbox.py` fulfils it, and the registry of connectors names it: by a `Wire`
where the platform speaks HTTP, else by a Platform with a server of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from msgspec import Struct, ValidationError, convert, to_builtins

from pipeline.errors import ConfigurationError
from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import FaultSpec
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.tokens import PUBLIC_CLIENT_ID, Tokens


class SecretText(Struct, frozen=True):
    """A secret in a section: a configuration names the file that holds it."""

    text: str


#: What a key of a section may hold.
Value = str | int | float | bool | Path | SecretText | Sequence["Value"] | Mapping[str, "Value"]


class NoOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Of a platform of which nothing can be chosen."""


class Platform(ABC):
    """A system that the sandbox can be.

    kind: of the connector's section in [[sources]]. options: what can be chosen of it, a Struct
    with a default for each; see choose().
    """

    kind: str
    options: Struct = NoOptions()

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Set options by their names; called before it is served. Raises ConfigurationError."""
        current = to_builtins(self.options)
        try:
            self.options = convert({**current, **chosen}, type(self.options), strict=False)
        except ValidationError as error:
            there_are = ", ".join(f"{name}={value}" for name, value in current.items()) or "none"
            raise ConfigurationError(
                self.kind, [f"--option: {error}; the options of this platform are {there_are}"]
            ) from None

    @property
    def push_url(self) -> str:
        """Where it tells of documents that arrive: its option `push`; "" for nowhere."""
        return str(getattr(self.options, "push", ""))

    @abstractmethod
    def section(
        self, served: Sandbox, mailbox: Mailbox, *, by_person: bool = False
    ) -> Mapping[str, Value]:
        """The keys of the section in [[sources]] beside name and kind, for what is served.

        by_person: whether a person is to sign in, where the platform has that.
        """

    def membership(self, company: Company) -> str | None:
        """What the platform calls a company, for `platform_id`; None where it has no ids."""
        return company.platform_id

    def holds(self, document: Document) -> bool:  # noqa: ARG002 - platforms use it
        """Whether the platform has a document of the mailbox: some have no statements, say."""
        return True

    def serve(
        self,
        mailbox: Mailbox,
        *,
        host: str,
        port: int,
        latency: float,
        journal: Path | None,
        faults: Sequence[FaultSpec],
        tls: Path | None,
    ) -> AbstractAsyncContextManager[Sandbox]:
        """Serve a mailbox, where the platform does not speak HTTP. As serve_sandbox()."""
        raise NotImplementedError


class Sandbox(Struct, frozen=True):
    """A sandbox that is being served, and what to sign in with.

    url: the API's base address, or where the server is. storage_url: of what another host of the
    platform serves. refresh_token: the first one; each can be used once. issuer: what has issued
    the tokens, for what happens to them meanwhile.
    """

    platform: Platform

    url: str
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    storage_url: str = ""
    authorize_url: str = ""
    public_client_id: str = PUBLIC_CLIENT_ID
    issuer: Tokens | None = None
