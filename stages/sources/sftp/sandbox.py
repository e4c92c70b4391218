"""SFTP in the sandbox: a server of its own over a mailbox, with the tree of CodaBox's server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import anyio
import asyncssh
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import ConfigurationError
from stages.sandbox.companies import Company
from stages.sandbox.fault_spec import FaultSpec
from stages.sandbox.journal import open_journal
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Platform, Sandbox, SecretText, Value
from stages.sandbox.wire import Record
from stages.sources.sftp.sandbox_faults import SftpFaults
from stages.sources.sftp.sandbox_tree import Growing, MailboxTree
from stages.sources.sftp.settings import Sftp

USER = "synqup"
#: Of the sandbox's own configuration: seconds in which a file has to be unchanged.
SETTLE = 1


class SftpPlatform(Platform):
    """An SFTP server whose files are the documents of a mailbox."""

    kind = str(Sftp.__struct_config__.tag)

    def __init__(self) -> None:
        self._fingerprint = ""

    def section(
        self,
        served: Sandbox,
        mailbox: Mailbox,  # noqa: ARG002 - of the contract
        *,
        by_person: bool = False,  # noqa: ARG002 - of the contract
    ) -> Mapping[str, Value]:
        """The keys of a source with the preset of this tree."""
        host, _, port = served.url.removeprefix("sftp://").rpartition(":")
        return {
            "preset": "codabox",
            "host": host,
            "port": int(port),
            "user": USER,
            "password": SecretText(served.client_secret),
            "fingerprint": self._fingerprint,
            "settle": SETTLE,
        }

    def membership(self, company: Company) -> str | None:  # noqa: ARG002 - of the contract
        """None: a folder is called by the accounting_file_id of its company."""
        return None

    @asynccontextmanager
    async def serve(
        self,
        mailbox: Mailbox,
        *,
        host: str,
        port: int,
        latency: float,
        journal: Path | None,
        faults: Sequence[FaultSpec],
        tls: Path | None,
    ) -> AsyncIterator[Sandbox]:
        """Serve the mailbox by SFTP, from a temporary folder. `tls` is not for it."""
        if tls is not None:
            raise ConfigurationError(str(tls), ["--tls: SFTP has keys in place of certificates"])
        key, password = _host_key(mailbox.seed), f"sandbox-{mailbox.seed}"
        self._fingerprint = key.get_fingerprint()
        misbehaving = SftpFaults(faults)
        with (
            tempfile.TemporaryDirectory(prefix="synqup-sftp-") as root,
            open_journal(journal) as record,
        ):
            tree = MailboxTree(Path(root), mailbox)
            tree.add_what_is_left_alone()
            served = _Served(tree, record, misbehaving, latency)
            served.receive()
            try:
                acceptor = await asyncssh.listen(
                    host,
                    port,
                    server_factory=partial(_Account, password, misbehaving),
                    server_host_keys=[key],
                    sftp_factory=partial(_Server, served),
                    allow_scp=False,
                )
            except OSError as error:
                raise ConfigurationError(
                    f"{host}:{port}",
                    [f"--port: can't listen there ({error.strerror}); name another, or 0 for any"],
                ) from error
            try:
                yield Sandbox(
                    platform=self,
                    url=f"sftp://{host}:{acceptor.get_port()}",
                    client_id=USER,
                    client_secret=password,
                )
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                    acceptor.close()
                    await acceptor.wait_closed()


class _Served:
    """What all sessions of one sandbox share."""

    def __init__(
        self, tree: MailboxTree, record: Record, faults: SftpFaults, latency: float
    ) -> None:
        self.tree = tree
        self.record = record
        self.faults = faults
        self.latency = latency
        self._growing: list[Growing] = []

    def receive(self) -> None:
        """Put what has come to the mailbox onto the server, and let grow what grows."""
        self._growing = [one for one in self._growing if one.grow()]
        if not self.tree.has_new():
            return
        for path, data in self.tree.write_new():
            name = os.fsencode(path.relative_to(self.tree.root))
            if spec := self.faults.hit("list", name, "growing"):
                self._growing.append(Growing(path, data, spec.seconds))


class _Account(asyncssh.SSHServer):
    """The one account, with a password."""

    def __init__(self, password: str, faults: SftpFaults) -> None:
        self._password = password
        self._faults = faults

    def password_auth_supported(self) -> bool:
        """A password is how one signs in."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Whether it is the right one."""
        refused = self._faults.hit("authorization", b"", "sign-in-refused")
        return refused is None and (username, password) == (USER, self._password)


class _Server(asyncssh.SFTPServer):
    """One session: the files of the tree, with the faults that hit it."""

    def __init__(self, served: _Served, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel, chroot=os.fsencode(served.tree.root))
        self._served = served

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """List a folder, with what has come meanwhile."""
        await self._meet("list", path)
        async for name in super().scandir(path):
            yield name

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open a file."""
        await self._meet("document", path)
        return _Opened(path, super().open(path, pflags, attrs))

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Read a piece of a file."""
        assert isinstance(file_obj, _Opened)
        data = super().read(file_obj.file, offset, size)
        assert isinstance(data, bytes)
        faults = self._served.faults
        if data and faults.hit("document", file_obj.path, "reset"):
            self._cut()
        return data

    def lstat(
        self, path: bytes
    ) -> os.stat_result | asyncssh.SFTPAttrs | Awaitable[os.stat_result | asyncssh.SFTPAttrs]:
        """Size and time of a file."""
        self._served.receive()
        return super().lstat(path)

    def fstat(
        self, file_obj: object
    ) -> os.stat_result | asyncssh.SFTPAttrs | Awaitable[os.stat_result | asyncssh.SFTPAttrs]:
        """Size and time of an open file."""
        assert isinstance(file_obj, _Opened)
        return super().fstat(file_obj.file)

    def close(self, file_obj: object) -> Awaitable[None] | None:
        """Close a file."""
        assert isinstance(file_obj, _Opened)
        return super().close(file_obj.file)

    async def remove(self, path: bytes) -> None:
        """Remove a file: a document counts as acknowledged then."""
        await self._meet("acknowledgement", path)
        if self._served.faults.hit("acknowledgement", path, "ignored-acknowledgement"):
            return
        super().remove(path)
        await self._taken(path, "REMOVED")

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move a file: a document counts as acknowledged then."""
        await self._meet("acknowledgement", oldpath)
        super().rename(oldpath, newpath)
        await self._taken(oldpath, "MOVED")

    async def _taken(self, path: bytes, how: str) -> None:
        if (id_ := self._served.tree.taken(path)) is not None:
            self._served.record(id_, how, "")
        if self._served.faults.hit("acknowledgement", path, "lost-acknowledgement"):
            self._cut()
            raise asyncssh.SFTPConnectionLost("Connection lost")

    async def _meet(self, target: str, path: bytes) -> None:
        """Be late, or fail, as planned."""
        faults = self._served.faults
        await anyio.sleep(self._served.latency)
        self._served.receive()
        if spec := faults.hit(target, path, "slow"):
            await anyio.sleep(spec.seconds)
        if faults.hit(target, path, "no-answer"):
            await anyio.sleep_forever()
        if faults.hit(target, path, "forbidden"):
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        if faults.hit(target, path, "not-found"):
            raise asyncssh.SFTPNoSuchFile("No such file")

    def _cut(self) -> None:
        self.connection.abort()


class _Opened:
    """An open file with its path."""

    def __init__(self, path: bytes, file: object) -> None:
        self.path = path
        self.file = file


def _host_key(seed: int) -> asyncssh.SSHKey:
    """The same key for the same seed, so that a configuration can be used again."""
    key = Ed25519PrivateKey.from_private_bytes(sha256(f"synqup sandbox {seed}".encode()).digest())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return asyncssh.import_private_key(text)
