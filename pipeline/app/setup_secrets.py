"""Set-up secrets: where a new configuration says that its secrets lie, and putting them there.

A secret is typed without an echo, or is a line of standard input: never an option, which every
account of the machine can read, and never in the configuration.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.app.dialogue import AnswersRefused, Dialogue
from pipeline.app.wiring_setup import Texts
from pipeline.config.secrets import SecretMissing, read_secret, store_secret
from pipeline.config.types import Secret, absolute

#: Where a secret may lie, in the order in which it is asked.
PLACES = ("keyring", "file", "env")

_VARIABLE = re.compile(r"[^A-Za-z0-9]+")


def place_of(text: str) -> dict[str, str]:
    """The place that PLACE:NAME says, as the configuration has it. Raises ValueError."""
    place, colon, name = text.partition(":")
    if place not in PLACES or not colon or not name.strip():
        raise ValueError(f'"{text}" is none of keyring:NAME, file:PATH, env:NAME')
    return {place: name.strip()}


def ask_place(
    key: str, given: str | None, source: str, dialogue: Dialogue, texts: Texts
) -> dict[str, str] | None:
    """Where the secret of a key lies; None if no answer was right."""
    option = f"--secret {key}=PLACE"
    if given is not None or not dialogue.asks:
        return dialogue.text(option, given, "", place_of)
    place = dialogue.choice(
        option,
        None,
        texts("ask.place", key=key),
        {
            "keyring": texts("ask.place_keyring"),
            "file": texts("ask.place_file"),
            "env": texts("ask.place_env"),
        },
        "keyring" if _has_keyring() else "",
    )
    assert place is not None
    question = {
        "keyring": texts("ask.keyring", key=key),
        "file": texts("ask.file", key=key),
        "env": texts("ask.env", key=key),
    }[place]
    usual = {
        "keyring": f"{source}-{key}",
        "file": f"{source}-{key}.secret",
        "env": _VARIABLE.sub("_", f"SYNQUP_{source}_{key}").upper(),
    }[place]
    name = dialogue.text(option, None, question, str, usual)
    assert name is not None
    return {place: name}


def ask_value(
    key: str, place: Mapping[str, str], dialogue: Dialogue, texts: Texts, *, from_input: bool
) -> str:
    """The secret itself, or empty text if it lies in its place already."""
    if from_input:
        value = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
        if not value:
            dialogue.add_problem(f"--secret-stdin {key}: standard input has no such line")
        elif "env" in place:
            dialogue.add_problem(
                f"--secret-stdin {key}: nothing can be stored in a variable; set it yourself"
            )
        return value
    if not dialogue.asks or "env" in place:
        return ""
    question = texts("ask.secret", key=key)
    value = dialogue.text(f"--secret-stdin {key}", None, question, str, hidden=True, optional=True)
    return value or ""


def store(values: Mapping[str, tuple[Mapping[str, str], str]], base: Path, command: str) -> None:
    """Put secrets into their places. base: the folder of the configuration.

    values: by key, the place and the secret. Raises AnswersRefused.
    """
    for key, (place, value) in values.items():
        if value and not store_secret(_located(place, base), value):
            (where,) = place.items()
            problem = f"--secret {key}: it can't be stored in {':'.join(where)}; name another place"
            raise AnswersRefused(command, [problem])


def missing(place: Mapping[str, str], base: Path) -> str:
    """Why a secret can't be read from its place by this account, or nothing."""
    try:
        read_secret(_located(place, base))
    except SecretMissing as error:
        return str(error)
    return ""


def _located(place: Mapping[str, str], base: Path) -> Secret:
    secret = Secret(**place)
    return Secret(file=str(absolute(base, secret.file))) if secret.file is not None else secret


def _has_keyring() -> bool:
    """Whether this system keeps secrets for this account."""
    import keyring  # noqa: PLC0415 - slow, and needed by few

    try:
        backend = keyring.get_keyring()
        return float(backend.priority) > 0 and bool(getattr(backend, "backends", True))
    except Exception:  # noqa: BLE001 - a keyring backend may raise any exception
        return False
