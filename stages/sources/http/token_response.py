"""Token response reader (RFC 6749, 5.1): reads what a token endpoint answers, however it writes it.

Whatever stands there besides the token, the token is used.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from urllib.parse import parse_qsl

from msgspec import Struct, json

from pipeline.text import NAME, sanitized
from stages.sources.http import lenient_json
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8

#: Lifetime in seconds of a token whose server does not state it.
DEFAULT_LIFETIME = 300.0
#: Seconds for which a token is used at least, and at most, whatever lifetime is stated: none may
#: cost a sign-in for each request.
MIN_LIFETIME = 10.0
MAX_LIFETIME = 86_400.0
#: Members of an answer that are looked into.
MAX_FIELDS = 100
#: What some put before the token, although the header has it anyway.
SCHEME = re.compile(r"^Bearer\s+", re.IGNORECASE)
#: How issuers name the lifetime of a refresh token in seconds, which RFC 6749 leaves out:
#: Keycloak; Microsoft, GitHub and others; Intuit.
REFRESH_LIFETIMES = (
    "refresh_expires_in",
    "refresh_token_expires_in",
    "x_refresh_token_expires_in",
)
#: The longest that counts: more stands for "never".
MAX_REFRESH_LIFETIME = 100 * 365 * 86_400.0
#: Claims of an ID token that name its user, the clearest one first (OpenID Connect Core, 5.1).
ACCOUNT_CLAIMS = ("preferred_username", "upn", "email", "name", "sub")


class TokenResponse(Struct, frozen=True):
    """The answer of a token endpoint (RFC 6749, 5.1).

    lifetime: of the token in seconds. refresh_token: the next one, empty if none came.
    refresh_lifetime: seconds until a refresh token ends; None where the server does not say so, or
    it never does. account: the user, for people to read; empty if nothing tells.
    """

    access_token: str
    lifetime: float
    refresh_token: str
    refresh_lifetime: float | None = None
    account: str = ""


def read_token_response(body: bytes) -> TokenResponse:
    """Read an answer. Whatever stands there besides the token, the token is used."""
    given = _members(as_utf8(body), "access_token")
    token = (lenient_json.word(given.get("access_token")) or "").strip()
    return TokenResponse(
        SCHEME.sub("", token),
        _lifetime(lenient_json.text(given.get("expires_in"))),
        lenient_json.text(given.get("refresh_token")) or "",
        _refresh_lifetime(given),
        _account(lenient_json.word(given.get("id_token")) or ""),
    )


def read_token_error(body: bytes) -> tuple[str, str]:
    """Read a refusal (RFC 6749, 5.2): its code, such as invalid_grant, and its words."""
    given = _members(as_utf8(body), "error")
    code = lenient_json.word(given.get("error")) or ""
    if not code and "errors" in given:
        # A list of objects, as some platforms have it for all of their errors.
        with suppress(*JSON_ERRORS):
            first = next(map(bytes, lenient_json.elements(given["errors"])), b"")
            given = {name.lower(): value for name, value in lenient_json.members(first).items()}
            code = lenient_json.word(given.get("code")) or ""
    names = ("error_description", "message", "description")
    words = (lenient_json.word(given.get(name)) for name in names)
    return code.strip(), next((one for one in words if one), code)


def _members(body: bytes, wanted: str) -> Mapping[str, bytes]:
    """The members of the object that holds one of this name: the answer itself, or one inside."""
    try:
        if body.startswith(b"["):
            (body,) = map(bytes, lenient_json.elements(body))
        given = lenient_json.members(body)
    except JSON_ERRORS:
        # Some answer in the form in which they were asked.
        return _form_members(body.decode("utf-8", "replace"))
    inside = () if wanted in given else given.values()
    for value in islice((one for one in inside if one.startswith(b"{")), MAX_FIELDS):
        with suppress(*JSON_ERRORS):
            found = lenient_json.members(value)
            if wanted in found:
                return found
    return given


def _form_members(text: str) -> Mapping[str, bytes]:
    try:
        return {
            one: json.encode(value) for one, value in parse_qsl(text, max_num_fields=MAX_FIELDS)
        }
    except ValueError:  # there are more
        return {}


def _lifetime(stated: str | None) -> float:
    """The lifetime of a token, DEFAULT_LIFETIME if none of use is stated.

    A token that has expired earlier is answered with 401, and renewed then.
    """
    try:
        lifetime = float(stated or "")
    except ValueError:
        return DEFAULT_LIFETIME
    if not lifetime > 0:  # also NaN
        return DEFAULT_LIFETIME
    return min(max(lifetime, MIN_LIFETIME), MAX_LIFETIME)


def _refresh_lifetime(given: Mapping[str, bytes]) -> float | None:
    stated = (lenient_json.text(given.get(name)) for name in REFRESH_LIFETIMES)
    try:
        lifetime = float(next((one for one in stated if one), ""))
    except ValueError:
        return None
    # Zero stands for a token that does not end (Keycloak's offline tokens).
    return lifetime if 0 < lifetime <= MAX_REFRESH_LIFETIME else None


def _account(id_token: str) -> str:
    """The user of an ID token (RFC 7519), which is only shown, so that its signature can wait."""
    _, _, rest = id_token.partition(".")
    encoded, _, _ = rest.partition(".")
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        claims = lenient_json.members(base64.urlsafe_b64decode(padded))
    except (ValueError, *JSON_ERRORS):
        return ""
    said = (lenient_json.word(claims.get(name)) for name in ACCOUNT_CLAIMS)
    return sanitized(next((one.strip() for one in said if one and one.strip()), ""), NAME)
