"""Secret store: reads secrets from where the configuration says, and writes renewed ones back.

A secret lies in an environment variable, a file, or the keyring of the operating system. Errors
name that place and never the secret. Files are written durably, with mode 0600.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from pipeline.config.types import Secret
from pipeline.durable import make_folder, replace_file
from pipeline.errors import SignInRefused
from pipeline.files import os_reason, read_file

#: The service name of all entries in the keyring.
SERVICE = "synqup"
#: Bytes of a secret, at most.
MAX_SECRET_BYTES = 65_536


class SecretMissing(SignInRefused):
    """The secret can't be read from where the configuration says."""

    reason = "the secret is not where the configuration says"
    remedy = "Put it there, for the account that runs synqup"


def read_secret(secret: Secret) -> str:
    """Read a secret; each call reads it anew, so that a rotated one is used at once.

    Raises SecretMissing, which names the place and never the secret.
    """
    if secret.env is not None:
        return _validated(
            os.environ.get(secret.env),
            f"environment variable {secret.env}",
            "Set it for the account that runs synqup",
        )
    if secret.file is not None:
        try:
            data = read_file(Path(secret.file), MAX_SECRET_BYTES)
            text = data.decode("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise SecretMissing(
                secret.file, f"the secret can't be read ({os_reason(error)})"
            ) from None
        except ValueError:
            raise SecretMissing(
                secret.file, "the secret can't be read (it is not UTF-8)", "Save it as UTF-8"
            ) from None
        return _validated(text, secret.file, "Write the secret into this file, and nothing else")
    assert secret.keyring is not None
    return _validated(
        _from_keyring(secret.keyring),
        f"keyring entry {secret.keyring}",
        f"Store it with: keyring set {SERVICE} {secret.keyring}",
    )


def store_secret(secret: Secret, value: str) -> bool:
    """Write a renewed secret durably in place of the old one; False if the place is read-only."""
    if secret.file is not None:
        with suppress(OSError):
            replace_file(Path(secret.file), BytesIO(f"{value}\n".encode()))
            return True
    if secret.keyring is not None:
        import keyring  # noqa: PLC0415 - slow, and needed by few

        # A keyring backend may raise any exception.
        with suppress(Exception):
            keyring.set_password(SERVICE, secret.keyring, value)
            return True
    return False


def write_private_file(path: Path, text: str) -> None:
    """Write a secret text durably to a file of Synqup's own, in a folder of mode 0700.

    Raises OSError, also where the folder is a link.
    """
    make_private_folder(path.parent)
    replace_file(path, BytesIO(text.encode()))


def make_private_folder(folder: Path) -> None:
    """Make a folder of mode 0700, unless it exists. Raises OSError, also where it is a link."""
    make_folder(folder, 0o700)
    if folder.is_symlink():
        raise OSError(f"{folder} is a link, and a secret is not written through one")


def _from_keyring(name: str) -> str | None:
    import keyring  # noqa: PLC0415 - as above

    try:
        return keyring.get_password(SERVICE, name)
    except Exception:  # noqa: BLE001 - a keyring backend may raise any exception
        raise SecretMissing(
            f"keyring entry {name}",
            "the keyring of this system can't be opened",
            'Unlock it for the account that runs synqup, or use { file = "PATH" }',
        ) from None


def _validated(value: str | None, place: str, remedy: str) -> str:
    if not value:
        raise SecretMissing(place, "the secret is missing or empty", remedy)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeError:
            # Python reads bytes of an environment variable that are not UTF-8 as surrogates.
            raise SecretMissing(place, "the secret is not UTF-8", "Write it as UTF-8") from None
    return value
