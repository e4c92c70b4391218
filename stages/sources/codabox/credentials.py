"""Credential store: keeps the user and password that a sign-in by a person has brought.

They lie in a file of the state folder, which is replaced as a whole. They come once, so they are
stored durably before they are used.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline.config.secrets import MAX_SECRET_BYTES, make_private_folder, write_private_file
from pipeline.durable import make_folder
from pipeline.errors import SignInRefused
from pipeline.files import os_reason, read_file
from pipeline.sign_in import NotSignedIn, SignInState, sign_in_command, stored_state
from stages.sources.http.token_store import as_owner_of


class Credentials(Struct, frozen=True):
    """A user and its password."""

    username: str
    password: str


class CredentialStore:
    """The stored credentials of one source. All methods are for threads that may block."""

    def __init__(self, source: str, path: Path) -> None:
        self.path = path
        self._source = source

    def read(self) -> Credentials:
        """What is stored. NotSignedIn if nothing is, SignInRefused if it is unreadable."""
        try:
            data = read_file(self.path, MAX_SECRET_BYTES, follow=False)
            return msgspec.json.decode(data, type=Credentials)
        except FileNotFoundError:
            remedy = f"Sign in: {sign_in_command(self._source)}"
            raise NotSignedIn(f"source {self._source}", remedy=remedy) from None
        except (OSError, ValueError) as error:
            why = os_reason(error) if isinstance(error, OSError) else "they are damaged"
            raise SignInRefused(
                str(self.path),
                f"the stored credentials can't be read ({why})",
                "Let the account that runs synqup read them, or sign in again:"
                f" {sign_in_command(self._source)}",
            ) from None

    def state(self) -> SignInState:
        """What is known of the sign-in, for people."""
        return stored_state(self._source, lambda: SignInState(self._source, self.read().username))

    def write(self, found: Credentials) -> None:
        """Store them durably, whatever was there. Raises OSError."""
        with as_owner_of(self.path.parent.parent):
            make_folder(self.path.parent.parent, 0o750)
            write_private_file(self.path, msgspec.json.encode(found).decode())

    def try_writing(self) -> None:
        """Find out whether something can be stored, and leave what is there. Raises OSError."""
        with as_owner_of(self.path.parent.parent):
            make_folder(self.path.parent.parent, 0o750)
            make_private_folder(self.path.parent)
            attempt = self.path.with_name(f"{self.path.name}.try")
            try:
                write_private_file(attempt, "0" * 1000)
            finally:
                attempt.unlink(missing_ok=True)
