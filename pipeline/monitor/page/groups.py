"""Groups: the documents that wait or are quarantined, by the reason and the remedy they share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from pipeline.language.reasons import reason_and_remedy
from pipeline.ledger.overview import UndeliveredDocument
from pipeline.monitor.page.model import Group

#: What differs between the same failures of two documents: names, addresses, numbers, digests.
_OWN_WORDS = re.compile(r'"[^"]*"|\([^)]*\)|\S*[.:/_]\S+|\S*\d\S*')


def grouped(documents: Iterable[UndeliveredDocument]) -> tuple[Group, ...]:
    """The groups of one state and reason each; of a group the latest documents come first."""
    found: dict[str, list[tuple[UndeliveredDocument, str, str]]] = {}
    for one in documents:
        reason, remedy = reason_and_remedy(one.reason, one.label)
        found.setdefault(_alike(one.state.value, reason), []).append((one, reason, remedy))
    groups = []
    for alike, members in found.items():
        first, reason, remedy = members[0]
        told = tuple((one.key, one.label, one.company, one.at) for one, _, _ in members)
        groups.append(Group(alike, first.state.value, reason, remedy, told))
    return tuple(sorted(groups, key=lambda one: (one.state, -len(one.documents), one.id)))


def _alike(state: str, reason: str) -> str:
    words = _OWN_WORDS.sub("", reason)
    return hashlib.sha256(f"{state}\n{words}".encode("utf-8", "replace")).hexdigest()[:12]
