"""Stage 5, write: a document stands in its folder, whole and durable, under a name of its own.

For a group of documents: the bytes go to temporary files that are flushed; the ledger records
them as staged; each is renamed to its final name; the folders are flushed; the ledger records
them as delivered. The rename takes the file out of the temporary folder, so after a crash a
staged document whose temporary file is gone has been delivered, wherever the importer may have
taken it since, and one whose temporary file is there has not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct

from pipeline.document import Document
from pipeline.errors import PassingError
from pipeline.ledger import Delivery, Ledger, Staged
from pipeline.payload import Payload
from pipeline.stage import Result, disk_trouble
from stages.classify import Classified
from stages.folders.names import file_name, twins
from stages.folders.rename import rename_exclusively
from stages.folders.staging import FILE_MODE, Staging, flush_folder
from stages.list import Kind
from stages.settings import destination

log = structlog.get_logger(__name__)


class Written(Struct, frozen=True):
    """Where the document stands."""

    path: Path


class Plan(Struct, frozen=True):
    """A document whose bytes lie flushed in `staged` and are meant to get the name `target`."""

    document: Document[Classified]
    staged: Path
    target: Path

    @property
    def label(self) -> str:
        """The document, as its owner knows it."""
        return self.document.entry.label


class Write:
    """Writes groups of documents; names are decided by one group at a time."""

    def __init__(self, ledger: Ledger, staging: Staging) -> None:
        self._ledger = ledger
        self._staging = staging
        self._naming = anyio.Lock()

    async def work(self, documents: Sequence[Document[Classified]]) -> list[Result]:
        """Deliver a group; each document's result, in order."""
        planned = await anyio.to_thread.run_sync(self._stage, documents)
        plans = [plan for plan in planned if isinstance(plan, Plan)]
        # From here on a stop waits: what is half done would have to be found out again.
        with anyio.CancelScope(shield=True):
            async with self._naming:
                plans = await self._name(plans)
                await self._ledger.staged([_row(plan) for plan in plans], time.time())
            placed = await anyio.to_thread.run_sync(_publish, plans)
            await self._ledger.delivered(_deliveries(plans, placed), time.time())
            await self._take_back(plans, placed)
        ends = {plan.document.key: end for plan, end in zip(plans, placed, strict=True)}
        return [
            _result(document, ends[document.key] if isinstance(plan, Plan) else plan)
            for document, plan in zip(documents, planned, strict=True)
        ]

    async def recover(self) -> None:
        """Find out, at the start, what became of documents that a crash left staged."""
        delivered, interrupted = [], []
        unfinished = await self._ledger.unfinished()
        for key, staged, target in unfinished:
            if await anyio.to_thread.run_sync(_was_published, Path(staged)):
                delivered.append(Delivery(key, target, _name_hash(Path(target))))
            else:
                interrupted.append((key, "it was interrupted before it became visible"))
        await self._ledger.delivered(delivered, time.time())
        await self._ledger.unstaged(interrupted, time.time())
        # Only now: until the ledger knows, these files are what tells the two cases apart.
        for _, staged, _ in unfinished:
            await anyio.to_thread.run_sync(_remove, Path(staged))
        await anyio.to_thread.run_sync(self._staging.clear)
        if delivered or interrupted:
            log.info("recovered", delivered=len(delivered), interrupted=len(interrupted))

    def _stage(self, documents: Sequence[Document[Classified]]) -> list[Plan | PassingError]:
        plans: list[Plan | PassingError] = []
        folders = set()
        for document in documents:
            try:
                target = _target(document)
                temporary = self._staging.for_folder(target.parent) / document.key.digest
                assert document.payload is not None
                _write_durably(document.payload, temporary)
            except OSError as error:
                plans.append(disk_trouble(document.entry.label, error))
            else:
                plans.append(Plan(document, temporary, target))
                folders.add(temporary.parent)
        _flush(folders)
        return plans

    async def _name(self, plans: Sequence[Plan]) -> list[Plan]:
        """Give each a name that no document of ours has had, whatever the case of its letters."""
        candidates = [_twin_paths(plan.target) for plan in plans]
        names: list[Path | None] = [None] * len(plans)
        claimed: set[int] = set()
        while open_ones := [index for index, name in enumerate(names) if name is None]:
            wanted = {index: next(candidates[index]) for index in open_ones}
            taken = await self._ledger.taken([_name_hash(path) for path in wanted.values()])
            for index, path in wanted.items():
                if (name_hash := _name_hash(path)) not in taken | claimed:
                    claimed.add(name_hash)
                    names[index] = path
        return [
            Plan(plan.document, plan.staged, name)
            for plan, name in zip(plans, names, strict=True)
            if name is not None
        ]

    async def _take_back(
        self, plans: Sequence[Plan], placed: Sequence[Path | PassingError]
    ) -> None:
        failed = [
            (plan, end)
            for plan, end in zip(plans, placed, strict=True)
            if not isinstance(end, Path)
        ]
        # The ledger first: a staged row without its file means that it was delivered.
        await self._ledger.unstaged([(p.document.key, str(e)) for p, e in failed], time.time())
        for plan, _ in failed:
            await anyio.to_thread.run_sync(_remove, plan.staged)


def _target(document: Document[Classified]) -> Path:
    """The folder and the name that the configuration gives the document."""
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
    return destination(config.delivery, facts.company, facts.kind.path) / file_name(
        template, variables, facts.extension
    )


def _write_durably(payload: Payload, path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as target:
        if payload.data is not None:
            target.write(payload.data)
        else:
            with payload.open() as source:
                shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())


def _publish(plans: Sequence[Plan]) -> list[Path | PassingError]:
    """Rename each to the first of its names that is free, then make the names durable."""
    ends: list[Path | PassingError] = []
    for plan in plans:
        try:
            ends.append(_rename(plan))
        except OSError as error:
            ends.append(disk_trouble(plan.label, error))
    _flush({end.parent for end in ends if isinstance(end, Path)})
    return ends


def _rename(plan: Plan) -> Path:
    for path in _twin_paths(plan.target):
        try:
            rename_exclusively(plan.staged, path)
        except FileExistsError:
            continue
        return path
    raise AssertionError("there is always another twin")


def _flush(folders: Iterable[Path]) -> None:
    for folder_ in folders:
        try:
            flush_folder(folder_)
        except OSError as error:
            # The names are there; only their surviving a power cut in this instant is in doubt.
            log.warning("folder not flushed", folder=str(folder_), reason=str(error))


def _was_published(staged: Path) -> bool:
    """Whether a staged document became visible: its file then left the temporary folder.

    A second name beside the temporary one is the same proof, on file systems without an
    exclusive rename. A missing folder proves nothing: then the document is delivered again.
    """
    if not staged.parent.is_dir():
        return False
    try:
        return staged.stat().st_nlink > 1
    except FileNotFoundError:
        return True


def _result(document: Document[Classified], end: Path | PassingError) -> Result:
    return document.grown(Written(end)) if isinstance(end, Path) else end


def _row(plan: Plan) -> Staged:
    facts = plan.document.facts
    assert plan.document.payload is not None
    return Staged(
        key=plan.document.key,
        staged=str(plan.staged),
        path=str(plan.target),
        name_hash=_name_hash(plan.target),
        company=facts.company.identifier,
        kind=facts.kind.value,
        sha256=plan.document.payload.sha256,
        size=plan.document.payload.size,
        checksum=facts.checksum or "structure",
        warnings="\n".join(facts.warnings),
        verified_at=facts.verified_at,
    )


def _deliveries(plans: Sequence[Plan], ends: Sequence[Path | PassingError]) -> list[Delivery]:
    return [
        Delivery(plan.document.key, str(end), _name_hash(end))
        for plan, end in zip(plans, ends, strict=True)
        if isinstance(end, Path)
    ]


def _twin_paths(path: Path) -> Iterator[Path]:
    return (path.with_name(name) for name in twins(path.name))


def _name_hash(path: Path) -> int:
    """63 bits of the path without regard to case, as NTFS compares names."""
    digest = hashlib.sha256(str(path).casefold().encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) >> 1


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
