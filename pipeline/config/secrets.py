"""Reads secrets where the configuration says they lie, and keeps those that a server renews."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from pipeline.config.types import Secret
from pipeline.durable import make_folder, replace_file
from pipeline.errors import SignInRefused
from pipeline.files import read_file

#: The service under which the operating system's keyring holds them.
SERVICE = "synqup"
#: Bytes that a secret may have.
MAX_SECRET_BYTES = 65_536


class SecretMissing(SignInRefused):
    """A secret that can't be read."""

    reason = "the secret is not where the configuration says"
    remedy = "Put it there, for the account that runs synqup"


def read_secret(secret: Secret) -> str:
    """The secret, read anew at each call, so that a rotated one is used at once.

    Raises SecretMissing, which names the place and never the secret.
    """
    if secret.env is not None:
        return _found(
            os.environ.get(secret.env),
            f"environment variable {secret.env}",
            "Set it for the account that runs synqup",
        )
    if secret.file is not None:
        try:
            text = _read(Path(secret.file)).rstrip("\r\n")
        except OSError as error:
            raise SecretMissing(
                secret.file, f"the secret can't be read ({error.strerror or error})"
            ) from None
        except ValueError:
            raise SecretMissing(
                secret.file, "the secret can't be read (it is not UTF-8)", "Save it as UTF-8"
            ) from None
        return _found(text, secret.file, "Write the secret into this file, and nothing else")
    assert secret.keyring is not None
    return _found(
        _from_keyring(secret.keyring),
        f"keyring entry {secret.keyring}",
        f"Store it with: keyring set {SERVICE} {secret.keyring}",
    )


def store_secret(secret: Secret, value: str) -> bool:
    """Put a renewed secret durably where the old one lay; False where that can't be written to."""
    if secret.file is not None:
        with suppress(OSError):
            replace_file(Path(secret.file), BytesIO(f"{value}\n".encode()))
            return True
    if secret.keyring is not None:
        import keyring  # noqa: PLC0415 - slow, and needed by few

        # A keyring fails with whatever the system beneath it fails with.
        with suppress(Exception):
            keyring.set_password(SERVICE, secret.keyring, value)
            return True
    return False


def read_private_file(path: Path) -> str:
    """What write_private_file() has left in a file of our own; empty if there is none that can be read."""
    try:
        return _read(path, follow=False)
    except (OSError, ValueError):
        return ""


def write_private_file(path: Path, text: str) -> None:
    """Keep a secret text durably in a file of our own, in a folder of our own. Raises OSError."""
    make_folder(path.parent, 0o700)
    if path.parent.is_symlink():
        raise OSError(f"{path.parent} is a link, and a secret is not written through one")
    replace_file(path, BytesIO(text.encode()))


def _read(path: Path, *, follow: bool = True) -> str:
    return read_file(path, MAX_SECRET_BYTES, follow=follow).decode("utf-8-sig")


def _from_keyring(name: str) -> str | None:
    import keyring  # noqa: PLC0415 - as above

    try:
        return keyring.get_password(SERVICE, name)
    except Exception:  # noqa: BLE001 - whatever the system beneath the keyring fails with
        raise SecretMissing(
            f"keyring entry {name}",
            "the keyring of this system can't be opened",
            'Unlock it for the account that runs synqup, or use { file = "PATH" }',
        ) from None


def _found(value: str | None, place: str, remedy: str) -> str:
    if not value:
        raise SecretMissing(place, "the secret is missing or empty", remedy)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeError:
            # As a variable of the environment is read whose bytes are none of UTF-8.
            raise SecretMissing(place, "the secret is not UTF-8", "Write it as UTF-8") from None
    return value
