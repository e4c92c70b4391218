"""State identity: a state folder knows where it was used last, so that a copy of it is noticed.

Two agents that work with copies of one state bring documents twice. The lock (lock.py) keeps two
processes apart that use one folder; this file keeps apart those that use copies. A start is refused
only where a copy is likely, and `--take-over` overrules that. docs/operations.md lists the cases.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct, structs

from pipeline.app.machine import Machine, this_machine
from pipeline.app.mounts import mount_of
from pipeline.app.state_folder import unusable
from pipeline.durable import flush_folder, new_file
from pipeline.errors import StateCopied
from pipeline.files import read_file
from pipeline.text import sanitized

log = structlog.get_logger(__name__)

#: The file in the state folder.
NAME = "identity.json"
#: Bytes of it, at most.
MAX_BYTES = 100_000
#: File systems that number their files anew at each mount.
UNSTABLE = {"9p", "cifs", "exfat", "msdos", "smb3", "smbfs", "vboxsf", "vfat", "virtiofs", "prl_fs"}


class Identity(Struct, frozen=True):
    """Where a state folder was used last.

    id: of this very folder; a copy that takes over gets another. state_dir, config: absolute paths.
    file: the number that the file system gives to the file of this identity; a copy has another.
    """

    id: str
    machine: Machine
    state_dir: str
    config: str
    file: int | None = None
    since: str = ""


class Here(Struct, frozen=True):
    """Where a state folder is about to be used.

    file: as in Identity, at this moment; None where there is none so far, or the file system has
    no lasting numbers.
    original_exists: whether a folder of the same id, and not this one, is where it was used last.
    """

    machine: Machine
    state_dir: str
    file: int | None
    original_exists: bool = False


def claim_state(state_dir: Path, config: Path, *, take_over: bool = False) -> None:
    """Note that this machine uses a state folder by this configuration. The caller has its lock.

    Raises StateCopied where it is likely to be a copy of one that is used elsewhere, unless
    take_over; StateError when the file can't be written.
    """
    known = read_identity(state_dir)
    here = _here(state_dir, known)
    if why := why_copy(known, here) if known is not None else "":
        if not take_over:
            log.error("state folder refused", reason=why, remedy=StateCopied.remedy)
            raise StateCopied(str(state_dir), why)
        log.warning("state folder taken over", reason=why)
    wanted = Identity(
        secrets.token_hex(16) if known is None or why else known.id,
        here.machine,
        here.state_dir,
        str(config),
        here.file if here.file is not None or known is None else known.file,
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    if known is not None:
        if known.config != wanted.config:
            log.info("state folder used by another configuration", before=sanitized(known.config))
        if known == structs.replace(wanted, since=known.since):
            return
    try:
        _write(state_dir, wanted)
    except OSError as error:
        raise unusable(state_dir, error) from None


def check_state(state_dir: Path) -> None:
    """Raise StateCopied where claim_state() would; nothing is changed."""
    known = read_identity(state_dir)
    if known is not None and (why := why_copy(known, _here(state_dir, known))):
        raise StateCopied(str(state_dir), why)


def read_identity(state_dir: Path) -> Identity | None:
    """The identity of a state folder; None for one that was never used, or can't be read."""
    path = state_dir / NAME
    try:
        return msgspec.json.decode(read_file(path, MAX_BYTES, follow=False), type=Identity)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("the identity of the state folder can't be read", reason=sanitized(str(error)))
        return None


def why_copy(known: Identity, here: Here) -> str:
    """Why a state folder is likely to be a copy of one in use, as a sentence; empty if it is not.

    On the machine that used it last it may have been moved, or put back from a backup, unless the
    original is still there. Another machine is one with another installation; or with the same, as
    a clone has, if its name and its network cards are others as well. A container is no lasting
    machine, but its volume keeps the number of the file.
    """
    before, now = known.machine, here.machine
    if here.original_exists:
        return f"it is a copy of {sanitized(known.state_dir)}, which is still there"
    if before.installation and now.installation:
        return _why_another(known, now)
    if here.file is None or here.file == known.file:
        return ""
    is_same_path = os.path.normcase(known.state_dir) == os.path.normcase(here.state_dir)
    if _same_name(before, now) and (is_same_path or not now.is_container):
        return ""
    return f"it was last used elsewhere, {_named(known)}, and is not the same folder"


def _why_another(known: Identity, now: Machine) -> str:
    """Why this is another machine; empty if it is the same. Both installations are known."""
    before = known.machine
    other = f"it was last used on another machine, {_named(known)}"
    shares_hardware = not set(before.hardware).isdisjoint(now.hardware)
    if before.installation != now.installation:
        # The system of this machine was installed anew, or was given another number.
        return "" if _same_name(before, now) and shares_hardware else other
    is_clone = before.hardware and now.hardware and not shares_hardware
    if is_clone and not _same_name(before, now):
        return f"{other}, of which this one seems to be a clone"
    return ""


def _same_name(one: Machine, other: Machine) -> bool:
    return one.hostname.casefold() == other.hostname.casefold()


def _named(known: Identity) -> str:
    return sanitized(f"{known.machine.hostname or 'unknown'} ({known.state_dir}, {known.config})")


def _here(state_dir: Path, known: Identity | None) -> Here:
    resolved = state_dir.resolve()
    mount = mount_of(resolved)
    is_stable = mount is None or not (mount.kind in UNSTABLE or mount.kind.startswith("fuse"))
    number = None
    with suppress(OSError):
        number = (resolved / NAME).stat().st_ino if is_stable else None
    return Here(this_machine(), str(resolved), number, _original_exists(resolved, known))


def _original_exists(state_dir: Path, known: Identity | None) -> bool:
    if known is None or os.path.normcase(known.state_dir) == os.path.normcase(state_dir):
        return False
    other = Path(known.state_dir)
    try:
        is_other = not (other / NAME).samefile(state_dir / NAME)
    except OSError:
        return False
    found = read_identity(other) if is_other else None
    return found is not None and found.id == known.id


def _write(state_dir: Path, identity: Identity) -> None:
    """Replace the file, durably, by one that holds the number that it gets itself."""
    path = state_dir / NAME
    temporary = path.with_name(f"{NAME}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(new_file(temporary, 0o640), "wb") as file:
            number = os.fstat(file.fileno()).st_ino
            text = msgspec.json.encode(structs.replace(identity, file=number))
            file.write(msgspec.json.format(text, indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(state_dir)
