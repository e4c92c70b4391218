"""Page model: what the first screen tells, in no language: texts are said when it is rendered."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from pipeline.document import Key
from pipeline.language.texts import Label, Sentence, Text

Level = Literal["bad", "warn", "ok"]

#: How bad a level is, the worst first.
ORDER: dict[str, int] = {"bad": 0, "warn": 1, "ok": 2}


class Button(Struct, frozen=True):
    """What a button has done. do: the words of `acting`; id: unique on the page."""

    id: str
    do: str
    label: Text


class Item(Struct, frozen=True):
    """One thing that needs attention. rank: a lower one comes first within its level.

    tag: of what sort it is. what, why, remedy: as in a SynqupError. effect: what follows from it.
    details: documents or names that it is about, at most a few. link: where more stands.
    """

    id: str
    level: Level
    rank: int
    tag: Text
    what: Text
    why: Text | Sentence | None
    remedy: Text | Sentence | None
    since: float
    effect: Text | None = None
    details: tuple[str | Label, ...] = ()
    link: str = ""
    buttons: tuple[Button, ...] = ()


class CompanyRow(Struct, frozen=True):
    """One company. counts: documents of the last 30 days by kind; open: those that need something.

    level, state: the worst that concerns it.
    """

    identifier: str
    name: str
    file: str
    level: Level
    state: Text
    last: float | None
    today: int
    counts: dict[str, int]
    open: int = 0


class SourceRow(Struct, frozen=True):
    """One source. polled_at: when the last good poll ended."""

    name: str
    level: Level
    state: Text
    polled_at: float | None
    in_flight: int
    paused: bool = False


class NodeRow(Struct, frozen=True):
    """One node of a cluster. is_own: whether this page is its. silent_since: None if it is not.

    work: what it has in hand. problems: what is wrong with it alone.
    """

    name: str
    host: str
    version: str
    level: Level
    state: Text
    is_own: bool
    silent_since: float | None = None
    work: tuple[Text, ...] = ()
    problems: tuple[Text | Sentence, ...] = ()


class Flow(Struct, frozen=True):
    """What moves. hours: documents of each hour of today by kind, from midnight on; now: the hour.

    rate: documents a minute at present. queues: by stage, documents and bound.
    """

    hours: tuple[dict[str, int], ...]
    now: int
    total: int
    rate: int
    in_flight: int
    queues: tuple[tuple[str, int, int], ...]


class Group(Struct, frozen=True):
    """Documents that wait or are quarantined for one reason. documents: key, label, company, at."""

    id: str
    state: str
    reason: str
    remedy: str
    documents: tuple[tuple[Key, str, str, float], ...]


class Overview(Struct, frozen=True):
    """All of the first screen. companies: the worst first, then by name.

    more: things that need attention beyond those that are told. polled_at: when a source was read
    last. began: whether every source has been polled since the start.

    cluster: whether it is of several nodes. staged: what is said of documents that have lain ready
    for long.
    """

    items: tuple[Item, ...]
    more: int
    companies: tuple[CompanyRow, ...]
    sources: tuple[SourceRow, ...]
    flow: Flow
    groups: tuple[Group, ...]
    polled_at: float | None
    began: bool
    well: int
    cluster: bool = False
    nodes: tuple[NodeRow, ...] = ()
    staged: Text | None = None
