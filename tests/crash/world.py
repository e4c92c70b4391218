"""A mailbox, a configuration, folders, an importer that empties them, and what must hold."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple
from urllib.error import URLError

from anyio.from_thread import BlockingPortal, start_blocking_portal

from pipeline.app.wiring_sandbox import (
    Faults,
    Mailbox,
    serve_platform,
    write_config,
    write_manifest,
)
from pipeline.traits import Acknowledging
from stages.sandbox import IssuerRules, Sandbox
from stages.sandbox.fault_spec import FaultSpec
from stages.sandbox.state_index import State
from stages.sources.registry import CONNECTORS
from tests.helpers.browsing import decide, get, shown_address

from .plan import Plan
from .processes import PATIENCE, Process, running

#: The words of platforms for a document that they need not hold any more.
TAKEN = ("FORWARDED", "REMOVED", "MOVED", "RECEIVED", "CONFIRMED")
FOLDERS = {"purchase": "achats", "sales": "ventes", "statement": "coda"}


class Taken(NamedTuple):
    """A file as an importer got it."""

    sha256: str
    path: Path


class World:
    """All that one run of synqup meets. `out` is where its documents go, `state` its state_dir."""

    def __init__(self, folder: Path, mailbox: Mailbox) -> None:
        self.folder = folder
        self.mailbox = mailbox
        self.config = folder / "synqup.toml"
        self.out = folder / "out"
        #: Below a folder of its own: that one too has to survive a power cut.
        self.state = folder / "var" / "state"
        #: What serves its mailbox.
        self.sandbox: Sandbox
        self.taken: list[Taken] = []
        #: Acknowledgements of before this world began.
        self.told: list[str] = []
        self._runs = 0

    def synqup(self, *arguments: object, plan: Plan | None = None) -> int:
        """Run to the end; its status."""
        with self.running(*arguments, plan=plan) as process:
            return process.wait()

    def sign_in(self, plan: Plan | None = None) -> int:
        """Sign in as a person does, with a browser elsewhere; the status of the command."""
        with self.running("sign-in", "billtobox", "--no-browser", plan=plan) as process:
            wait_until(lambda: shown_address(process.said()) or not process.alive)
            if address := shown_address(process.said()):
                # The process may die at any moment, and the browser find nobody there.
                with suppress(URLError, HTTPException, OSError):
                    get(decide(address))
            return process.wait()

    @contextmanager
    def running(
        self, command: object, *arguments: object, plan: Plan | None = None, mortal: bool = False
    ) -> Iterator[Process]:
        self._runs += 1
        output = self.folder / f"said-{self._runs}"
        with running(
            command, "--config", self.config, *arguments, output=output, plan=plan, mortal=mortal
        ) as process:
            yield process

    def said(self) -> str:
        """What the last process printed."""
        return (self.folder / f"said-{self._runs}").read_text(errors="replace")

    @property
    def manifest(self) -> list[dict[str, Any]]:
        return _lines(self.folder / "manifest.jsonl")

    @property
    def journal(self) -> list[dict[str, Any]]:
        return _lines(self.folder / "journal.jsonl")

    def grow(self, documents: int) -> None:
        """The mailbox receives so many more."""
        self.mailbox.grow(documents)
        write_manifest(self.folder / "manifest.jsonl", self.mailbox, self.sandbox.platform.holds)

    def edit(self, old: str, new: str) -> None:
        """Edit the configuration, which holds `old`, as an editor saves: whole, by a rename."""
        text = self.config.read_text()
        assert old in text
        draft = self.config.with_name("draft")
        draft.write_text(text.replace(old, new))
        draft.replace(self.config)

    def folder_of(self, company: int, kind: str) -> Path:
        """Where a company's documents of a kind belong."""
        one = self.mailbox.companies[company]
        return self.out / f"{one.name}_{one.identifier}" / FOLDERS[kind]

    def make_folders(self) -> list[Path]:
        """Make every folder that documents belong in: those that are there now, parents first."""
        for company in range(len(self.mailbox.companies)):
            for kind in FOLDERS:
                self.folder_of(company, kind).mkdir(parents=True, exist_ok=True)
        return [self.out, *sorted(path for path in self.out.rglob("*") if path.is_dir())]

    def log(self) -> str:
        """What is in the log of the state folder."""
        log = self.state / "logs" / "synqup.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def acknowledged(self) -> set[str]:
        return {*self.told, *(one["id"] for one in self.journal)}

    def standing(self) -> list[Path]:
        """The files that a program which watches the folders sees."""
        return sorted(_visible(self.out))

    def take(self) -> int:
        """Be the importer once: move away what stands, and note what it was."""
        count = 0
        for path in _visible(self.out):
            away = self.folder / "taken" / f"{len(self.taken)}"
            away.parent.mkdir(exist_ok=True)
            path.rename(away)
            self.taken.append(Taken(sha256(away.read_bytes()).hexdigest(), path))
            count += 1
        return count

    def take_copies(self) -> None:
        """Be the importer once, on folders of other volumes: note what stands, then remove it."""
        for path in _visible(self.out):
            self.taken.append(Taken(sha256(path.read_bytes()).hexdigest(), path))
            path.unlink()

    @contextmanager
    def importer(self) -> Iterator[None]:
        """Take files the instant that they appear, while the block runs; the last at its end."""
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                if not self.take():
                    time.sleep(0.0005)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.take()

    def problems(self) -> list[str]:
        """What is wrong with what was delivered and told, all told; empty when all is well."""
        manifest = {one["sha256"]: one for one in self.manifest}
        got = Counter(one.sha256 for one in self.taken)
        names = {one.sha256: one.path.name for one in self.taken}
        found = [f"partial or unknown: {names[sha]}" for sha in got if sha not in manifest]
        found += [f"lost: {one['number']}" for sha, one in manifest.items() if not got[sha]]
        found += [f"{times} times: {names[sha]}" for sha, times in got.items() if times > 1]
        for one in self.taken:
            document = manifest.get(one.sha256)
            if document and (
                document["company"] not in one.path.parts[-3]
                or FOLDERS[document["kind"]] != one.path.parts[-2]
            ):
                found.append(f"in a wrong folder: {one.path}")
        if _is_told(self.sandbox.platform.kind):
            untold = {one["id"] for one in manifest.values()} - self.acknowledged()
            found += [f"not acknowledged: {id_}" for id_ in sorted(untold)]
        found += [
            f"told {one['status']}: {one.get('message')}"
            for one in self.journal
            if one["status"] not in TAKEN
        ]
        return found


class Host:
    """Makes worlds; serves their mailboxes from one thread, as a platform of one kind."""

    def __init__(self, portal: BlockingPortal, platform: str) -> None:
        self._portal = portal
        self._platform, *chosen = platform.split(",")
        self._chosen = dict(one.split("=") for one in chosen)

    @contextmanager
    def world(
        self,
        folder: Path,
        documents: int = 6,
        *,
        companies: int = 1,
        seed: int = 1,
        poll: str = "1s",
        told: list[str] | None = None,
        latency: float = 0.0,
        faults: Sequence[FaultSpec] = (),
        rules: IssuerRules | None = None,
        by_person: bool = False,
    ) -> Iterator[World]:
        """A world in a folder, which may hold a state already.

        told: ids of the documents that an earlier run has acknowledged. by_person: whether somebody
        has to sign in.
        """
        folder.mkdir(parents=True, exist_ok=True)
        world = World(folder, Mailbox(documents, companies, seed))
        for id_ in told or ():
            document = world.mailbox.find(id_)
            assert document is not None
            world.mailbox.set_state(document, State.ACKED)
            world.told.append(id_)
        serving = serve_platform(
            self._platform,
            world.mailbox,
            self._chosen,
            journal=folder / "journal.jsonl",
            latency=latency,
            faults=Faults(faults, seed),
            rules=rules,
        )
        with self._portal.wrap_async_context_manager(serving) as sandbox:
            world.sandbox = sandbox
            write_config(world.config, sandbox, world.mailbox, by_person=by_person)
            text = world.config.read_text().replace('"5m"', f'"{poll}"')
            # What comes to this mailbox is whole: to wait for files to settle takes time only.
            text = text.replace("settle = 1\n", "settle = 0\n")
            world.config.write_text(text.replace('"state"', '"var/state"'))
            write_manifest(folder / "manifest.jsonl", world.mailbox, sandbox.platform.holds)
            yield world


@contextmanager
def hosting(platform: str = "billtobox") -> Iterator[Host]:
    """A host for as long as the block runs.

    platform: the kind of source that its worlds have; with options, "billit,door=inbox,pause=0".
    """
    with start_blocking_portal() as portal:
        yield Host(portal, platform)


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Poll: another process does the work."""
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def _is_told(kind: str) -> bool:
    """Whether a source of a kind takes acknowledgements."""
    (source,) = (resolve_name(one.source) for one in CONNECTORS if one.kind == kind)
    return source.traits.acknowledges is not Acknowledging.NONE


def _visible(folder: Path) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _visible(Path(entry.path))
        else:
            yield Path(entry.path)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Those that are whole: another thread may be writing."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
