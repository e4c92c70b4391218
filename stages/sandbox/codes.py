"""Authorization codes of the sandbox (RFC 6749, 4.1, with PKCE by RFC 7636): issued, used once."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from yarl import URL

#: Seconds that a code is valid.
CODE_LIFETIME = 60.0
#: RFC 7636, 4.1 and 4.2.
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Approval(Struct, frozen=True):
    """What a person has approved, and for which request."""

    client_id: str
    redirect_uri: str
    challenge: str
    scope: str
    account: str


class CodeRefused(Exception):
    """A code that can't be exchanged. code: it was a good one, and has been used before."""

    def __init__(self, description: str, used: str = "") -> None:
        super().__init__(description)
        self.used = used


class Codes:
    """The codes that are out, and those that have been used."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[Approval, float]] = {}
        self._used: set[str] = set()

    def issue(self, approval: Approval) -> str:
        """A new code."""
        code = secrets.token_urlsafe(32)
        self._issued[code] = (approval, time.monotonic() + CODE_LIFETIME)
        return code

    def expire(self) -> None:
        """Let all codes that are out expire."""
        self._issued = {code: (one, 0.0) for code, (one, _) in self._issued.items()}

    def redeem(self, form: Mapping[str, Any]) -> Approval:
        """Use a code up (RFC 6749, 4.1.3). Raises CodeRefused."""
        code = str(form.get("code", ""))
        if code in self._used:
            raise CodeRefused("Code has been used before", code)
        approval, until = self._issued.pop(code, (None, 0.0))
        if approval is None:
            raise CodeRefused("Code not valid")
        self._used.add(code)
        if until <= time.monotonic():
            raise CodeRefused("Code has expired")
        if form.get("client_id") != approval.client_id:
            raise CodeRefused("Code was issued to another client")
        if form.get("redirect_uri") != approval.redirect_uri:
            raise CodeRefused("Incorrect redirect_uri")
        verifier = str(form.get("code_verifier", ""))
        is_proven = VERIFIER.fullmatch(verifier) and _challenge_of(verifier) == approval.challenge
        if approval.challenge and not is_proven:
            raise CodeRefused("PKCE verification failed")
        return approval


def may_redirect(redirect_uri: str, registered: str) -> bool:
    """Whether a browser may be sent there: to the registered address, or to this machine.

    On this machine any port will do (RFC 8252, 7.3).
    """
    if registered:
        return redirect_uri == registered
    try:
        url = URL(redirect_uri)
    except ValueError:
        return False
    return url.scheme == "http" and url.host in LOOPBACK


def _challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
