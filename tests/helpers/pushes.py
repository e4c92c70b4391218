"""Pushes as platforms sign them, and those who send them."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
from msgspec import structs

from pipeline.app.service import Service
from pipeline.app.wiring import Config
from pipeline.config.push import PushSettings
from pipeline.config.types import Duration, Secret
from pipeline.hints import PushRequest
from tests.helpers.services import often, until

SECRET = "s3cret"
#: Any free port of this machine; polls that come for pushes may follow each other at once.
HERE = PushSettings("127.0.0.1:0", Duration(0))
BILLIT = b'{"UpdatedEntityID":100,"UpdatedEntityType":"Order","WebhookUpdateTypeTC":"I"}'


def request(body: bytes, at: float = 0.0, **headers: str) -> PushRequest:
    return PushRequest(
        {name.replace("_", "-").lower(): text for name, text in headers.items()}, "", body, at
    )


def signed_by_billit(
    body: bytes = BILLIT, secret: str = SECRET, at: float | None = None
) -> Mapping[str, str]:
    moment = str(int(time.time() if at is None else at))
    digest = hmac.digest(secret.encode(), moment.encode() + b"." + body, "sha256").hex()
    return {"Billit-Signature": f"t={moment},s={digest}"}


def signed_by_einvoice_be(event: object, secret: str = SECRET) -> Mapping[str, str]:
    text = json.dumps(event, sort_keys=True, separators=(", ", ": "), ensure_ascii=True)
    return {"X-Signature": "sha256=" + hmac.digest(secret.encode(), text.encode(), "sha256").hex()}


def pushed(config: Config, folder: Path, push: PushSettings = HERE) -> Config:
    """The same configuration, polled once an hour, with pushes to its first source."""
    (folder / "push-secret").write_text(f"{SECRET}\n", "utf-8")
    (source, *others) = config.sources
    secret = Secret(file=str(folder / "push-secret"))
    first = structs.replace(source, push_secret=secret)  # type: ignore[call-arg]
    return structs.replace(often(config, 3600), push=push, sources=(first, *others))


async def push(
    service: Service,
    headers: Mapping[str, str] | Sequence[tuple[str, str]],
    body: bytes = BILLIT,
    source: str = "billit",
    method: str = "POST",
) -> int:
    """Send a push to a service, on a connection of its own; the status of the answer."""
    await until(lambda: service.push_receiver.addresses)
    port = service.push_receiver.addresses[0].port
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"http://127.0.0.1:{port}/push/{source}", data=body, headers=headers
        ) as answer,
    ):
        return answer.status
