"""Reads secrets where the configuration says they lie, and keeps those that a server renews."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline.config import Secret
from pipeline.errors import SignInRefused

#: The service under which the operating system's keyring holds them.
SERVICE = "synqup"


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
            text = Path(secret.file).read_text("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise SecretMissing(
                secret.file, f"the secret can't be read ({error.strerror})"
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
    """Put a renewed secret where the old one lay; False where that can't be written to."""
    if secret.file is not None:
        return _replace(Path(secret.file), f"{value}\n")
    if secret.keyring is not None:
        import keyring  # noqa: PLC0415 - slow, and needed by few
        from keyring.errors import KeyringError  # noqa: PLC0415

        with suppress(KeyringError):
            keyring.set_password(SERVICE, secret.keyring, value)
            return True
    return False


def _from_keyring(name: str) -> str | None:
    import keyring  # noqa: PLC0415 - as above
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(SERVICE, name)
    except KeyringError:
        raise SecretMissing(
            f"keyring entry {name}",
            "the keyring of this system can't be opened",
            'Unlock it for the account that runs synqup, or use { file = "PATH" }',
        ) from None


def _replace(path: Path, text: str) -> bool:
    """Replace a file whole, readable by its owner alone; False if the system refuses."""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    except OSError:
        return False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        return False
    return True


def _found(value: str | None, place: str, remedy: str) -> str:
    if not value:
        raise SecretMissing(place, "the secret is missing or empty", remedy)
    return value
