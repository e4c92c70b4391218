"""Digests: what each part of a configuration is, so that nodes can say in what they differ.

A part is a section (`delivery`), or one entry of a list of entries (a company, a source). A digest
tells whether two are the same, and nothing of what they say. What is a node's own is left out: its
folders and addresses, and where its secrets lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.config.types import Secret
from pipeline.text import first_few

Parts = Mapping[str, str]

#: Sections that each node has for itself.
OWN = frozenset({"service", "stages", "monitor", "push", "include", "cluster"})
#: Sections that are lists of entries with names, and what one entry is called.
_ENTRIES = {"companies": "company", "sources": "source"}
#: Differences that are named between two nodes.
NAMED = 5


def parts(config: Any) -> Parts:
    """The digest of each part of a configuration, a Struct, by its name."""
    found: dict[str, str] = {"poll_interval": _digest(getattr(config.service, "poll_interval", 0))}
    for section in config.__struct_fields__:
        value = getattr(config, section)
        if section in OWN:
            continue
        if section in _ENTRIES:
            for one in value:
                found[f"{_ENTRIES[section]} {one.name}"] = _digest(one)
        else:
            found[section] = _digest(value)
    return found


def digest_of(found: Parts) -> str:
    """One digest of all parts."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def differences(own: str, mine: Parts, other: str, theirs: Parts) -> Sequence[str]:
    """In what two nodes differ, a sentence each, a few of them."""
    found = [f"node {other} does not have {one}" for one in mine if one not in theirs]
    found += [f"node {own} does not have {one}" for one in theirs if one not in mine]
    found += [
        f"{one} is not the same on node {own} and node {other}"
        for one in mine
        if one in theirs and mine[one] != theirs[one]
    ]
    return first_few(found, NAMED)


def _digest(value: Any) -> str:
    text = json.dumps(_plain(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """The value as JSON, without the places of secrets."""
    if isinstance(value, Secret | Path):
        return "secret" if isinstance(value, Secret) else value.as_posix()
    if isinstance(value, Struct):
        fields = {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        return [type(value).__name__, fields]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        found = [_plain(one) for one in value]
        return found if isinstance(value, list | tuple) else sorted(map(str, found))
    return msgspec.to_builtins(value, builtin_types=(float,), enc_hook=str)
