"""Attention: what is wrong at one moment, as items for people, the worst first.

The rules by which something is wrong are those of alerts (conditions.py and rhythms.py of
pipeline/alerts), so that the page and the messages agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

from msgspec import Struct

from pipeline.alerts.conditions import IS_FULL
from pipeline.alerts.memory import Condition
from pipeline.language.texts import Label, Sentence, Text, both, counted, mark as _, said
from pipeline.monitor.page.model import ORDER, Button, Group, Item, Level

#: Names in one item.
MAX_DETAILS = 8


class Words(Struct, frozen=True):
    """What is said of a cause, if it concerns one or more.

    {name}: of the one that it concerns, {n}: how many it concerns.
    rank: a lower one comes first. remedy: where the condition brings none.
    """

    level: Level
    rank: int
    tag: str
    what: tuple[str, str]
    remedy: str = ""


WORDS: Mapping[str, Words] = {
    "state": Words(
        "bad",
        0,
        _("state folder"),
        both(
            "Nothing is brought: the state folder can't be written",
            "Nothing is brought: the state folder can't be written",
        ),
    ),
    "stuck": Words(
        "bad",
        1,
        _("stuck"),
        both(
            "Nothing moves, though documents are under way",
            "Nothing moves, though documents are under way",
        ),
        _("Restart the service, and send the log to support if it happens again"),
    ),
    "source": Words(
        "bad",
        2,
        _("source fails"),
        both("{name} can't be read", "{n} sources can't be read"),
        _("Nothing is lost: all of it will be fetched when it can be read again"),
    ),
    "folder": Words(
        "bad",
        3,
        _("folder refuses"),
        both("A folder takes no documents: {name}", "{n} folders take no documents"),
    ),
    "disk": Words(
        "warn",
        4,
        _("disk"),
        both("A disk runs low: {name}", "Disks run low: they hold {n} folders"),
        _("Make room. When a disk is full, documents wait; none is lost"),
    ),
    "sign-in": Words(
        "warn",
        5,
        _("sign-in"),
        both("The sign-in of {name} ends soon", "{n} sign-ins end soon"),
        _("Sign in again on the server: synqup sign-in {name}"),
    ),
    "quarantined": Words(
        "bad",
        6,
        _("quarantine"),
        both("{label} can't be delivered", "{n} documents can't be delivered"),
        _("Remove the cause, then try again"),
    ),
    "waiting": Words(
        "warn",
        7,
        _("waiting"),
        both("{label} waits", "{n} documents wait"),
        _("They are tried again with each poll"),
    ),
    "quiet": Words(
        "warn",
        8,
        _("silence"),
        both("{name} gets no documents", "{n} companies get no documents, though they usually do"),
        _(
            "Ask the company whether that is so. If not, see whether the platform still receives"
            " for it, and whether it has approved synqup"
        ),
    ),
    "node": Words(
        "bad",
        2,
        _("node"),
        both("Node {name} is silent", "{n} nodes are silent"),
        _("See whether its machine runs and reaches the database, and start synqup there"),
    ),
    "overdue": Words(
        "bad",
        3,
        _("overdue"),
        both("{name} is not read in time", "{n} sources are not read in time"),
        _("See below what the nodes do, and in their logs what keeps them"),
    ),
    "configuration": Words(
        "warn",
        5,
        _("configuration"),
        both("The nodes are configured differently", "The nodes are configured differently"),
        _("Give all nodes the same companies, sources and folders"),
    ),
    "ended": Words(
        "warn",
        6,
        _("restart"),
        both("{name} was ended without a stop", "{n} nodes were ended without a stop"),
        _("Nothing is lost. If nobody has ended it, see in its log what has"),
    ),
    "paused": Words(
        "warn",
        9,
        _("paused"),
        both(
            "{name} is not polled: somebody has paused it",
            "{n} sources are not polled: somebody has paused them",
        ),
        _("Resume it when its documents are to come again"),
    ),
}

_EFFECT = both("{n} company gets nothing until then", "{n} companies get nothing until then")


def items_of(
    conditions: Iterable[Condition],
    groups: Iterable[Group],
    names: Mapping[str, str],
    companies_of: Mapping[str, int],
) -> tuple[Item, ...]:
    """All that needs attention, the worst first.

    names: how people call the members of conditions. companies_of: by source, its companies.
    """
    together: dict[tuple[str, str], list[Condition]] = {}
    for one in conditions:
        alike = one.member if one.cause == "sign-in" else one.alike
        together.setdefault((one.cause, alike), []).append(one)
    found = [_of_conditions(alike, names, companies_of) for alike in together.values()]
    found += [_of_group(group) for group in groups]
    return tuple(sorted(found, key=lambda one: (ORDER[one.level], one.rank, one.since, one.id)))


def _of_conditions(
    alike: Sequence[Condition], names: Mapping[str, str], companies_of: Mapping[str, int]
) -> Item:
    first = min(alike, key=lambda one: one.since)
    cause = first.cause
    words = WORDS[cause]
    name = names.get(first.member, first.member)
    is_worse = cause in ("disk", "sign-in") and max(one.level for one in alike) >= IS_FULL
    id_ = item_id(cause, *sorted(one.member for one in alike))
    remedy: Text | Sentence = said(words.remedy, name=name)
    if first.remedy:
        remedy = Sentence(first.remedy)
    details = tuple(names.get(one.member, one.member) for one in alike)
    return Item(
        id=id_,
        level="bad" if is_worse else words.level,
        rank=words.rank,
        tag=said(words.tag),
        what=counted(*words.what, len(alike), name=name),
        why=Sentence(first.reason) if first.reason else None,
        remedy=remedy,
        since=first.since,
        effect=_effect(cause, alike, companies_of),
        details=details[:MAX_DETAILS] if len(alike) > 1 else (),
        buttons=_buttons(id_, cause, alike),
    )


def _effect(cause: str, alike: Sequence[Condition], companies_of: Mapping[str, int]) -> Text | None:
    concerned = sum(companies_of.get(one.member, 0) for one in alike) if cause == "source" else 0
    return counted(*_EFFECT, concerned) if concerned else None


def _buttons(id_: str, cause: str, alike: Sequence[Condition]) -> tuple[Button, ...]:
    if cause not in ("source", "paused") or len(alike) > 1:
        return ()
    source = alike[0].member
    if cause == "paused":
        return (button(id_, "resume", _("Resume"), source=source),)
    return (button(id_, "poll", _("Fetch now"), source=source),)


def _of_group(group: Group) -> Item:
    words = WORDS[group.state]
    n = len(group.documents)
    label = group.documents[0][1]
    return Item(
        id=f"g-{group.id}",
        level=words.level,
        rank=words.rank,
        tag=said(words.tag),
        what=counted(*words.what, n, label=Label(label)),
        why=Sentence(group.reason),
        remedy=Sentence(group.remedy) if group.remedy else said(words.remedy),
        since=min(one[3] for one in group.documents),
        details=tuple(Label(one[1]) for one in group.documents[:3]) if n > 1 else (),
        link=f"/waiting?group={group.id}",
        buttons=(button(f"g-{group.id}", "retry", _("Try again"), group=group.id),),
    )


def button(id_: str, verb: str, label: str, **arguments: str) -> Button:
    """A button that has something done. id_: of what it belongs to."""
    do = f"{verb}?{urlencode(arguments)}" if arguments else verb
    return Button(f"{id_}-{verb}", do, said(label))


def item_id(*parts: str) -> str:
    """An id for the page that stays the same as long as what it names does."""
    return "i-" + hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:12]
