"""Receivers of alerts on loopback: a web server that records, and a mail server."""

from __future__ import annotations

import asyncio
import email
import json
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

import anyio
import pytest
from aiohttp import web
from msgspec import Struct
from yarl import URL

from tests.helpers.serving import serving

#: The section of a configuration whose alerts go to a receiver.
ALERTS = """
[alerts]
grace = "1s"
[[alerts.heartbeats]]
url = "{url}beat"
[[alerts.webhooks]]
name = "hook"
url = "{url}hook"
"""

#: Seconds that the end of a server may take.
CLOSING = 1.0


class Call(Struct):
    """A request as it came. path: with its query."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebReceiver:
    """Records each request, and answers as it is told. status: of the answers to come."""

    def __init__(self) -> None:
        self.url = URL()
        self.calls: list[Call] = []
        self.status = 200
        self.headers: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        path = request.raw_path
        self.calls.append(Call(request.method, path, body, dict(request.headers)))
        return web.Response(status=self.status, text="said", headers=self.headers)

    def told(self) -> list[str]:
        """The cause and the state of each message that the webhook of ALERTS has brought."""
        hooked = [call.json for call in self.calls if call.path == "/hook"]
        return [f"{one['cause']} {one['state']}" for one in hooked]

    @property
    def paths(self) -> list[str]:
        return [call.path for call in self.calls]

    def messages(self) -> list[dict[str, Any]]:
        return [call.json for call in self.calls]


@asynccontextmanager
async def receiving() -> AsyncIterator[WebReceiver]:
    receiver = WebReceiver()
    async with serving(receiver.answer) as url:
        receiver.url = url
        yield receiver


class MailReceiver:
    """Keeps each mail. refuse: an answer to each mail that is sent, in place of taking it."""

    def __init__(self, credentials: tuple[str, str] | None) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse = ""
        self.refused_recipients: list[str] = []
        self._credentials = credentials

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refused_recipients:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse
        found = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, kind: str, data: Any) -> Any:
        from aiosmtpd.smtp import AuthResult  # noqa: PLC0415

        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._credentials, handled=False)


@asynccontextmanager
async def mail_receiving(
    tls: ssl.SSLContext | None = None,
    *,
    starttls: bool = True,
    credentials: tuple[str, str] | None = None,
) -> AsyncIterator[MailReceiver]:
    """A mail server. tls: with it, by STARTTLS or from the first byte."""
    smtp = pytest.importorskip("aiosmtpd.smtp", reason="aiosmtpd receives the mails")
    receiver = MailReceiver(credentials)
    options: dict[str, Any] = {"hostname": "localhost", "enable_SMTPUTF8": True}
    if tls is not None and starttls:
        options |= {"tls_context": tls, "require_starttls": True}
    if credentials is not None:
        options |= {
            "authenticator": receiver.authenticate,
            "auth_required": True,
            "auth_require_tls": tls is not None and starttls,
        }
    loop = asyncio.get_running_loop()

    def session() -> asyncio.Protocol:
        with warnings.catch_warnings():
            # It warns of what a test wants.
            warnings.simplefilter("ignore")
            made: asyncio.Protocol = smtp.SMTP(receiver, loop=loop, **options)
            return made

    server = await loop.create_server(
        session,
        "127.0.0.1",
        0,
        ssl=None if starttls else tls,
    )
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        # From Python 3.12 on it waits for those who are still connected.
        with anyio.move_on_after(CLOSING):
            await server.wait_closed()
