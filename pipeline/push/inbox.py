"""Push inbox: checks what is pushed to one source, and forgets it: what is left is a hint."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

import anyio
import anyio.to_thread

from pipeline.config.secrets import SecretMissing, read_secret
from pipeline.config.types import Secret
from pipeline.hints import PushRefused, PushRequest

#: Seconds after which the secrets are read again, so that one that was added is used soon.
REREAD = 10.0
#: Seconds that this may take, at most; until then those before are good.
PATIENCE = 2.0
#: Secrets of one source, at most.
MAX_SECRETS = 5000

#: Tells whether a request is signed by one of some secrets, in a time that does not tell how nearly
#: it is. Raises PushRefused if it is too old, or bears no signature at all. It may be called in any
#: thread, with a request that may hold anything.
Verify = Callable[[PushRequest, Sequence[bytes]], bool]


class PushInbox:
    """Takes pushes for one source. For the event loop alone.

    secret: its place holds one secret in each line, for a platform has one for each webhook.
    verify: the connector's own function.
    """

    def __init__(self, subject: str, secret: Secret, verify: Verify) -> None:
        self._subject = subject
        self._secret = secret
        self._verify = verify
        self._secrets: Sequence[bytes] = ()
        self._missing: SecretMissing | None = None
        self._read_at: float | None = None
        #: Whether the secrets have been read once, or that took too long.
        self._known = anyio.Event()
        #: Of their own: what hangs or takes long may hold one thread, and none that others need.
        self._reading, self._verifying = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)
        self._came = anyio.Event()

    async def take(self, request: PushRequest) -> bool:
        """As in the contract. SecretMissing where the secrets can't be read."""
        secrets = await self._known_secrets()
        is_signed = await anyio.to_thread.run_sync(
            self._verify, request, secrets, limiter=self._verifying
        )
        if not is_signed:
            raise PushRefused(
                self._subject,
                "its signature is not by any secret of push_secret",
                "Put the secret of the webhook where push_secret says, one in each line",
                is_signed=True,
            )
        is_first = not self._came.is_set()
        self._came.set()
        return is_first

    async def hints(self) -> AsyncGenerator[str, None]:
        """As in the contract; the platforms so far do not say of which lane a push is."""
        while True:
            await self._came.wait()
            self._came = anyio.Event()
            yield ""

    async def _known_secrets(self) -> Sequence[bytes]:
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > REREAD:
            self._read_at = now
            try:
                with anyio.move_on_after(PATIENCE):
                    text = await anyio.to_thread.run_sync(
                        read_secret, self._secret, abandon_on_cancel=True, limiter=self._reading
                    )
                    self._secrets, self._missing = secrets_in(text), None
            except SecretMissing as error:
                self._missing = error
            finally:
                self._known.set()
        # Pushes that come while they are read for the first time must not be refused for it.
        await self._known.wait()
        if self._missing is not None:
            raise SecretMissing(self._missing.subject, self._missing.reason, self._missing.remedy)
        return self._secrets


def secrets_in(text: str) -> Sequence[bytes]:
    """The secrets of a text that holds one in each line."""
    lines = (line.strip() for line in text.splitlines())
    return [line.encode() for line in lines if line][:MAX_SECRETS]


def is_hmac_sha256(message: bytes, digest: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether a digest is the HMAC-SHA256 (RFC 2104) of a message with one of some secrets."""
    # Each of them is tried, so that the time does not tell which one it was.
    found = [hmac.compare_digest(hmac.digest(one, message, "sha256"), digest) for one in secrets]
    return any(found)


def hexadecimal(text: str) -> bytes | None:
    """The 32 bytes of a SHA-256 in hexadecimal digits; None if it is none."""
    digits = text.strip()
    if len(digits) != 64:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None
