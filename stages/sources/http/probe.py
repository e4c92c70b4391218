"""Probe: what `synqup check` does at a source whose sign-in would use up its refresh token."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
from yarl import URL

from pipeline.sign_in import NotSignedIn, described, has_ended
from stages.sources.http.client import HttpClient
from stages.sources.http.oauth import SignIn
from stages.sources.http.oauth_settings import OAuthSettings


async def probe(
    settings: OAuthSettings, state_dir: Path, sign_in: SignIn, http: HttpClient, url: str = ""
) -> str:
    """Send a request without credentials to each address, and look at what is stored.

    url: the base address of the API. Returns what was found, as a sentence; NotSignedIn if nobody
    is signed in.
    """
    subject = f"source {settings.name}"
    not_signed_in = None
    try:
        await anyio.to_thread.run_sync(sign_in.read_secrets)
    except NotSignedIn as error:
        not_signed_in = error
    state = await anyio.to_thread.run_sync(settings.token_store(state_dir).state)
    for address in (settings.authorize_url, settings.token_url, url):
        if address:
            answer = await http.send("GET", URL(address), subject=subject)
            answer.release()
    found = described(state)
    if not_signed_in is not None:
        raise not_signed_in
    if has_ended(state):
        raise NotSignedIn(subject, found)
    return (
        f"{found}; its addresses answer and its secrets can be read; this check has not signed"
        " in, for a refresh token is good for one sign-in, which is left to the service"
        " (catch-up --dry-run signs in)"
    )
