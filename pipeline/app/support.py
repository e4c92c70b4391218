"""Support archive: what support needs to know of an installation, without any secret.

No document is in it. What the log says of documents (numbers, names of parties, paths) is, unless
that is left out.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.app.identity import read_identity
from pipeline.app.lock import owner_of
from pipeline.app.log_reader import recent_lines
from pipeline.app.machine import this_machine
from pipeline.app.mounts import mount_of, mounts
from pipeline.app.redaction import Redactor
from pipeline.durable import replace_file
from pipeline.errors import StateError
from pipeline.files import os_reason
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.summary import summarise

#: Bytes of the log, at most.
MAX_LOG = 5_000_000
#: Seconds that one folder is given to answer.
FOLDER_TIMEOUT = 3.0
#: The members of a line of the log that tell of no document and no party.
ANONYMOUS = {
    *("timestamp", "level", "event", "source", "place", "exception", "seconds", "why", "grace"),
    *("documents", "items", "lines", "list", "dropped", "shrunk", "removed", "notes", "version"),
    *("delivered", "duplicate", "skipped", "quarantined", "waiting", "companies", "sources"),
}

README = """\
What is in this archive, for the support of Synqup

versions.json       Synqup, Python, its packages, the operating system
configuration.json  all settings in force; secrets as the places where they lie
findings.json       what `synqup check` finds
ledger.json         how many documents are in which state; the last poll of each source
state.json          the files of the state folder by number and size, and whether Synqup runs
machine.json        mounted volumes, free room, limits
log.jsonl           the last lines of the log

No secret and no document is in it. {documents}
"""
WITH_DOCUMENTS = (
    "What the log says of documents is: numbers, parties, paths.\nLook through it before you send"
    " it; --no-documents leaves that out."
)
WITHOUT_DOCUMENTS = "What the log says of documents was left out (--no-documents)."


class Installation(Struct, frozen=True):
    """What an archive is made of.

    state_dir: None where no configuration says which it is. configuration, findings: as JSON.
    folders: of which the free room is told. ledger: where it lies, if that is known.
    """

    state_dir: Path | None
    configuration: Any
    findings: Any
    folders: Sequence[Path] = ()
    ledger: LedgerPlace | None = None


def write_support(
    path: Path, installation: Installation, redactor: Redactor, *, documents: bool = True
) -> int:
    """Write the archive, readable for this account alone; its size in bytes. Raises OSError.

    documents: whether what the log says of documents is in it.
    """
    state_dir = installation.state_dir
    members: dict[str, Callable[[], Any]] = {
        "versions.json": _versions,
        "configuration.json": lambda: installation.configuration,
        "findings.json": lambda: installation.findings,
        "ledger.json": lambda: _ledger(installation.ledger),
        "state.json": lambda: _state(state_dir),
        "machine.json": lambda: _machine(installation.folders),
    }
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            said = WITH_DOCUMENTS if documents else WITHOUT_DOCUMENTS
            archive.writestr("README.txt", README.format(documents=said))
            for name, make in members.items():
                text = json.dumps(redactor.value(_attempt(make)), indent=2)
                archive.writestr(name, text + "\n")
            if state_dir is not None:
                with archive.open("log.jsonl", "w") as log:
                    for line in _log(state_dir / "logs"):
                        log.write(_redacted(line, redactor, documents=documents))
        size = file.tell()
        file.seek(0)
        replace_file(path, file)
    return size


def _attempt(make: Callable[[], Any]) -> Any:
    """What a part says; where it can't be had, why: the other parts are worth as much."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - what is wrong here is just what support wants
        return {"error": f"{type(error).__name__}: {error}"}


def _versions() -> dict[str, Any]:
    return {
        "synqup": metadata.version("synqup"),
        "python": sys.version,
        "executable": sys.executable,
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": {
            one.metadata["Name"]: one.version
            for one in sorted(metadata.distributions(), key=lambda one: one.metadata["Name"] or "")
        },
    }


def _ledger(place: LedgerPlace | None) -> dict[str, Any]:
    if place is None:
        return {}
    try:
        summary = summarise(place)
    except StateError as error:
        return {"error": str(error)}
    counts: Counter[str] = Counter()
    for one in summary.counts:
        counts[" ".join(filter(None, (one.state.value, one.kind)))] += one.documents
    return {
        "documents": dict(counts),
        "companies": len({one.company for one in summary.counts if one.company}),
        "unacknowledged": summary.unacknowledged,
        "answers": sum(one.notes for one in summary.answers),
        "sources": [
            {
                "name": one.name,
                "polled_at": _moment(one.polled_at),
                "error": one.error,
                "error_at": _moment(one.error_at),
                "unreadable": one.unreadable,
            }
            for one in summary.sources
        ],
    }


def _state(state_dir: Path | None) -> dict[str, Any]:
    if state_dir is None:
        return {}
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for folder, _, names in os.walk(state_dir):
        inside = Path(folder).relative_to(state_dir).parts
        for name in names:
            # Below the folder itself names tell of documents.
            place = f"{inside[0]}/" if inside else name
            files[place] += 1
            sizes[place] += _size(Path(folder) / name)
    identity = read_identity(state_dir)
    return {
        "folder": str(state_dir),
        "running": owner_of(state_dir),
        "files": {place: {"files": files[place], "bytes": sizes[place]} for place in sorted(files)},
        "used_by": {"state_dir": identity.state_dir, "config": identity.config} if identity else {},
    }


def _machine(folders: Sequence[Path]) -> dict[str, Any]:
    here = this_machine()
    return {
        "hostname": here.hostname,
        "container": here.is_container,
        "processors": os.cpu_count(),
        "time": _moment(time.time()),
        "zone": time.strftime("%z"),
        "encoding": f"{sys.getfilesystemencoding()}, {sys.stdout.encoding}",
        "open_files": _limit(),
        "proxies": {
            name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")
        },
        "volumes": [f"{one.source} on {one.point} ({one.kind})" for one in mounts()],
        "folders": _rooms(folders),
    }


def _rooms(folders: Sequence[Path]) -> dict[str, Any]:
    """What is known of each folder; one that does not answer is named so."""
    found: dict[str, Any] = {str(folder): "it does not answer" for folder in folders}

    def look(folder: Path) -> None:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        usage = shutil.disk_usage(existing)
        mount = mount_of(existing.resolve())
        found[str(folder)] = {
            "exists": existing == folder,
            "free": usage.free,
            "total": usage.total,
            "volume": f"{mount.point} ({mount.kind})" if mount else "",
        }

    def attempt(folder: Path) -> None:
        try:
            look(folder)
        except OSError as error:
            found[str(folder)] = os_reason(error)

    threads = [threading.Thread(target=attempt, args=(folder,), daemon=True) for folder in folders]
    for thread in threads:
        thread.start()
    until = time.monotonic() + FOLDER_TIMEOUT
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return dict(found)


def _limit() -> Any:
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - Windows has none

    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _log(folder: Path) -> Sequence[bytes]:
    try:
        return list(recent_lines(folder, MAX_LOG))
    except OSError as error:
        return [json.dumps({"error": os_reason(error)}).encode()]


def _redacted(line: bytes, redactor: Redactor, *, documents: bool) -> bytes:
    try:
        said = json.loads(line)
    except ValueError:
        said = {"event": line.decode("utf-8", "replace").rstrip()}
    if not isinstance(said, Mapping):
        said = {"event": str(said)}
    if not documents:
        known = {name: value for name, value in said.items() if name in ANONYMOUS}
        said = known | dict.fromkeys(said.keys() - known.keys(), "[left out]")
        if "exception" in said:
            # Its last line is the message of the error, which may name anything.
            said = {**said, "exception": _without_message(str(said["exception"]))}
    return json.dumps(redactor.value(said)).encode() + b"\n"


def _without_message(traceback: str) -> str:
    """A traceback without the messages of its errors: its lines of code, and the errors' types."""
    kept = []
    for line in traceback.split("\n"):
        is_frame = line.startswith((" ", "Traceback")) or not line.strip()
        kept.append(line if is_frame else line.partition(":")[0])
    return "\n".join(kept)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _moment(at: float | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
