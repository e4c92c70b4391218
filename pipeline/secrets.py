"""Reads secrets where the configuration says they lie, and keeps those that a server renews."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.config import Secret
from pipeline.errors import SynqupError

#: The service under which the operating system's keyring holds them.
SERVICE = "synqup"


class SecretMissing(SynqupError):
    """the secret is not where the configuration says"""


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
            text = Path(secret.file).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise SecretMissing(secret.file, f"the secret can't be read ({reason})") from None
        return _found(text, secret.file, "Write the secret into this file, and nothing else")
    import keyring  # noqa: PLC0415 - slow, and needed by few

    assert secret.keyring is not None
    return _found(
        keyring.get_password(SERVICE, secret.keyring),
        f"keyring entry {secret.keyring}",
        f"Store it with: keyring set {SERVICE} {secret.keyring}",
    )


def keep_secret(secret: Secret, value: str) -> bool:
    """Put a renewed secret where the old one lay; False where that is an environment variable."""
    if secret.file is not None:
        path = Path(secret.file)
        temporary = path.with_name(path.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return True
    if secret.keyring is not None:
        import keyring  # noqa: PLC0415 - as above

        keyring.set_password(SERVICE, secret.keyring, value)
        return True
    return False


def _found(value: str | None, place: str, remedy: str) -> str:
    if not value:
        raise SecretMissing(place, "the secret is missing or empty", remedy)
    return value
