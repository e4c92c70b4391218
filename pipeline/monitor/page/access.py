"""Access: who may look and who may act, by tokens, signed cookies and links that are good once.

A session is a cookie that holds a role and a name, signed by a key that is derived of the token by
which it was opened: so sessions need no memory, survive a restart, and end when the token is
changed. Where there is no such token, the key is of this process. The token against forgery (CSRF)
that each form holds is derived of the same key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

Role = Literal["reader", "operator"]

#: Seconds for which a session is good: a screen on a wall stays signed in.
READER_AGE = 90 * 86_400
OPERATOR_AGE = 12 * 3600
#: Seconds for which a link is good, and links that are kept.
LINK_AGE = 120.0
MAX_LINKS = 20
#: Characters of a name, and of a cookie.
MAX_NAME = 40
MAX_COOKIE = 600


class Verifier(Protocol):
    """A token that is kept somewhere."""

    async def key(self) -> bytes:
        """What is derived of it at present; empty if it can't be read: then nothing is good."""

    async def is_it(self, text: str) -> bool:
        """Whether a text is the token; the time that this takes does not tell how nearly."""


class Session(Struct, frozen=True):
    """One who is signed in. csrf: what each of its forms has to bring; empty: it may not act."""

    role: Role
    name: str = ""
    csrf: str = ""

    @property
    def acts(self) -> bool:
        """Whether it may act."""
        return self.role == "operator" and bool(self.csrf)


class _Cookie(Struct, frozen=True, array_like=True):
    role: Role
    name: str
    until: int
    nonce: str


class Access:
    """Who may do what on one server. reader, operator: the tokens; None where there is none."""

    def __init__(
        self,
        reader: Verifier | None,
        operator: Verifier | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens: dict[Role, Verifier | None] = {"reader": reader, "operator": operator}
        self._own = secrets.token_bytes(32)
        self._clock = clock
        #: The names of those who were given a link, and until when it is good, by its code.
        self._links: OrderedDict[str, tuple[str, float]] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """Whether everybody who reaches the server may look."""
        return self._tokens["reader"] is None

    @property
    def has_operator(self) -> bool:
        """Whether one can sign in by a token to act."""
        return self._tokens["operator"] is not None

    async def session(self, cookie: str) -> Session | None:
        """The session of a cookie; where there is none, that of everybody, or None."""
        if cookie and len(cookie) <= MAX_COOKIE and (found := await self._read(cookie)):
            return found
        return Session("reader") if self.is_open else None

    async def sign_in(self, token: str, name: str = "") -> tuple[str, int] | None:
        """A cookie and its age in seconds, for one who knows a token; None if it is none."""
        for role in ("operator", "reader"):
            verifier = self._tokens[role]
            if verifier is not None and await verifier.is_it(token.strip()):
                return await self._issue(role, name)
        return None

    def invite(self, name: str) -> str:
        """The code of a link that signs an operator in, once, within LINK_AGE."""
        code = secrets.token_urlsafe(24)
        self._links[code] = (name, self._clock() + LINK_AGE)
        while len(self._links) > MAX_LINKS:
            self._links.popitem(last=False)
        return code

    async def redeem(self, code: str) -> tuple[str, int] | None:
        """A cookie and its age for the code of a link; None if it is not good any more."""
        name, until = self._links.pop(code, ("", 0.0))
        return await self._issue("operator", name) if self._clock() < until else None

    async def _issue(self, role: Role, name: str) -> tuple[str, int] | None:
        age = OPERATOR_AGE if role == "operator" else READER_AGE
        key = await self._key(role)
        if not key:
            return None
        shown = "".join(one for one in name if one.isprintable()).strip()[:MAX_NAME]
        nonce = secrets.token_urlsafe(12)
        held = msgspec.json.encode(_Cookie(role, shown, int(self._clock()) + age, nonce))
        text = base64.urlsafe_b64encode(held).decode()
        return f"{text}.{_mac(key, 'session', text)}", age

    async def _read(self, cookie: str) -> Session | None:
        text, _, mac = cookie.rpartition(".")
        try:
            held = msgspec.json.decode(base64.urlsafe_b64decode(text), type=_Cookie)
        except (ValueError, msgspec.MsgspecError):
            return None
        key = await self._key(held.role)
        is_ours = hmac.compare_digest(mac.encode(), _mac(key, "session", text).encode())
        if not key or not is_ours or held.until < self._clock():
            return None
        return Session(held.role, held.name, _mac(key, "csrf", held.nonce)[:40])

    async def _key(self, role: Role) -> bytes:
        verifier = self._tokens[role]
        return self._own if verifier is None else await verifier.key()


def _mac(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()
