"""Alert channels: the ways by which messages go out, as [alerts] names them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from pipeline.alerts.message import Message
from pipeline.alerts.requests import Requests, address, as_url, secret_text
from pipeline.alerts.settings import AlertSettings, WebhookSettings
from pipeline.alerts.shapes import SHAPES
from pipeline.language.codes import DEFAULT


class Channel(Protocol):
    """One way. name: by which the outbox knows it, and its user. causes: of what it tells.

    language: the code of that in which it tells.
    """

    name: str
    causes: tuple[str, ...]
    language: str

    async def send(self, message: Message) -> None:
        """Send a message. Raises NotSent, MessageRefused, or another SynqupError."""


class Webhook:
    """Sends each message as JSON by POST."""

    def __init__(
        self,
        settings: WebhookSettings,
        causes: tuple[str, ...],
        requests: Requests,
        language: str = DEFAULT,
    ) -> None:
        """causes, language: where the settings name none."""
        self.name = f"webhook {settings.name}"
        self.causes = settings.causes or causes
        self.language = settings.language or language
        self._settings = settings
        self._requests = requests

    async def send(self, message: Message) -> None:
        """Send a message. Its id goes along as Idempotency-Key, for receivers that know it."""
        settings = self._settings
        url = await address(settings.url, settings.url_secret, self.name)
        headers = dict(settings.headers)
        for name, secret in settings.secret_headers.items():
            headers[name] = await secret_text(secret)
        headers |= {"Content-Type": "application/json", "Idempotency-Key": f'"{message.id}"'}
        body = msgspec.json.encode(SHAPES[settings.shape](message))
        await self._requests.send("POST", as_url(url, self.name), self.name, body, headers)


def open_channels(settings: AlertSettings, requests: Requests) -> list[Channel]:
    """All channels of a configuration. The one of mail is imported only where it is used."""
    causes, language = settings.causes, settings.language
    channels: list[Channel] = [
        Webhook(one, causes, requests, language) for one in settings.webhooks
    ]
    if settings.mail is not None:
        from pipeline.alerts.mail import MailChannel  # noqa: PLC0415 - as said

        ca_file: Path | None = settings.ca_file
        channels.append(MailChannel(settings.mail, causes, ca_file, language))
    return channels
