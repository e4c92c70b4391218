"""OAuth settings: what every connector that signs in by OAuth 2.0 may set, and its checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from yarl import URL

from pipeline.config.loader import POINTER, LoadContext
from pipeline.config.types import Secret, not_blank
from pipeline.sign_in import SignInState
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.settings import HttpSettings, is_this_machine, web_address
from stages.sources.http.token_store import TokenStore, token_path


def redirect_address(text: str) -> str:
    """Check the address that the platform sends the browser back to. Raises ValueError."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if not url.scheme or "#" in text or url.user or url.password or text != text.strip():
        raise ValueError('this is no address to be sent back to; write "http://127.0.0.1:8400/"')
    if url.scheme in ("http", "https") and not url.host:
        raise ValueError('this address has no host; write "http://127.0.0.1:8400/"')
    if url.scheme == "http" and not is_this_machine(url.host or ""):
        raise ValueError("the code would travel in the clear; write https://, or an address here")
    return text


class OAuthSettings(HttpSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of a sign-in by OAuth 2.0; a connector's own section inherits from it.

    client_secret: needed for client credentials; a public client has none.
    authorize_url: of the authorization endpoint: with it a person signs in by `synqup sign-in`.
    redirect_uri: where the platform sends the browser back, as registered there; without one,
    http://127.0.0.1/ with any free port (RFC 8252, 7.3). offline_access: ask for that scope, so
    that the sign-in outlives the browser's.
    refresh_token: of a sign-in that was made elsewhere. Without it and without authorize_url,
    client credentials are used.
    """

    token_url: Annotated[str, web_address]
    client_id: Annotated[str, not_blank]
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    scope: str = "openid"
    authorize_url: Annotated[str, web_address] = ""
    redirect_uri: Annotated[str, redirect_address] = ""
    offline_access: bool = True

    @property
    def client(self) -> OAuthClient:
        """The credentials."""
        return OAuthClient(
            self.token_url,
            self.client_id,
            self.client_secret,
            self.scope,
            self.refresh_token,
            self.authorize_url,
        )

    @property
    def exclusive_sign_in(self) -> bool:
        """A refresh token is good for one sign-in, which brings the next one."""
        return self.client.by_refresh_token

    def sign_in_state(self, state_dir: Path) -> SignInState | None:
        """What is known of the sign-in by a person; None where none is needed. Sends no request."""
        if not self.exclusive_sign_in:
            return None
        return self.token_store(state_dir).state()

    def token_store(self, state_dir: Path, *, shared: bool = False) -> TokenStore:
        """The store of the refresh token. shared: whether nodes of a cluster share it."""
        return TokenStore(self.name, token_path(state_dir, self.name), self.client, shared=shared)

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that there is what each way to sign in needs."""
        super().validate(base, key, context)
        names = ("client_secret", "refresh_token", "authorize_url", "redirect_uri")
        if not context.is_valid(key, *names):
            return
        if not self.client_secret and not self.refresh_token and not self.authorize_url:
            context.add_problem(f"{key}.client_secret", "this key is missing", POINTER)
        if self.redirect_uri and not self.authorize_url:
            context.add_problem(
                f"{key}.authorize_url",
                "this is missing, and redirect_uri needs it",
                "write both or none",
            )
