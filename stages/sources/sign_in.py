"""Sign-in by a person: opens one for a source that has it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.sign_in import InteractiveSignIn
from pipeline.turns import Turns
from stages.settings import SourceSettings
from stages.sources.http.oauth_settings import OAuthSettings
from stages.sources.registry import own_sign_in


def open_sign_in(
    settings: SourceSettings, state_dir: Path, turns: Turns | None = None
) -> InteractiveSignIn:
    """Begin the sign-in of a person to a source; no request is sent yet.

    state_dir, turns: as open_source() takes them. ConfigurationError if a person can't sign in
    there; SecretMissing.
    """
    if (own := own_sign_in(settings, state_dir, turns)) is not None:
        return own
    if not isinstance(settings, OAuthSettings) or not settings.authorize_url:
        problem = (
            "authorize_url: this is missing, and a sign-in by a browser needs it; write the"
            " authorization endpoint of the platform"
        )
        if not settings.exclusive_sign_in:
            problem += ", unless the client id and secret are enough, as they are without it"
        raise ConfigurationError(f"source {settings.name}", [problem])
    # An HTTP client takes long to import, and most commands need none.
    from stages.sources.http.authorization import AuthorizationCode  # noqa: PLC0415

    return AuthorizationCode(settings, state_dir, turns)
