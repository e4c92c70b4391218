"""SSH connection: one connection with one SFTP session, made when it is needed and made anew.

Any number of requests go over it at once; each has to be answered within the timeout. A sign-in
that was refused is not repeated until the next poll, for some servers lock the account then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import anyio
import anyio.to_thread
import asyncssh
import structlog

from pipeline.config.secrets import read_secret
from pipeline.errors import SignInRefused, SourceUnreachable, SynqupError
from stages.sources.sftp.failures import LOST, connecting, in_words
from stages.sources.sftp.host_key import ALGORITHMS, HostKeys, SeenKey
from stages.sources.sftp.settings import Sftp

log = structlog.get_logger(__name__)

#: Signs of life without an answer after which the connection is given up.
UNANSWERED = 3
#: Bytes that are asked for at once.
CHUNK = 262_144

T = TypeVar("T")


class _Client(asyncssh.SSHClient):
    """Judges the server's key, and notes what it is."""

    def __init__(self, keys: HostKeys) -> None:
        self._keys = keys
        self.seen: SeenKey | None = None
        self.trusts = False

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002 - of the library's contract
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        """Asked for a key that known_hosts does not hold."""
        self.seen = SeenKey(key.get_algorithm(), key.get_fingerprint())
        self.trusts = self._keys.trusts(key)
        return self.trusts


class SshConnection:
    """The connection of one source. key: of the server, as the latest connection has seen it."""

    def __init__(self, settings: Sftp) -> None:
        self._settings = settings
        self._subject = f"source {settings.name}"
        self._keys = HostKeys(settings)
        self._connecting = anyio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._session: asyncssh.SFTPClient | None = None
        self._refusal: SynqupError | None = None
        self.key: SeenKey | None = None

    def begin_poll(self) -> None:
        """A new poll may sign in again, although the last one was refused."""
        self._refusal = None

    @property
    def software(self) -> str:
        """The server's software as it calls itself; "" if it is not connected."""
        if self._connection is None:
            return ""
        return str(self._connection.get_extra_info("server_version", ""))

    async def session(self) -> asyncssh.SFTPClient:
        """The session in use, or a new one.

        SourceUnavailable, SignInRefused, or SourceUnreachable where the server's key is not trusted
        or it offers no SFTP.
        """
        if (session := self._living) is not None:
            return session
        async with self._connecting:
            if (session := self._living) is not None:
                return session
            if self._refusal is not None:
                raise self._refusal
            await self._drop()
            try:
                return await self._open()
            except (SignInRefused, SourceUnreachable) as error:
                self._refusal = error
                raise
            finally:
                if self._session is None:
                    await self._drop()

    async def ask(self, work: Awaitable[T]) -> T:
        """Await the answer to a request of the session, for `timeout` at most.

        Raises what the library does; TimeoutError also ends the connection.
        """
        try:
            with anyio.fail_after(self._settings.timeout):
                return await work
        except (TimeoutError, *LOST):
            self.forget()
            raise

    @asynccontextmanager
    async def words(self, subject: str, what: str) -> AsyncIterator[None]:
        """Put what the library raises into words: it could not do `what` with `subject`."""
        try:
            yield
        except SynqupError:
            raise
        except (asyncssh.Error, OSError) as error:
            raise in_words(error, subject, what) from None

    def forget(self) -> None:
        """The connection is of no use any more; the next request makes a new one."""
        if self._connection is not None:
            self._connection.abort()

    async def close(self) -> None:
        """Close the connection."""
        async with self._connecting:
            await self._drop()

    @property
    def _living(self) -> asyncssh.SFTPClient | None:
        alive = self._connection is not None and not self._connection.is_closed()
        return self._session if alive else None

    async def _drop(self) -> None:
        connection, self._connection, self._session = self._connection, None, None
        if connection is None:
            return
        with anyio.CancelScope(shield=True):
            connection.close()
            with anyio.move_on_after(1), suppress(Exception):
                await connection.wait_closed()
            connection.abort()

    async def _open(self) -> asyncssh.SFTPClient:
        options = await anyio.to_thread.run_sync(self._options)
        server = self._settings.server
        with connecting(self._subject, server, self._settings.user):
            self._connection = await self._connect(options)
            with anyio.fail_after(self._settings.timeout):
                # Names are bytes: they need not be text.
                session = await self._connection.start_sftp_client(path_encoding=None)
        self._session = session
        return session

    async def _connect(
        self, options: asyncssh.SSHClientConnectionOptions
    ) -> asyncssh.SSHClientConnection:
        """Connect.

        A server has keys of several types: the one that is pinned by its fingerprint may be another
        than the one that is shown first.
        """
        first: SeenKey | None = None
        refused = False
        for wanted in (None, *ALGORITHMS):
            if first is not None and not self._settings.fingerprint:
                break
            client = _Client(self._keys)
            more = {} if wanted is None else {"server_host_key_algs": list(wanted)}
            try:
                connection = await asyncssh.connect(
                    self._settings.server,
                    self._settings.port,
                    options=options,
                    config=None,
                    client_factory=lambda client=client: client,
                    **more,
                )
            except asyncssh.HostKeyNotVerifiable:
                # A certificate of an unknown authority shows no key: the plain one is asked for.
                refused = True
                first = first or client.seen
            except (asyncssh.Error, OSError):
                # A server may also hang up when it has no key of the type that is asked for.
                if not refused or client.trusts:
                    raise
            else:
                key = connection.get_server_host_key()
                if key is not None:
                    self.key = SeenKey(key.get_algorithm(), key.get_fingerprint())
                return connection
        raise self._keys.refusal(first)

    def _options(self) -> asyncssh.SSHClientConnectionOptions:
        """The options of a connection: nothing of the account's own ~/.ssh is used. Blocks."""
        settings = self._settings
        known = self._keys.known()
        # Where no key is pinned, no secret is needed to see the server's.
        pinned = self._keys.are_pinned
        password = read_secret(settings.password) if settings.password and pinned else None
        keys = [self._private_key()] if settings.key is not None and pinned else None
        return asyncssh.SSHClientConnectionOptions(
            username=settings.user,
            password=password,
            client_keys=keys,
            known_hosts=known,
            agent_path=None,
            gss_kex=False,
            gss_auth=False,
            host_based_auth=False,
            x509_trusted_certs=None,
            config=None,
            compression_algs=None,
            connect_timeout=settings.connect_timeout,
            login_timeout=settings.timeout,
            # A server's words may be in the character set of its country.
            utf8_decode_errors="replace",
            keepalive_interval=settings.keepalive,
            keepalive_count_max=UNANSWERED,
        )

    def _private_key(self) -> asyncssh.SSHKey:
        assert self._settings.key is not None
        text = read_secret(self._settings.key)
        phrase = self._settings.passphrase
        try:
            return asyncssh.import_private_key(
                text + "\n", read_secret(phrase) if phrase is not None else None
            )
        except asyncssh.KeyEncryptionError as error:
            why = f"it is encrypted, and `passphrase` does not open it ({error})"
        except (asyncssh.KeyImportError, ValueError) as error:
            why = str(error)
            if phrase is None and "assphrase" in why:
                why = "it is encrypted, and `passphrase` is missing"
            elif text.startswith("PuTTY"):
                why = "it is one of PuTTY: export it as an OpenSSH key with PuTTYgen"
        raise SignInRefused(
            self._subject,
            f"the private key can't be used: {why}",
            "Check `key` and `passphrase` of this source",
        )
