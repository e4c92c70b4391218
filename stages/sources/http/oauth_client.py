"""OAuth client: the credentials of a source at its issuer, as configured."""

from __future__ import annotations

from msgspec import Struct

from pipeline.config.types import Secret
from pipeline.sign_in import sign_in_command


class OAuthClient(Struct, frozen=True):
    """The credentials of a source, as configured. client_secret: None for a public client.

    authorize_url: of the authorization endpoint, empty if its user can't sign in by `sign-in`.
    in_json: whether the token endpoint takes its requests as JSON, and not as a form.
    """

    token_url: str
    client_id: str
    client_secret: Secret | None
    scope: str
    refresh_token: Secret | None = None
    authorize_url: str = ""
    in_json: bool = False

    @property
    def by_refresh_token(self) -> bool:
        """Whether a person signs in, so that a refresh token is what access is granted for."""
        return self.refresh_token is not None or bool(self.authorize_url)

    def remedy(self, source: str) -> str:
        """How a person signs in again, as the remedy of an error; source: its name."""
        if self.authorize_url:
            return f"Sign in again: {sign_in_command(source)}"
        return (
            "Sign in again at the platform, and put the new refresh token where the configuration"
            f" says; or set authorize_url in [[sources]], and sign in by: {sign_in_command(source)}"
        )
