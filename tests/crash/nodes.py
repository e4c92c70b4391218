"""Nodes as processes that deliver one document, each of which can be stopped at a step.

A step is a call that touches the disk or the ledger; it is passed before and after. Every node
takes every other one for a dead one, so that it resumes whatever is staged.
"""

from __future__ import annotations

import inspect
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from msgspec import structs

from pipeline.document import Document, Sidecar
from pipeline.errors import AlreadyDelivered
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace
from pipeline.payload import Payload
from stages.delivery import forward, publish_group, recovery_shared, temporary_files
from stages.delivery.lanes import Lanes
from stages.delivery.peers import Peers
from stages.delivery.staging import NAME
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.volumes import Volumes
from stages.model import Classified
from stages.settings import Config
from stages.write import Write
from tests.helpers.documents import SUPPLIER, classified, configured
from tests.helpers.invoices import ubl

PDF = b"%PDF-1.7"
#: Looks at the document by one node, at most.
LOOKS = 6
PATIENCE = 60.0

#: What is a step: a function of a module, or a method.
STEPS: tuple[tuple[Any, str], ...] = (
    (temporary_files.TemporaryFiles, "write"),
    (temporary_files.TemporaryFiles, "flush"),
    (Ledger, "stage"),
    (Ledger, "change"),
    (forward, "rename_in_one_step"),
    (publish_group, "flush_names"),
    (recovery_shared, "flush_folder"),
    (Ledger, "delivered"),
    (Ledger, "unstaged"),
    (recovery_shared, "remove_all"),
)


class Node(NamedTuple):
    """A process that delivers the document. pid: of it."""

    pid: int

    def wait(self) -> str:
        """Wait until it stands still ("stopped"), was killed ("killed") or has ended ("ended")."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)
            if pid and os.WIFSTOPPED(status):
                return "stopped"
            if pid and os.WIFSIGNALED(status):
                return "killed"
            if pid:
                assert os.WEXITSTATUS(status) == 0, "the node has failed"
                return "ended"
            time.sleep(0.002)
        raise TimeoutError("the node neither ends nor stands still")

    def go_on(self) -> str:
        """Wake it, and wait for its end."""
        os.kill(self.pid, signal.SIGCONT)
        return self.wait()


class Mailroom:
    """The folders and the ledger of one document, and the importer that empties its folder.

    sidecar: whether it has one. twins: whether it comes by two routes.
    """

    def __init__(
        self, folder: Path, place: LedgerPlace, *, sidecar: bool, twins: bool = False
    ) -> None:
        self.folder = folder
        self.place = place
        self.sidecar = sidecar
        self.twins = twins
        self.config: Config = configured(folder)
        self.out = folder / "out" / SUPPLIER / "out"
        self.staging = self.out.parent / ".synqup"
        self.taken = folder / "taken"
        self.taken.mkdir()
        self._importer = 0
        self._documents: list[Document[Classified]] = []

    async def documents(self) -> list[Document[Classified]]:
        """What is to be written, as it comes to be."""
        if not self._documents:
            for id_ in ("1", "2") if self.twins else ("1",):
                one = await classified(self.config, ubl(), id_)
                if self.sidecar:
                    one = structs.replace(one, sidecars=(Sidecar("pdf", Payload(8, "", PDF)),))
                self._documents.append(one)
        return self._documents

    def node(self, name: str, *prepare: Callable[[], object]) -> Node:
        """Start a node. prepare: called in its process before it does anything."""

        def work() -> None:
            for one in prepare:
                one()
            anyio.run(deliver, self, name)

        return Node(forked(work))

    def start_importer(self) -> None:
        """Take every file from now on, the instant that it appears."""
        self._importer = forked(self._take)

    def stop_importer(self) -> None:
        """Let it take what is there, and end."""
        if self._importer:
            until = time.monotonic() + PATIENCE
            while self.out.is_dir() and any(self.out.iterdir()) and time.monotonic() < until:
                time.sleep(0.002)
            os.kill(self._importer, signal.SIGKILL)
            os.waitpid(self._importer, 0)
            self._importer = 0

    def arrived(self) -> Counter[str]:
        """How many files have arrived, by extension."""
        return Counter(path.suffix for path in self.taken.iterdir())

    def told(self) -> int:
        """How often the source was told."""
        return len(list(self.folder.glob("told-*")))

    def left(self) -> list[str]:
        """The temporary files that are left."""
        return sorted(one.name for one in self.staging.glob("*") if not one.name.startswith("."))

    def _take(self) -> None:
        number = 0
        while True:
            if self.out.is_dir():
                for name in os.listdir(self.out):  # noqa: PTH208 - their names only
                    (self.out / name).rename(self.taken / f"{number}-{name}")
                    number += 1
            time.sleep(0.0005)


def stopping(at: int, how: signal.Signals) -> Callable[[], None]:
    """What stops a node by a signal at a passage of a step, counted from 0."""
    return lambda: _watch(lambda number, _: os.kill(os.getpid(), how) if number == at else None)


def stopping_at(*steps: str) -> Callable[[], None]:
    """What stops a node the first time that it passes each step, such as "before stage"."""
    passed: list[str] = []

    def stop(_: int, name: str) -> None:
        passed.append(name)
        if name in steps and passed.count(name) == 1:
            os.kill(os.getpid(), signal.SIGSTOP)

    return lambda: _watch(stop)


def tracing(path: Path) -> Callable[[], None]:
    """What writes each passage of a step into a file, a line each."""

    def write(_: int, name: str) -> None:
        with path.open("a") as file:
            file.write(f"{name}\n")

    return lambda: _watch(write)


def refusing() -> None:
    """Let the folder refuse the document, though not its sidecar."""
    rename = forward.rename_in_one_step

    def refuse(source: Any, target: Any) -> None:
        if str(target).endswith(".xml"):
            raise PermissionError(13, "denied", str(target))
        rename(source, target)

    forward.rename_in_one_step = refuse


def refusing_all() -> None:
    """Let the folder refuse both files, though the staging folder takes them."""
    rename = forward.rename_in_one_step

    def refuse(source: Any, target: Any) -> None:
        if NAME not in str(target):
            raise PermissionError(13, "denied", str(target))
        rename(source, target)

    forward.rename_in_one_step = refuse


def losing_answers(*, applied: bool) -> None:
    """Cut the connection at every other commit. applied: whether the server has made it."""
    from pipeline.ledger.postgres_errors import ConnectionLost  # noqa: PLC0415 - an extra
    from pipeline.ledger.postgres_store import PostgresStore  # noqa: PLC0415 - an extra

    commit, count = PostgresStore.commit, 0

    def lose(store: PostgresStore) -> None:
        nonlocal count
        count += 1
        if count % 2:
            if applied:
                commit(store)
            store.close()
            raise ConnectionLost("cut")
        commit(store)

    PostgresStore.commit = lose  # type: ignore[method-assign]


async def deliver(room: Mailroom, name: str, patience: float = 10.0) -> None:
    """One node: recover, then look at what is there until it is delivered, and tell the source.

    patience: seconds for which it sends a change to the ledger again that has had no answer.
    """
    documents = await room.documents()
    state = room.folder / name
    state.mkdir(exist_ok=True)
    async with open_ledger(room.place, patience, name) as ledger:
        lanes = Lanes()
        staging = SharedStaging(ledger, Peers(name, lambda _: False), lanes.mount_of)
        write = Write(ledger, staging, Volumes(state / "volumes", lanes.is_mounted), lanes)
        try:
            await write.recovery.recover()
            for _ in range(LOOKS):
                documents = await _look(room, name, ledger, documents)
                if not documents:
                    break
                await _bring(ledger, write, documents)
        finally:
            lanes.close()


def tell(room: Mailroom, name: str) -> None:
    """Tell the source that a document was brought."""
    (room.folder / f"told-{name}").touch()


async def _look(
    room: Mailroom, name: str, ledger: Ledger, documents: Sequence[Document[Classified]]
) -> list[Document[Classified]]:
    """Tell of what has come to its end; the others."""
    known = await ledger.contents("box", [one.key.id for one in documents])
    left = []
    for one in documents:
        found = known.get(one.key.id, {}).get("")
        if found is not None and found.state in (State.DELIVERED, State.DUPLICATE):
            tell(room, name)
            await ledger.acknowledged([one.key], time.time())
        else:
            left.append(one)
    return left


async def _bring(ledger: Ledger, write: Write, documents: Sequence[Document[Classified]]) -> None:
    """Deliver what nobody has staged, and recover what somebody has."""
    known = await ledger.contents("box", [one.key.id for one in documents])
    staged = {id_ for id_, found in known.items() if found[""].state is State.STAGED}
    fetched = [one for one in documents if one.key.id not in staged]
    if fetched:
        await ledger.seen([(one.key, one.key.id) for one in fetched], time.time())
        results = await write.work(fetched)
        same = [
            (one.key, str(result))
            for one, result in zip(fetched, results, strict=True)
            if isinstance(result, AlreadyDelivered)
        ]
        await ledger.duplicates(same, time.time())
    await write.recovery.retry(lambda _: False)


def _watch(passed: Callable[[int, str], object]) -> None:
    """Call something at each passage of a step, with its number and its name."""
    count = 0

    def at(name: str) -> None:
        nonlocal count
        number, count = count, count + 1
        passed(number, name)

    def wrapped(function: Any, name: str) -> Any:
        if inspect.iscoroutinefunction(function):

            async def later(*arguments: Any, **named: Any) -> Any:
                at(f"before {name}")
                result = await function(*arguments, **named)
                at(f"after {name}")
                return result

            return later

        def now(*arguments: Any, **named: Any) -> Any:
            at(f"before {name}")
            try:
                return function(*arguments, **named)
            finally:
                at(f"after {name}")

        return now

    for owner, name in STEPS:
        setattr(owner, name, wrapped(getattr(owner, name), name))


def forked(work: Callable[[], object]) -> int:
    """A process of its own that does something and ends."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001 - said, and the end
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
