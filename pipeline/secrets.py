"""Reads secrets where the configuration says they lie, and keeps those that a server renews."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline.config import Secret
from pipeline.errors import SignInRefused

#: The service under which the operating system's keyring holds them.
SERVICE = "synqup"
#: Bytes that a secret may have.
MOST = 65_536


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


def keep_secret(secret: Secret, value: str) -> bool:
    """Put a renewed secret durably where the old one lay; False where that can't be written to."""
    if secret.file is not None:
        with suppress(OSError):
            _replace(Path(secret.file), f"{value}\n")
            return True
    if secret.keyring is not None:
        import keyring  # noqa: PLC0415 - slow, and needed by few

        # A keyring fails with whatever the system beneath it fails with.
        with suppress(Exception):
            keyring.set_password(SERVICE, secret.keyring, value)
            return True
    return False


def read_note(path: Path) -> str:
    """What write_note() has left in a file of our own; empty if there is none that can be read."""
    try:
        return _read(path, os.O_NOFOLLOW if hasattr(os, "O_NOFOLLOW") else 0)
    except (OSError, ValueError):
        return ""


def write_note(path: Path, text: str) -> None:
    """Keep a secret text durably in a file of our own, in a folder of our own. Raises OSError."""
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _flush_folder(folder.parent)
    if folder.is_symlink():
        raise OSError(f"{folder} is a link, and a secret is not written through one")
    _replace(path, text)


def _read(path: Path, more: int = 0) -> str:
    """The text of a file, which is a regular one of a sane size: a pipe may never end or begin."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | more)

    with open(path, "rb", opener=opener) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is no file")
        data = file.read(MOST + 1)
    if len(data) > MOST:
        raise OSError(f"it is longer than {MOST:,} bytes")
    return data.decode("utf-8-sig")


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


def _replace(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner alone, so that a power cut leaves it so.

    A link that lies there is replaced and not followed. Raises OSError.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # NTFS journals names itself
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
