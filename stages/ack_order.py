"""Acknowledgement order: finds what an acknowledgement by offset, or of a group, may be sent for.

An offset says that everything before it is received, so it may pass no document that is not safe;
a group is acknowledged when the last of its documents is. Both depend on the list, which gives the
order and the members, and on the ledger, which knows what became of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from pipeline.dispatcher import Dispatcher, PendingAck
from pipeline.document import Ack, Key
from pipeline.errors import SourceError
from pipeline.ledger.models import ACKED, ENDED, Known
from pipeline.source import Entry, Source
from pipeline.traits import Acknowledging


class Blocked(Struct, frozen=True):
    """A document that keeps what comes after it in its lane from being acknowledged."""

    lane: str
    label: str
    reason: str


class AckOrder:
    """The entries of one walk by their lanes, each in the order of its lane."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lanes: dict[str, dict[str, str]] = {}
        self._companies: dict[str, str] = {}

    def __len__(self) -> int:
        """How many entries it holds."""
        return sum(map(len, self._lanes.values()))

    def add(
        self, entries: Sequence[Entry], company_of: Callable[[Entry], str] = lambda _: ""
    ) -> None:
        """Add a page of the list; an entry that is shown twice keeps its first place.

        company_of: as a document's; that of a lane is the one of its first entry.
        """
        for entry in entries:
            if entry.lane not in self._companies:
                self._companies[entry.lane] = company_of(entry)
            self._lanes.setdefault(entry.lane, {}).setdefault(entry.id, entry.label)

    def ids(self) -> list[str]:
        """The ids of all entries."""
        return [id_ for lane in self._lanes.values() for id_ in lane]

    async def pending(
        self, rows: Mapping[str, Mapping[str, Known]], dispatcher: Dispatcher
    ) -> tuple[list[PendingAck], list[Blocked]]:
        """What can be acknowledged now, at most once for each lane; and what stands in the way.

        rows: of the ledger, by id and revision.
        """
        by_offset = self._source.traits.acknowledges is Acknowledging.OFFSET
        acks: list[PendingAck] = []
        blocked: list[Blocked] = []
        for lane, entries in self._lanes.items():
            safe: list[tuple[Key, Known]] = []
            for id_, label in entries.items():
                ends = rows.get(id_, {})
                if (reason := await self._open_reason(id_, ends, dispatcher)) is not None:
                    blocked.append(Blocked(lane, label, reason))
                    break
                safe += [
                    (Key(self._source.name, id_, revision), ends[revision]) for revision in ends
                ]
            if safe and (by_offset or len(safe) >= len(entries)):
                acks.append(self._ack(safe, self._companies.get(lane, "")))
        return acks, blocked

    async def _open_reason(
        self, id_: str, ends: Mapping[str, Known], dispatcher: Dispatcher
    ) -> str | None:
        """Why a document must not be acknowledged yet; None if it is safe with us."""
        if not ends:
            return "it has not been started"
        for revision, row in ends.items():
            if row.state not in ENDED:
                return row.reason or f"it is {row.state.value}"
            if row.state not in ACKED and row.acknowledged_at is None:
                key = Key(self._source.name, id_, revision)
                if not await dispatcher.kept(key):
                    return f"the quarantine has no copy of it ({row.reason})"
        return None

    def _ack(self, safe: Sequence[tuple[Key, Known]], company: str) -> PendingAck:
        *before, (last, row) = safe
        refused = next((one.reason for _, one in safe if one.state not in ACKED), None)
        ack = Ack(self._source, last.id, last.revision)
        by_offset = self._source.traits.acknowledges is Acknowledging.OFFSET
        accepted = row.state in ACKED if by_offset else refused is None
        outcome = ack.ack() if accepted else ack.nack(row.reason or refused or "", kept=True)
        covers = tuple(key for key, _ in before)
        return PendingAck(last, self._source, outcome, covers=covers, company=company)


def check_progress(source: Source, blocked: Iterable[Blocked], staying: Mapping[str, int]) -> None:
    """Raise SourceError where documents that wait keep others from being fetched at all.

    staying: by lane, how many documents keep their place in its list.
    """
    for one in blocked:
        where = f" in {one.lane}" if one.lane else ""
        raise SourceError(
            f"source {source.name}",
            f"{one.label} keeps all after it{where} from being acknowledged: {one.reason}",
            "Remove the cause; nothing is lost, and what comes after it is delivered",
        )
    window = source.traits.window
    for lane, count in staying.items():
        if window is not None and count >= window:
            where = f" of {lane}" if lane else ""
            raise SourceError(
                f"source {source.name}",
                f"its list{where} shows {window} documents at once, and {count} of them wait:"
                " newer ones can't be seen",
                "See `synqup status` for what they wait for; what can't be fetched at all has"
                " to be settled at the platform",
            )
