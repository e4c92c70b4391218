"""CodaBox settings: the [[sources]] section of kind "codabox"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pipeline.config.loader import LoadContext
from pipeline.config.types import Duration, Secret, above_zero, one_of
from pipeline.sign_in import SignInState
from stages.sources.codabox.credentials import CredentialStore
from stages.sources.http.settings import HttpSettings, refuse_half, web_address
from stages.sources.http.token_store import token_path
from stages.values.identifiers import company_identifier


def form_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check the names of forms, the best first. Raises ValueError."""
    if not names or not all(name.isascii() and name.isalnum() for name in names):
        raise ValueError('write the names of one or more forms, like ["xml", "pdf"]')
    return names


def optional_identifier(text: str) -> str:
    """Check an enterprise number, or nothing. Raises ValueError."""
    return company_identifier(text) if text.strip() else ""


class CodaBox(
    HttpSettings,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
    tag="codabox",
):
    """[[sources]] of kind "codabox". What the platform does not publish is a setting here.

    software_company: the key that CodaBox has given to this software.
    vat: the number of the firm, to which `synqup sign-in` has a one-time token mailed. username,
    password: of a sign-in that was made elsewhere; both or none.
    feed: what is fetched: "download", or what CodaBox delivers a second time ("redownload").
    fetch_delay: seconds between two lists of a client's feed, until the platform says how many.
    statement_formats, invoice_formats, other_formats: in which form documents are fetched, the best
    first; the first one that the platform allows for a model is taken.
    """

    software_company: Secret
    url: Annotated[str, web_address] = "https://api.codabox.com/v2"
    vat: Annotated[str, optional_identifier] = ""
    username: str = ""
    password: Secret | None = None
    feed: Annotated[str, one_of("download", "redownload")] = "download"
    fetch_delay: Annotated[Duration, above_zero] = Duration(7200)
    connections: Annotated[int, above_zero] = 16
    statement_formats: Annotated[tuple[str, ...], form_names] = ("cod", "xml", "pdf")
    invoice_formats: Annotated[tuple[str, ...], form_names] = ("xml", "pdf")
    other_formats: Annotated[tuple[str, ...], form_names] = ("xml", "pdf", "cod")

    @property
    def by_person(self) -> bool:
        """Whether user and password come by `synqup sign-in`."""
        return not self.username

    def sign_in_state(self, state_dir: Path) -> SignInState | None:
        """What is known of the sign-in by a person; None where none is needed. Sends no request."""
        return self.credentials(state_dir).state() if self.by_person else None

    def credentials(self, state_dir: Path) -> CredentialStore:
        """The store of what a sign-in by a person has brought."""
        return CredentialStore(self.name, token_path(state_dir, self.name))

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that there is what each way to sign in needs."""
        super().validate(base, key, context)
        if not context.is_valid(key, "username", "password", "vat"):
            return
        given = {"username": self.username, "password": self.password}
        refuse_half(given, "write both, or none and sign in by `synqup sign-in`", key, context)
