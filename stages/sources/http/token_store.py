"""Refresh token store: keeps the refresh token of a source, and when its sign-in ends.

The token lies in a file of the state folder, which is replaced as a whole, and in the configured
place besides, if there is one that can be written to. A service and `synqup sign-in` may use it at
the same time: each reads it anew before it uses it, and a lock keeps one of them from replacing
what the other has just written.

Nodes of a cluster share the file, and in it the access token that one of them has got. The place
that each of them has configured stays as it is, for the others don't see it.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct, structs

from pipeline.config.secrets import (
    MAX_SECRET_BYTES,
    SecretMissing,
    make_private_folder,
    read_secret,
    store_secret,
    write_private_file,
)
from pipeline.durable import make_folder
from pipeline.errors import SignInRefused
from pipeline.files import os_reason, read_file
from pipeline.folder_lock import folder_lock
from pipeline.sign_in import NotSignedIn, SignInState, sign_in_command, stored_state
from stages.sources.http.oauth_client import OAuthClient

#: Seconds to wait for the other process, which holds the lock while it writes one file.
LOCK_TIMEOUT = 10.0
#: Configured tokens that are remembered to be replaced, at most.
MAX_REPLACED = 16
#: Names of sources that stand for themselves as names of files, on every system.
PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
#: What Windows takes for a device.
DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


class SharedAccess(Struct, frozen=True):
    """An access token that all nodes use. ends_at: in seconds since 1970, by the clock of turns.

    granted_to: a hash of the credentials that it was granted to.
    """

    token: str
    ends_at: float
    granted_to: str


class StoredSignIn(Struct, frozen=True, omit_defaults=True):
    """A refresh token, and what is known of it.

    ends_at: in seconds since 1970; None if that is not known. account: the user, for people.
    replaces: a hash of the configured token in whose place it is used; another configured one takes
    precedence. Empty where none is configured. replaced: those that other nodes have configured.
    access: what came with it, in a cluster.
    """

    refresh_token: str
    ends_at: float | None = None
    account: str = ""
    replaces: str = ""
    replaced: tuple[str, ...] = ()
    access: SharedAccess | None = None

    def is_same(self, other: StoredSignIn) -> bool:
        """Whether nobody has renewed it since the other one was read."""
        return (self.refresh_token, self.access) == (other.refresh_token, other.access)


def token_path(state_dir: Path, source: str) -> Path:
    """The file of a source's refresh token in a state folder."""
    name = source
    if not PLAIN.fullmatch(source) or DEVICE.fullmatch(source):
        # Another name must not lead elsewhere, nor to the same file where case does not count.
        name = f"{quote(source, safe='')[:100]}-{_hash(source)[:12]}"
    return state_dir / "tokens" / name


class TokenStore:
    """The stored refresh token of one source. All methods are for threads that may block.

    shared: whether the nodes of a cluster share it.
    """

    def __init__(
        self, source: str, path: Path, client: OAuthClient, *, shared: bool = False
    ) -> None:
        self.path = path
        self._source = source
        self._client = client
        self._is_shared = shared

    def read(self) -> StoredSignIn:
        """The token in force. NotSignedIn, SecretMissing, or SignInRefused if it is unreadable."""
        configured, missing = self._configured()
        if missing is not None and not self._client.authorize_url:
            raise missing
        try:
            stored = self._stored()
        except SignInRefused:
            if not configured:
                raise
            stored = None
        if stored is not None and (
            not configured
            or _hash(configured) in (stored.replaces, *stored.replaced)
            or configured == stored.refresh_token
        ):
            return stored
        if configured:
            return StoredSignIn(configured, replaces=_hash(configured))
        raise missing or NotSignedIn(
            f"source {self._source}", remedy=f"Sign in: {sign_in_command(self._source)}"
        )

    def state(self) -> SignInState:
        """What is known of the sign-in, for people."""

        def signed_in() -> SignInState:
            found = self.read()
            return SignInState(self._source, found.account, found.ends_at)

        return stored_state(self._source, signed_in)

    def access(self) -> SharedAccess | None:
        """The access token that another node has stored with what is in force, if one has."""
        with suppress(SignInRefused):
            stored = self.read() if self._client.by_refresh_token else self._decoded()
            return stored.access if stored is not None else None
        return None

    def share(self, access: SharedAccess) -> None:
        """Store an access token that needs no refresh token. Raises OSError."""
        with self._locked():
            before = self._decoded() or StoredSignIn("")
            write_private_file(self.path, _encoded(structs.replace(before, access=access)))

    def renew(self, used: str | StoredSignIn, renewed: StoredSignIn) -> bool:
        """Replace a token by the next one, durably, unless somebody has signed in meanwhile.

        used: the token that was read last. Returns False, and changes nothing, if it is no more the
        one in force. Raises OSError if the next one can't be stored anywhere.
        """
        used = StoredSignIn(used) if isinstance(used, str) else used
        try:
            with self._locked():
                if not self._is_in_force(used):
                    return False
                self._write(renewed)
                self._store_configured(renewed)
                return True
        except OSError:
            if not self._is_in_force(used):
                return False
            if self._store_configured(renewed):
                return True
            raise

    def sign_in(self, found: StoredSignIn) -> None:
        """Store the token of a new sign-in, durably, whatever was there. Raises OSError.

        If root does so, the files belong to the account whose state folder it is, or, where there
        is none yet, whose folder it is made in.
        """
        with as_owner_of(self.path.parent.parent), self._locked():
            self._write(found)

    def _write(self, found: StoredSignIn) -> None:
        configured, _ = self._configured()
        if configured:
            found = structs.replace(found, replaces=_hash(configured))
        if self._is_shared:
            found = structs.replace(found, replaced=self._all_replaced(found.replaces))
        write_private_file(self.path, _encoded(found))

    def _all_replaced(self, latest: str) -> tuple[str, ...]:
        """The configured tokens of all nodes in whose place a new one is used, but the latest."""
        before = None
        with suppress(SignInRefused):
            before = self._decoded()
        known = (before.replaces, *before.replaced) if before is not None else ()
        return tuple(one for one in dict.fromkeys(known) if one and one != latest)[:MAX_REPLACED]

    def _store_configured(self, found: StoredSignIn) -> bool:
        place = self._client.refresh_token
        if place is None or self._is_shared:
            return False
        return store_secret(place, found.refresh_token)

    def _is_in_force(self, used: StoredSignIn) -> bool:
        try:
            return self.read().is_same(used)
        except SignInRefused:  # what was there is gone: nobody has signed in anew
            return True

    def _configured(self) -> tuple[str, SecretMissing | None]:
        """The token in the configured place; or none, and why."""
        if self._client.refresh_token is None:
            return "", None
        try:
            return read_secret(self._client.refresh_token), None
        except SecretMissing as error:
            return "", error

    def _stored(self) -> StoredSignIn | None:
        found = self._decoded()
        return found if found is not None and found.refresh_token else None

    def _decoded(self) -> StoredSignIn | None:
        """What the file holds; None if there is none."""
        try:
            text = read_file(self.path, MAX_SECRET_BYTES, follow=False).decode()
            if text and not text.startswith("{"):
                # As earlier versions wrote it.
                replaced, _, token = text.partition("\n")
                return StoredSignIn(token, replaces=_hash(replaced))
            return msgspec.json.decode(text, type=StoredSignIn)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            why = os_reason(error) if isinstance(error, OSError) else "it is damaged"
            raise SignInRefused(
                str(self.path),
                f"the stored sign-in can't be read ({why})",
                "Let the account that runs synqup read it, or sign in again:"
                f" {sign_in_command(self._source)}",
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self.path.parent.parent, 0o750)
        make_private_folder(self.path.parent)
        with folder_lock(self.path.parent, LOCK_TIMEOUT):
            yield


def _encoded(found: StoredSignIn) -> str:
    return msgspec.json.encode(found).decode()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Write as the account to which a folder, or the first one above that exists, belongs.

    This takes root; anybody else writes as who they are.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        yield
        return
    user = group = 0
    with suppress(OSError):
        found = next(one for one in (folder, *folder.parents) if one.exists()).stat()
        user, group = found.st_uid, found.st_gid
    before = os.getegid()
    os.setegid(group if user else before)
    try:
        os.seteuid(user)
        try:
            yield
        finally:
            os.seteuid(0)
    finally:
        os.setegid(before)
