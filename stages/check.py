"""Configuration check: tries every folder and every source, for `synqup check`."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
from msgspec import Struct

from pipeline.errors import SynqupError
from pipeline.files import os_remedy
from pipeline.ledger.takeover import Volume
from pipeline.long_paths import MAX_PATH
from pipeline.shared_folder import problem_of
from pipeline.sign_in import NotSignedIn
from pipeline.text import enumerated
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.markers import WrongVolume, check_marker
from stages.delivery.watchdog import Call, Heartbeat
from stages.kind import Kind
from stages.matching.evidence import named
from stages.matching.parties import CompanyIndex
from stages.naming.longest import longest_name
from stages.settings import (
    NAMES,
    Company,
    Config,
    Delivery,
    SourceSettings,
    delivered_to_others,
    destination,
    destinations,
    formats_of,
)
from stages.sources.registry import open_source

#: Without a cluster no volume is known by a marker.
NO_VOLUMES: Mapping[str, Volume] = {}

#: Free bytes that the disk of a folder must have at least.
MIN_FREE = 500_000_000

#: An extension as long as any that a document gets.
LONGEST_EXTENSION = "html"

#: File systems of Linux that store their files on another machine.
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "davfs"}

#: What GetDriveType says of a mapped drive.
DRIVE_REMOTE = 4


class Finding(Struct, frozen=True):
    """The result for one folder or source, for a number that companies share, or for [service].

    about: "sign-in" where all that a source lacks is that a person signs in.
    ok: whether nothing has to be corrected. sentence: what it is, and if need be the remedy.
    """

    about: Literal["company", "folder", "service", "source", "sign-in"]
    ok: bool
    sentence: str


async def examine(config: Config, volumes: Mapping[str, Volume] = NO_VOLUMES) -> list[Finding]:
    """Try every folder, then every source; nothing is written but a file that is removed again.

    volumes: what the ledger of a cluster knows of folders.
    """
    findings = _shared_numbers(config)
    findings += await examine_folders(config, None, volumes)
    if sys.platform == "win32":
        findings += longest_paths(config, allowed=_long_paths_allowed())
    for settings in config.sources:
        findings.append(await _check_source(config, settings))
    return findings


def _shared_numbers(config: Config) -> list[Finding]:
    """Name each number or account that several companies list: it singles none of them out."""
    return [
        Finding(
            "company",
            True,
            f"{number} is listed by {enumerated([named(one) for one in companies])}: a document"
            " with no other number of theirs goes to the one in whose mailbox it lay",
        )
        for number, companies in CompanyIndex(config.companies).shared_numbers()
    ]


def longest_paths(config: Config, *, allowed: bool) -> list[Finding]:
    """The longest path that each template of names can give; a warning if it is too long.

    allowed: whether this machine lets programs that know of long paths use them (Windows).
    """
    longest: dict[str, tuple[int, Path]] = {}
    for company in config.companies:
        known = {
            "enterprise_name": company.name,
            "enterprise_identifier": company.identifier,
            "accounting_file_id": company.accounting_file_id,
        }
        for key in destinations(config.delivery):
            folder = destination(config.delivery, company, key)
            name = longest_name(getattr(config.delivery, NAMES[key]), known, LONGEST_EXTENSION)
            length = len(str(folder)) + 1 + name
            longest[NAMES[key]] = max(longest.get(NAMES[key], (0, folder)), (length, folder))
    return [
        Finding("folder", True, _path_length(config.delivery, setting, length, folder, allowed))
        for setting, (length, folder) in longest.items()
    ]


def _path_length(delivery: Delivery, setting: str, length: int, folder: Path, allowed: bool) -> str:
    sentence = (
        f'{setting}: "{getattr(delivery, setting)}" gives paths of at most {length} characters'
        f" (in {folder})"
    )
    if length <= MAX_PATH:
        return sentence
    sentence += f"; synqup writes them, but a program may not open more than {MAX_PATH}"
    if not allowed:
        sentence += ", and Windows' support for long paths is turned off here (LongPathsEnabled)"
    return f"{sentence}; if yours does not, shorten the folder or the template"


def _long_paths_allowed() -> bool:
    """Whether Windows lets programs that know of long paths use them."""
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - it exists nowhere else

        with (
            suppress(OSError),
            winreg.OpenKey(
                winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem"
            ) as key,
        ):
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    return False


async def _check_source(config: Config, settings: SourceSettings) -> Finding:
    source = open_source(settings, config.shared_dir)
    try:
        found = await source.check(config)
    except NotSignedIn as error:
        return Finding("sign-in", False, str(error))
    except SynqupError as error:
        return Finding("source", False, str(error))
    finally:
        await source.close()
    return Finding("source", True, f"source {settings.name}: {found}")


async def examine_folders(
    config: Config,
    only: Collection[Path] | None = None,
    volumes: Mapping[str, Volume] = NO_VOLUMES,
) -> list[Finding]:
    """Try every folder on the lane of its volume: one that hangs must not hold up the others.

    only: those of them that are to be tried. volumes: as in examine(); where the marker is not
    seen, nothing is tried.
    """
    wanted = [("state_dir", config.service.state_dir, True)]
    if config.cluster is not None:
        wanted.append(("shared_dir", config.cluster.shared_dir, True))
    for company in config.companies:
        wanted += [
            (
                _whose(config.delivery, company, kind),
                destination(config.delivery, company, kind.destination_key),
                False,
            )
            for kind in Kind
            if kind.destination_key in destinations(config.delivery)
        ]
    if only is not None:
        wanted = [one for one in wanted if one[1] in only]
    shared = config.cluster.shared_dir if config.cluster is not None else None
    lanes = Lanes()
    lanes.refresh_mounts()
    findings: dict[int, Finding] = {}

    async def try_all(lane: Lane, numbers: Sequence[int]) -> None:
        calls = [Call(wanted[n][1], _trial(*wanted[n], shared, volumes)) for n in numbers]
        found = await lane.each(calls)
        for number, end in zip(numbers, found, strict=True):
            whose, path, _ = wanted[number]
            hangs = Finding("folder", False, f"{whose}: {path} does not answer; check the share")
            findings[number] = end if isinstance(end, Finding) else hangs

    by_lane: dict[Lane, list[int]] = {}
    for number, (_, path, _) in enumerate(wanted):
        by_lane.setdefault(lanes.of(path), []).append(number)
    async with anyio.create_task_group() as group:
        for lane, numbers in by_lane.items():
            group.start_soon(try_all, lane, numbers)
    lanes.close()
    return [findings[number] for number in range(len(wanted))]


def _whose(delivery: Delivery, company: Company, kind: Kind) -> str:
    what = {
        Kind.STATEMENT: kind.value,
        Kind.UNKNOWN: " and ".join(delivered_to_others(delivery)),
    }.get(kind, f"{kind.value} as {formats_of(delivery, company)}")
    return f"{named(company)}, {what}"


def _trial(
    whose: str,
    path: Path,
    private: bool,
    shared: Path | None,
    volumes: Mapping[str, Volume],
) -> Callable[[Heartbeat], Finding]:
    if path == shared:
        return partial(_try_shared, whose, path)
    return partial(_try_volume, volumes, whose, path, private)


def _try_shared(whose: str, path: Path, _: Heartbeat) -> Finding:
    """Try the folder that the nodes of a cluster share; it may lie on another machine."""
    problem = problem_of(path) or _rights_of_others(path)
    said = "is ready: it is written to, its files are renamed and locked"
    return Finding("folder", not problem, f"{whose}: {path} {problem or said}")


def _try_volume(
    volumes: Mapping[str, Volume], whose: str, path: Path, private: bool, heartbeat: Heartbeat
) -> Finding:
    """Try a folder, unless it is not on the volume on which the other nodes have it."""
    if volume := volumes.get(str(path)):
        try:
            check_marker(Path(volume.place), volume.uuid)
        except WrongVolume as error:
            said = f"{whose}: {path}: {error.strerror}. {error.remedy}"
            return Finding("folder", False, said)
        except OSError as error:
            return Finding("folder", False, f"{whose}: {path}: {error.strerror}. Check the share")
    return _try_folder(whose, path, private, heartbeat)


def _try_folder(whose: str, path: Path, private: bool, _: Heartbeat) -> Finding:
    """Try one folder; private: a warning about the rights of other accounts counts as a failure."""
    problem = _problem(path)
    warning = "" if problem else _rights_of_others(path)
    sentence = problem or ("is ready" if path.is_dir() else "will be created when it is needed")
    if warning:
        sentence += f"; {warning}"
    ok = not problem and not (private and warning)
    return Finding("folder", ok, f"{whose}: {path} {sentence}")


def _rights_of_others(path: Path) -> str:
    """A warning if every account may write to the folder, as the end of a sentence; or nothing."""
    if sys.platform == "win32" or not path.is_dir():
        return ""
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return (
            f"every account may write there (mode {mode & 0o7777:04o}), and could replace or remove"
            " documents; take that right away"
        )
    return ""


def _problem(path: Path) -> str:
    """Why documents can't be put there, and the remedy, as the end of a sentence; or nothing."""
    if remote := _remote(path):
        return remote
    existing = next((parent for parent in (path, *path.parents) if parent.exists()), None)
    if existing is None:
        return "lies on a drive that does not exist; name a local folder"
    if not existing.is_dir():
        return f"can't be created: {existing} is a file; move it away or name another folder"
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        remedy = os_remedy(error, "let the service's account write there")
        return f"can't be written to ({error.strerror}); {remedy[0].lower()}{remedy[1:]}"
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE:
        return f"lies on a disk with only {free // 1_000_000} MB free; make room"
    return ""


def _remote(path: Path) -> str:
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - windll exists nowhere else

        drive = os.path.splitdrive(path)[0]
        if drive.startswith("\\\\"):
            return ""  # UNC: the trial write shows whether the account may write there
        if ctypes.windll.kernel32.GetDriveTypeW(drive + "\\") == DRIVE_REMOTE:
            return (
                f"lies on {drive}, a mapped network drive, which a service does not have; name a"
                r" local path, or a UNC path (\\server\share\...) that its account may write to"
            )
        return ""
    kind = _file_system(path)
    if kind in NETWORK:
        return (
            f"lies on a network file system ({kind}), where a file can be lost in a crash;"
            " name a local folder"
        )
    return ""


def _file_system(path: Path) -> str:
    """The kind of the file system that holds a path, as Linux names it; empty elsewhere."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    best, kind = Path("/"), ""
    for line in mounts.read_text().splitlines():
        _, point, type_, *_ = line.split(" ")
        mount = Path(point.replace("\\040", " "))
        if path.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, type_
    return kind
