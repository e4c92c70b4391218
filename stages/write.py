"""Stage 6, write: a document stands in its folder, whole and durable, under a name of its own.

For a group of documents: the bytes go to temporary files that are flushed together; the ledger
records them as staged, with their names; each is renamed to its final name; the folders are
flushed; the ledger records them as delivered. docs/delivery.md tells why no crash loses or
doubles one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.errors import AlreadyDelivered, PassingError
from pipeline.ledger import Ledger
from pipeline.records import Claim, Delivery, Name, Staged, State, Twin, Unfinished
from pipeline.stage import Result, disk_trouble
from stages.classify import Classified
from stages.folders.flush import WORTH_IT, can_flush_volumes, flush_folder, volume
from stages.folders.names import file_name
from stages.folders.parcel import (
    companion,
    is_published,
    names,
    publish,
    remove,
    visible,
    write_file,
)
from stages.folders.staging import Staging, make_folder
from stages.list import Kind
from stages.settings import destination

log = structlog.get_logger(__name__)


class Written(Struct, frozen=True):
    """Where the document stands."""

    path: Path


class Plan(Struct, frozen=True):
    """A document whose bytes lie in `staged` and are meant to get the name `target`."""

    document: Document[Classified]
    staged: Path
    companions: tuple[str, ...]
    target: Path

    @property
    def key(self) -> Key:
        """The document's."""
        return self.document.key

    @property
    def label(self) -> str:
        """The document, as its owner knows it."""
        return self.document.entry.label


#: Where a document ended, or why it did not.
End = Path | PassingError | AlreadyDelivered


class Write:
    """Writes groups of documents; one group at a time gets its names and becomes visible."""

    def __init__(self, ledger: Ledger, staging: Staging) -> None:
        self._ledger = ledger
        self._staging = staging
        self._publishing = anyio.Lock()
        self._finishing = anyio.Lock()

    async def work(self, documents: Sequence[Document[Classified]]) -> list[Result]:
        """Deliver a group; each document's result, in order."""
        planned = await anyio.to_thread.run_sync(self._stage, documents)
        ends: dict[Key, End] = {}
        plans: list[Plan] = []
        for document, plan in zip(documents, planned, strict=True):
            if isinstance(plan, Plan):
                plans.append(plan)
            else:
                ends[document.key] = plan
        # From here on a stop waits: what is half done would have to be found out again.
        with anyio.CancelScope(shield=True):
            async with self._publishing:
                ends |= await self._deliver(plans)
        return [_result(document, ends[document.key]) for document in documents]

    async def recover(self) -> None:
        """Find out, at the start, what a crash left staged, and bring it to its end."""
        await self.finish(lambda _: False)
        kept = {Path(one.staged).name for one in await self._ledger.unfinished()}
        await anyio.to_thread.run_sync(self._staging.clear, kept)

    async def finish(self, busy: Callable[[Key], bool]) -> None:
        """Bring to their end the documents that are staged and could not become visible so far.

        busy: whether somebody has this one in hand.
        """
        async with self._finishing:
            before = {one.key for one in await self._ledger.unfinished() if not busy(one.key)}
            if not before:
                return
            # Asked again, for one that has just landed was staged still when it was asked first.
            unfinished = [one for one in await self._ledger.unfinished() if one.key in before]
            await self._finish(unfinished)

    async def _finish(self, unfinished: Sequence[Unfinished]) -> None:
        resumed = await anyio.to_thread.run_sync(self._resume, unfinished)
        ended = list(zip(unfinished, resumed, strict=True))
        placed = [Delivery(one.key, _name(end)) for one, end in ended if isinstance(end, Path)]
        # Their temporary folder is gone for good, so they have to be fetched again.
        why = "its temporary file was removed before it became visible"
        lost = [(one.key, why) for one, end in ended if end is None]
        now = time.time()
        with anyio.CancelScope(shield=True):
            await self._ledger.delivered(placed, now)
            await self._ledger.unstaged(lost, now)
        for one, end in ended:
            if isinstance(end, OSError):
                log.warning("document waits", path=one.path, reason=str(end))
        log.info("recovered", documents=len(placed) + len(lost))

    def _stage(self, documents: Sequence[Document[Classified]]) -> list[Plan | PassingError]:
        """Write the temporary files of a group and flush them, together where that is faster."""
        grouped = len(documents) >= WORTH_IT and can_flush_volumes()
        plans: list[Plan | PassingError] = []
        flushes: dict[Path, Callable[[], None]] = {}
        places: dict[Path, Path] = {}
        with ExitStack() as stack:
            for document in documents:
                try:
                    facts = document.facts
                    delivery = facts.listed.config.delivery
                    folder = destination(delivery, facts.company, facts.kind.path)
                    place = places.get(folder)
                    if place is None:
                        place = self._staging.for_folder(folder, delivery.folder_mode)
                        places[folder] = place
                    if place not in flushes:
                        flushes[place] = (
                            stack.enter_context(volume(place))
                            if grouped
                            else partial(flush_folder, place)
                        )
                    target = folder / _file_name(document)
                    plans.append(_write(document, place, target, flush=not grouped))
                except OSError as error:
                    plans.append(disk_trouble(document.entry.label, error))
            for place, flush in flushes.items():
                try:
                    flush()
                except OSError as error:
                    plans = [_failed_in(place, plan, error) for plan in plans]
        return plans

    async def _deliver(self, plans: Sequence[Plan]) -> dict[Key, End]:
        """Name a group, make it visible, and record both."""
        claims = await self._ledger.stage([_row(plan) for plan in plans], time.time())
        claimed = list(zip(plans, claims, strict=True))
        named = [(plan, Path(one.path)) for plan, one in claimed if isinstance(one, Claim)]
        ends: dict[Key, End] = {}
        ends |= await anyio.to_thread.run_sync(_publish, named)
        deliveries = [
            Delivery(plan.key, None if end == path else _name(end))
            for plan, path in named
            if isinstance(end := ends[plan.key], Path)
        ]
        await self._ledger.delivered(deliveries, time.time())
        for plan, claim in claimed:
            if not isinstance(claim, Twin):
                if isinstance(ends[plan.key], Path):
                    _mark(plan, claim)
            else:
                ends[plan.key] = _twin_end(plan, claim, ends.get(claim.key))
        if len(deliveries) < len(plans):
            await self._take_back(plans, ends)
        return ends

    async def _take_back(self, plans: Sequence[Plan], ends: dict[Key, End]) -> None:
        """Let go of what did not become visible; what did in part stays staged, to be resumed."""
        gone: list[Plan] = []
        failed: list[tuple[Key, str]] = []
        for plan in plans:
            end = ends[plan.key]
            if isinstance(end, Path):
                continue
            if isinstance(end, PassingError):
                if await anyio.to_thread.run_sync(visible, plan.staged, plan.companions):
                    continue
                failed.append((plan.key, str(end)))
            gone.append(plan)
        # The ledger first: a staged row without its file means that it was delivered.
        await self._ledger.unstaged(failed, time.time())
        for plan in gone:
            await anyio.to_thread.run_sync(remove, plan.staged, plan.companions)

    def _resume(self, unfinished: Sequence[Unfinished]) -> list[Path | OSError | None]:
        ends: list[Path | OSError | None] = []
        for one in unfinished:
            staged, target = Path(one.staged), Path(one.path)
            try:
                ends.append(self._end_of(one, staged, target))
            except OSError as error:
                ends.append(error)
        return ends

    def _end_of(self, one: Unfinished, staged: Path, target: Path) -> Path | None:
        """Where a staged document stands now; None if its temporary file is lost. OSError."""
        if self._staging.is_gone(staged.parent, target.parent):
            raise FileNotFoundError(f"the volume of {target.parent} is not there")
        if not staged.parent.is_dir():
            return None
        if is_published(staged):
            # Whoever made it visible may have died before that was durable.
            if target.parent.is_dir():
                flush_folder(target.parent)
            # Second names, of which the temporary one was yet to be removed.
            remove(staged, one.companions)
            return target
        make_folder(target.parent, target.parent.parent.stat().st_mode & 0o777)
        path = publish(staged, one.companions, target, resumed=True)
        flush_folder(path.parent)
        remove(staged, one.companions)
        return path


def _file_name(document: Document[Classified]) -> str:
    """The name that the configuration gives the document."""
    facts = document.facts
    config = facts.listed.config
    statement = facts.kind is Kind.STATEMENT
    template = config.delivery.statement_name if statement else config.delivery.invoice_name
    variables = {
        "issue_date": facts.issue_date,
        "document_number": facts.number,
        "counterparty": facts.counterparty,
        "kind": facts.kind.value,
        "id": document.key.id.partition("/")[2],
        "account": facts.account,
        "enterprise_name": facts.company.name,
        "enterprise_identifier": facts.company.identifier,
        "accounting_file_id": facts.company.accounting_file_id,
    }
    return file_name(template, variables, facts.extension)


def _write(document: Document[Classified], place: Path, target: Path, *, flush: bool) -> Plan:
    assert document.payload is not None
    staged = place / document.key.digest
    mode = document.facts.listed.config.delivery.file_mode
    write_file(document.payload, staged, mode, flush=flush)
    for one in document.companions:
        write_file(one.payload, companion(staged, one.extension), mode, flush=flush)
    return Plan(document, staged, tuple(one.extension for one in document.companions), target)


def _failed_in(place: Path, plan: Plan | PassingError, error: OSError) -> Plan | PassingError:
    if isinstance(plan, Plan) and plan.staged.parent == place:
        return disk_trouble(plan.label, error)
    return plan


def _publish(named: Sequence[tuple[Plan, Path]]) -> dict[Key, Path | PassingError]:
    """Give each its name, then make the names durable."""
    ends: dict[Key, Path | PassingError] = {}
    for plan, path in named:
        try:
            ends[plan.key] = publish(plan.staged, plan.companions, path)
        except OSError as error:
            ends[plan.key] = disk_trouble(plan.label, error)
    folders = {end.parent for end in ends.values() if isinstance(end, Path)}
    try:
        _flush_names(folders)
    except OSError as error:
        # The names are there; only their surviving a power cut in this instant is in doubt.
        log.warning("folders not flushed", reason=str(error))
    return ends


def _flush_names(folders: set[Path]) -> None:
    if len(folders) >= WORTH_IT and can_flush_volumes():
        by_volume = {folder.stat().st_dev: folder for folder in folders}
        for folder in by_volume.values():
            with volume(folder) as flush:
                flush()
    else:
        for folder in folders:
            flush_folder(folder)


def _mark(plan: Plan, claim: Claim) -> None:
    """Log what was delivered before under the same number."""
    if claim.repeats:
        log.warning("document was delivered before", document=plan.label, before=claim.repeats)
    elif claim.corrects:
        log.warning(
            "document bears a number that was delivered before",
            document=plan.label,
            before=claim.corrects,
        )


def _twin_end(plan: Plan, twin: Twin, its_end: End | None) -> End:
    same = f"it is the same as {twin.label}"
    if twin.key.source != plan.key.source:
        same += f" of source {twin.key.source}"
    if twin.state is State.DELIVERED or isinstance(its_end, Path):
        return AlreadyDelivered(plan.label, f"{same}, which was delivered")
    return PassingError(plan.label, f"{same}, which has yet to be delivered")


def _result(document: Document[Classified], end: End) -> Result:
    return document.grown(Written(end)) if isinstance(end, Path) else end


def _row(plan: Plan) -> Staged:
    facts = plan.document.facts
    assert plan.document.payload is not None
    return Staged(
        key=plan.key,
        staged=str(plan.staged),
        companions=plan.companions,
        names=partial(candidates, plan.target, plan.companions),
        company=facts.company.identifier,
        kind=facts.kind.value,
        sha256=plan.document.fetched,
        size=plan.document.payload.size,
        checksum=facts.checksum or "structure",
        warnings="\n".join(facts.warnings),
        verified_at=facts.verified_at,
        identity=facts.identity.hash(*_whose(facts)) if facts.identity else None,
        number_hash=facts.identity.number_hash(*_whose(facts)) if facts.identity else None,
        may_repeat=facts.listed.config.delivery.duplicates == "deliver",
    )


def _whose(facts: Classified) -> tuple[str, str]:
    """An invoice between two of our companies is delivered to both."""
    return facts.company.identifier, facts.kind.value


def candidates(target: Path, companions: Sequence[str]) -> Iterator[Name]:
    """The names that a document may get, as the ledger compares them, the best first."""
    return map(_name, names(target, companions))


def _name(path: Path) -> Name:
    """A path, and 63 bits of it without regard to case, as NTFS compares, and to the extension.

    A package that takes the files of one base name for one document sees no two as one.
    """
    text = str(path)
    base = text[: text.rindex(".")].casefold()
    digest = hashlib.sha256(base.encode("utf-8", "surrogatepass")).digest()
    return Name(text, int.from_bytes(digest[:8]) >> 1)
