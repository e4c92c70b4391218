"""Redaction: takes secrets out of what is given away, by what they are and not by their names.

Three nets lie behind one another: the value of each field whose type says that it is a secret, read
from where the configuration says, in all the forms in which it travels; what is made like a
credential (a header, a URL with a password, a JWT, a member called password); and any long run of
letters and digits that only a machine would make up. What they take out wrongly does no harm.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from pipeline.config.secrets import MAX_SECRET_BYTES, read_secret
from pipeline.config.types import Secret
from pipeline.errors import SynqupError
from pipeline.files import read_file

#: What stands in place of a secret.
REMOVED = "[removed]"
#: Characters of a secret, at least: a shorter one is also a part of many words.
SHORTEST = 4
#: Changes between small letters, capitals and digits for each character, above which a run is
#: random: with digits in it, and without. Of 43 random characters hardly one in 10,000 has fewer.
ORDER = 0.28
ORDER_OF_LETTERS = 0.45
#: Names of members and variables whose values are secrets.
SECRET_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase)?|pwd|secret|credential|private_?key|api_?key|bearer"
    r"|(access|refresh|id|auth|bot)?_?token)$"
)

_PATTERNS = (
    (re.compile(r"(://)[^/\s@\"'<>]+@"), rf"\1{REMOVED}@"),
    (re.compile(r"(?i)\b(bearer|basic|negotiate|ntlm|digest)\s+[\w+/=.~-]{8,}"), rf"\1 {REMOVED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)*"), REMOVED),
    (
        re.compile(
            r"(?i)(\b\w*(?:password|passwd|passphrase|pwd|secret|_token|api_?key|assertion)"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;{}\[\]]+"
        ),
        rf"\1{REMOVED}",
    ),
)
_RUN = re.compile(r"[A-Za-z0-9_-]{24,}")
_CASE = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")


class Redactor:
    """Takes secrets out of texts, and out of what JSON holds."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # The longest first: one secret may be a part of another.
        alternatives = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        self._known = re.compile("|".join(alternatives)) if alternatives else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return _RUN.sub(_unless_random, text)

    def value(self, value: Any) -> Any:
        """What JSON holds, without secrets in its texts and in the names of its members."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): REMOVED
                if isinstance(one, str) and one and SECRET_NAME.search(str(name))
                else self.value(one)
                for name, one in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(one) for one in value]
        # A secret may be a number.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return REMOVED if is_number and REMOVED in self.text(str(value)) else value


def described(value: Any) -> Any:
    """Settings as JSON, in which each secret is the place where it lies."""
    if isinstance(value, Secret):
        return {"lies_in": _place(value)}
    if isinstance(value, Struct):
        tag = value.__struct_config__
        found = {str(tag.tag_field): tag.tag} if tag.tag else {}
        return found | {
            field.encode_name: described(getattr(value, field.name)) for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {str(name): described(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [described(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _place(secret: Secret) -> str:
    if secret.env is not None:
        return f"the environment variable {secret.env}"
    return f"the file {secret.file}" if secret.file is not None else f"keyring: {secret.keyring}"


def shape(value: Any) -> Any:
    """What a file holds that is no valid configuration: its keys, and the kinds of their values."""
    if isinstance(value, Mapping):
        return {str(name): shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return value if isinstance(value, bool) else type(value).__name__


def secrets_of(settings: Any) -> Iterator[str]:
    """The values of all secrets within settings, as far as they can be read."""
    if isinstance(settings, Secret):
        with suppress(SynqupError):
            text = read_secret(settings)
            yield text
            # Some places hold a secret in each line.
            yield from (line for line in text.splitlines() if line != text)
    elif isinstance(settings, Struct):
        own = [getattr(settings, field.name) for field in fields(settings)]
        found = [one for part in own for one in secrets_of(part)]
        yield from found
        # A user's name and its secret go out together, in base64 (RFC 7617).
        for user in (one for one in own if isinstance(one, str) and one):
            yield from (f"{user}:{secret}" for secret in found)
    elif isinstance(settings, Mapping):
        for one in settings.values():
            yield from secrets_of(one)
    elif isinstance(settings, list | tuple):
        for one in settings:
            yield from secrets_of(one)


def secrets_written(raw: Any, name: str = "") -> Iterator[str]:
    """The texts of a file that is no valid configuration which stand where a secret may be."""
    if isinstance(raw, str):
        if SECRET_NAME.search(name):
            yield raw
    elif isinstance(raw, Mapping):
        for key, one in raw.items():
            yield from secrets_written(one, str(key))
    elif isinstance(raw, list):
        for one in raw:
            yield from secrets_written(one, name)


def secrets_stored(folder: Path) -> Iterator[str]:
    """What lies in the files of a folder of tokens, by lines or as JSON."""
    with suppress(OSError):
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            text = read_file(path, MAX_SECRET_BYTES).decode(errors="replace")
            yield from (line.strip() for line in text.splitlines())
            with suppress(msgspec.DecodeError):
                yield from _texts(msgspec.json.decode(text))


def secrets_around(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The secrets in the environment: variables so named, and passwords within addresses."""
    for name, value in environment.items():
        if SECRET_NAME.search(name):
            yield value
        if "://" in value and "@" in value:
            with suppress(ValueError):
                found = urlsplit(value)
                if found.password:
                    yield unquote(found.password)
                    yield f"{unquote(found.username or '')}:{unquote(found.password)}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _forms(secret: str) -> Sequence[str]:
    """The forms in which a secret may stand in a text."""
    secret = secret.strip()
    if not secret:
        return ()
    data = secret.encode("utf-8", "surrogateescape")
    packed = [b64encode(data).decode(), urlsafe_b64encode(data).decode()]
    escaped = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    quoted = [quote(data, safe=""), quote(data), quote_plus(data)]
    return (secret, *quoted, *escaped, *packed, *(one.rstrip("=") for one in packed))


def _unless_random(match: re.Match[str]) -> str:
    """A run as it is, unless letters of both cases and digits change in it without any order."""
    run = match[0]
    kinds = _CASE.findall(run)
    is_mixed = any(map(str.islower, kinds)) and any(map(str.isupper, kinds))
    order = ORDER if any(map(str.isdigit, kinds)) else ORDER_OF_LETTERS
    return REMOVED if is_mixed and len(kinds) > len(run) * order else run
