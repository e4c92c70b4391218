"""Backup and restore of a state folder: ledger, tokens, quarantine and identity, in a ZIP archive.

A backup is consistent while the service writes: the ledger is copied as of one moment, and first;
what it says of the quarantine lies there by then. A manifest names each member with its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec
from msgspec import Struct

from pipeline.app import restoring
from pipeline.app.identity import NAME as IDENTITY, Identity, read_identity
from pipeline.durable import flush_folder, new_file
from pipeline.errors import StateError
from pipeline.files import os_reason
from pipeline.ledger.database import prepare_restored, snapshot_database
from pipeline.ledger.schema import VERSION

#: The version of this format.
FORMAT = 1
MANIFEST = "manifest.json"
LEDGER = "ledger.sqlite"
TOKENS = "tokens"
#: What is not in a backup: what is made anew, or of use to this very process alone.
LEFT_OUT = re.compile(
    rf"{re.escape(LEDGER)}.*|delivered\.sqlite.*|control\..*|node\.json|staging|spool|feeds"
    r"|.*\.part"
)
#: What stands in no name: on Windows some of it leads to other places.
UNSAFE = re.compile(r'[\\:\x00-\x1f"<>|?*]')
#: Bytes of a manifest, at most.
MAX_MANIFEST = 500_000_000
CHUNK = 1 << 20


class Member(Struct, frozen=True):
    """A file in a backup. name: with `/` between its parts; sha256: in hexadecimal."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What a backup says of itself. made_at: when, in UTC. ledger: the version of its schema."""

    format: int
    synqup: str
    made_at: str
    state_dir: str
    ledger: int
    members: tuple[Member, ...]


class Restored(Struct, frozen=True):
    """What came of a restore.

    before: where what was there is now, if anything was. is_elsewhere: whether the folder is
    another one than that of the backup, so that the next start may ask for --take-over.
    """

    manifest: Manifest
    before: Path | None
    is_elsewhere: bool


def write_backup(state_dir: Path, file: Path) -> Manifest:
    """Write a backup of a state folder that may be in use, readable for this account alone.

    A file of that name is replaced when the new one is whole and durable. Raises StateError.
    """
    if file.resolve().is_relative_to(state_dir.resolve()):
        raise StateError(
            str(file), "a backup can't lie in the folder that it is of", "Name another folder"
        )
    try:
        if not (state_dir / LEDGER).exists():
            raise StateError(
                str(state_dir),
                "there is no ledger so far, so nothing to back up",
                "Start synqup first",
            )
        with tempfile.TemporaryDirectory(prefix=".synqup-", dir=file.parent) as folder:
            return _write(state_dir, file, Path(folder))
    except OSError as error:
        if error.filename and Path(os.fsdecode(error.filename)).is_relative_to(state_dir):
            raise StateError(
                os.fsdecode(error.filename),
                f"it can't be read ({os_reason(error)}), and a backup is whole or is none",
                "Back up as the account that runs synqup",
            ) from None
        raise StateError(
            str(file), f"the backup can't be written ({os_reason(error)})", "Name another file"
        ) from None


def restore_backup(file: Path, state_dir: Path, *, replace: bool) -> Restored:
    """Put a backup in place of what a state folder holds; the caller has its lock.

    Everything is verified before anything changes. replace: whether the folder may hold a state,
    which is kept beside. Raises StateError.
    """
    present = [path.name for path in state_dir.iterdir() if restoring.is_replaceable(path.name)]
    if present and not replace:
        raise StateError(
            str(state_dir),
            f"the state folder is not empty ({', '.join(sorted(present)[:3])} …)",
            "Say --replace to put the backup in its place; what is there is kept beside",
        )
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    part = state_dir / restoring.PART
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _read_manifest(file, archive)
            _ensure_room(file, state_dir, manifest)
            part.mkdir(mode=0o700)
            for member in manifest.members:
                _extract(file, archive, member, part)
        prepare_restored(part / LEDGER)
        is_elsewhere = _keep_own(state_dir, part)
        restoring.commit(state_dir, stamp)
        return Restored(manifest, restoring.finish(state_dir), is_elsewhere)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise _damaged(file, str(error)) from None
    except OSError as error:
        raise StateError(
            error.filename or str(file), f"the backup can't be restored ({os_reason(error)})"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(state_dir: Path, file: Path, folder: Path) -> Manifest:
    version = snapshot_database(state_dir / LEDGER, folder / LEDGER)
    whole = folder / "backup"
    members: list[Member] = []
    with os.fdopen(new_file(whole, 0o600), "w+b") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            with (folder / LEDGER).open("rb") as ledger:
                members.append(_add(archive, LEDGER, ledger))
            for path in _files(state_dir):
                name = path.relative_to(state_dir).as_posix()
                # What was delivered meanwhile has left the quarantine.
                with suppress(FileNotFoundError), path.open("rb") as source:
                    members.append(_add(archive, name, source))
            manifest = Manifest(
                FORMAT,
                metadata.version("synqup"),
                time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                str(state_dir.resolve()),
                version,
                tuple(members),
            )
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            archive.writestr(MANIFEST, text)
        target.flush()
        os.fsync(target.fileno())
    whole.replace(file)
    flush_folder(file.parent)
    return manifest


def _files(state_dir: Path) -> Iterator[Path]:
    """The files of a state folder that belong into a backup, besides the ledger."""
    for path in sorted(state_dir.iterdir()):
        if not restoring.is_replaceable(path.name) or LEFT_OUT.fullmatch(path.name):
            continue
        is_folder = path.is_dir() and not path.is_symlink()
        for one in sorted(_inside(path)) if is_folder else [path]:
            with suppress(FileNotFoundError):
                if stat.S_ISREG(one.lstat().st_mode) and not LEFT_OUT.fullmatch(one.name):
                    yield one


def _inside(folder: Path) -> Iterator[Path]:
    """All files below a folder; OSError where one of its folders can't be read."""

    def refuse(error: OSError) -> None:
        # What was delivered meanwhile has left the quarantine.
        if not isinstance(error, FileNotFoundError):
            raise error

    for within, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(within) / name for name in names)


def _add(archive: zipfile.ZipFile, name: str, source: BinaryIO) -> Member:
    digest, size = hashlib.sha256(), 0
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    with archive.open(info, "w", force_zip64=True) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    return Member(name, size, digest.hexdigest())


def _read_manifest(file: Path, archive: zipfile.ZipFile) -> Manifest:
    """The manifest of a backup, which fits to its members and to this version of synqup."""
    names = archive.namelist()
    if MANIFEST not in names or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
        raise StateError(str(file), "this is no backup of synqup", "Name a file of synqup backup")
    try:
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except msgspec.DecodeError as error:
        raise _damaged(file, str(error)) from None
    if manifest.format > FORMAT or manifest.ledger > VERSION:
        raise StateError(
            str(file),
            f"the backup was made by a newer synqup ({manifest.synqup})",
            "Install that version, or a newer one",
        )
    listed = [member.name for member in manifest.members]
    if sorted([*listed, MANIFEST]) != sorted(names) or len(set(names)) != len(names):
        raise _damaged(file, "it does not hold just what its manifest lists")
    for name in listed:
        if not _is_safe(name):
            raise _damaged(file, f"it holds a file of another place ({name})")
    if LEDGER not in listed:
        raise _damaged(file, "it holds no ledger")
    return manifest


def _is_safe(name: str) -> bool:
    """Whether the name of a member leads into the folder, and to nothing that must not change."""
    parts = PurePosixPath(name).parts
    is_plain = "/".join(parts) == name and UNSAFE.search(name) is None
    return is_plain and bool(parts) and ".." not in parts and restoring.is_replaceable(parts[0])


def _ensure_room(file: Path, state_dir: Path, manifest: Manifest) -> None:
    needed = sum(member.size for member in manifest.members)
    free = shutil.disk_usage(state_dir).free
    if needed > free:
        raise StateError(
            str(file),
            f"the backup needs {needed:,} bytes, and the disk of {state_dir} has {free:,}",
            "Make room there",
        )


def _extract(file: Path, archive: zipfile.ZipFile, member: Member, folder: Path) -> None:
    """Extract a member durably; what does not have its size and checksum is refused."""
    is_secret = member.name.startswith(f"{TOKENS}/")
    path = folder.joinpath(*PurePosixPath(member.name).parts)
    path.parent.mkdir(mode=0o700 if is_secret else 0o750, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with (
        archive.open(member.name) as source,
        os.fdopen(new_file(path, 0o600 if is_secret else 0o640), "wb") as target,
    ):
        while size <= member.size and (chunk := source.read(CHUNK)):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if size != member.size or digest.hexdigest() != member.sha256:
        raise _damaged(file, f"{member.name} is not what it was")


def _keep_own(state_dir: Path, part: Path) -> bool:
    """Have the folder keep its own identity, if the backup is of it, and its own tokens.

    A refresh token is good for one use: those in the folder are newer than those of a backup.
    Returns whether the backup is of another folder.
    """
    own, other = read_identity(state_dir), read_identity(part)
    if (state_dir / TOKENS).is_dir():
        (part / TOKENS).mkdir(mode=0o700, exist_ok=True)
        for path in (state_dir / TOKENS).iterdir():
            if path.is_file() and not path.is_symlink():
                (part / TOKENS / path.name).unlink(missing_ok=True)
                with os.fdopen(new_file(part / TOKENS / path.name, 0o600), "wb") as target:
                    target.write(path.read_bytes())
                    target.flush()
                    os.fsync(target.fileno())
    if own is not None and other is not None and own.id == other.id:
        (part / IDENTITY).unlink()
        (part / restoring.STAYING_TOO).write_text(f"{IDENTITY}\n")
        return False
    return _was_elsewhere(other, state_dir)


def _was_elsewhere(known: Identity | None, state_dir: Path) -> bool:
    return known is not None and known.state_dir != str(state_dir.resolve())


def _damaged(file: Path, why: str) -> StateError:
    return StateError(str(file), f"the backup is damaged: {why}", "Use another one")
