"""Stands between synqup and the system: counts its calls, and records, refuses or dies at them.

Wrapped are the calls of Python that change files, SQLite's statements, and what goes out of
sockets. Nothing is changed in synqup; install() comes before its first import, arm() later.
Linux only: paths of descriptors are read from /proc.
"""

from __future__ import annotations

import _io
import builtins
import ctypes
import errno
import io
import os
import pickle
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .plan import HANGS, SHOWING, VANISHES, Call, Fault, Plan, Snapshot

#: Calls by path, and how many of their arguments are paths.
BY_PATH = {
    **dict.fromkeys(("mkdir", "rmdir", "unlink", "remove", "truncate"), 1),
    **dict.fromkeys(("rename", "replace", "link", "symlink"), 2),
}
BY_DESCRIPTOR = ("write", "pwrite", "writev", "ftruncate", "fsync", "fdatasync")
COPIES = ("sendfile", "copy_file_range")
SENDS = ("connect", "send", "sendall", "sendmsg", "sendto")
#: Of the C library, called without the os module.
FOREIGN = ("renameat2", "rename", "link", "linkat", "syncfs", "sync", "fsync", "fdatasync")
READING = ("SELECT", "PRAGMA USER_VERSION", "PRAGMA SYNCHRONOUS", "PRAGMA QUICK", "PRAGMA INTEG")
#: Seconds that an importer is given to take what has become visible.
TAKING = 2.0
#: Of PRAGMA synchronous: from here on a commit in WAL mode is flushed before it returns.
FULL = 2


#: Of open(2), without what it shares with O_DIRECTORY: a file without a name.
NAMELESS = os.O_TMPFILE & ~os.O_DIRECTORY


class _State:
    plan: Plan | None = None
    number = 0
    counted = 0
    record: int | None = None
    lock = threading.RLock()


_real_open = io.open
_real: dict[str, Any] = {}


def arm(plan: Plan | None) -> None:
    """Begin to act on calls as planned."""
    if plan is not None and plan.record is not None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        _State.record = _real["open"](plan.record, flags)
    _State.plan = plan


def install() -> None:
    """Wrap the calls; they pass through untouched until arm()."""
    for name in (*BY_PATH, *BY_DESCRIPTOR, *COPIES, "open"):
        _real[name] = getattr(os, name)
    for name, count in BY_PATH.items():
        setattr(os, name, _by_path(name, count))
    for name in BY_DESCRIPTOR:
        setattr(os, name, _by_descriptor(name))
    for name in COPIES:
        setattr(os, name, _copying(name))
    os.open = _os_open  # type: ignore[assignment]
    for module in (builtins, io, _io):
        module.open = _open  # type: ignore[attr-defined]
    for name in SENDS:
        setattr(socket.socket, name, _sending(name))
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **(k | {"factory": _counted(k.get("factory"))}))
    lookup = ctypes.CDLL.__getattr__

    def find(self: ctypes.CDLL, name: str) -> Any:
        function = lookup(self, name)
        if name in FOREIGN:
            function = _Foreign(name, function)
            setattr(self, name, function)  # where the next one finds it
        return function

    ctypes.CDLL.__getattr__ = find  # type: ignore[method-assign]


def _call(name: str, paths: tuple[str, ...], real: Callable[[], Any], content: Any = None) -> Any:
    plan = _State.plan
    root = f"{plan.root}/" if plan else ""
    if plan is None or not any(f"{path}/".startswith(root) for path in paths if path):
        return real()
    # Without the lock, for nobody else hangs.
    _hang(plan, name, paths)
    with _State.lock:
        _State.number += 1
        number = _State.number
        _refuse(plan, name, paths)
        _State.counted += not plan.among or name in plan.among
        dies = _State.counted == plan.kill and (not plan.among or name in plan.among)
        if dies and not plan.after:
            _die()
        result = real()
        if _State.record is not None:
            call = Call(number, name, paths, time.time(), content() if content else None)
            _real["write"](_State.record, pickle.dumps(call))
        if dies:
            _die()
    if name in SHOWING and plan.importer is not None:
        _wait(plan.importer, Path(paths[-1]))
    return result


def _hang(plan: Plan, name: str, paths: tuple[str, ...]) -> None:
    for fault in plan.faults:
        while fault.code == HANGS and _meets(fault, name, paths):
            time.sleep(0.02)


def _meets(fault: Fault, name: str, paths: tuple[str, ...]) -> bool:
    return name == fault.call and any(fault.part in path for path in paths) and fault.flag.exists()


def _refuse(plan: Plan, name: str, paths: tuple[str, ...]) -> None:
    for fault in plan.faults:
        if fault.code != HANGS and _meets(fault, name, paths):
            if fault.code == VANISHES:
                _real["unlink"](paths[0])
                return
            if name == "commit":
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise full
            raise OSError(fault.code, os.strerror(fault.code), paths[0])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _wait(folder: Path, path: Path) -> None:
    until = time.monotonic() + TAKING
    while folder in path.parents and path.exists() and time.monotonic() < until:
        time.sleep(0.0005)


def _path(value: Any) -> str:
    if isinstance(value, int):
        try:
            return str(Path(f"/proc/self/fd/{value}").readlink())
        except OSError:
            return ""
    return os.path.abspath(os.fsdecode(value))  # noqa: PTH100 - a link stays a link


def _by_path(name: str, count: int) -> Callable[..., Any]:
    real = _real[name]

    def call(*args: Any, **options: Any) -> Any:
        paths = tuple(_path(arg) for arg in args[:count])
        kind = "unlink" if name == "remove" else name
        return _call(kind, paths, lambda: real(*args, **options), _content(paths[0], name))

    return call


def _by_descriptor(name: str) -> Callable[..., Any]:
    real = _real[name]

    def call(fd: Any, *args: Any) -> Any:
        path = _path(fd if isinstance(fd, int) else fd.fileno())
        kind = "write" if name in ("pwrite", "writev", "ftruncate") else name
        kind = "fsync" if name == "fdatasync" else kind
        return _call(kind, (path,), lambda: real(fd, *args), _content(path, kind))

    return call


def _copying(name: str) -> Callable[..., Any]:
    real = _real[name]

    def call(one: int, two: int, *args: Any, **options: Any) -> Any:
        path = _path(one if name == "sendfile" else two)
        return _call(
            "write", (path,), lambda: real(one, two, *args, **options), _content(path, "write")
        )

    return call


def _content(path: str, name: str) -> Callable[[], bytes] | None:
    if name not in ("write", "truncate"):
        return None
    return lambda: _read(path) or b""


def _read(path: str) -> bytes | None:
    """Read without this file's own wrapping. None if it isn't there."""
    try:
        with _real_open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
    def real() -> int:
        return _real["open"](path, flags, *args, **options)

    if _State.plan is None or not flags & (os.O_CREAT | os.O_TRUNC | NAMELESS):
        return real()
    return _call("create", (_path(path),), real, lambda: _read(_path(path)) or b"")


class _File(io.FileIO):
    """A file being written, whose every flush of a buffer counts."""

    def __init__(self, file: Any, mode: str, closefd: bool, opener: Any) -> None:
        def real() -> None:
            super(_File, self).__init__(file, mode, closefd, opener)

        if isinstance(file, int) or opener is not None or mode == "r+":
            real()
        else:
            _call("create", (_path(file),), real, lambda: _read(_path(file)) or b"")

    def write(self, data: Any) -> int:
        path = _path(self.fileno())
        return _call("write", (path,), lambda: io.FileIO.write(self, data), _content(path, "write"))

    def truncate(self, size: int | None = None) -> int:
        path = _path(self.fileno())
        return _call(
            "write", (path,), lambda: io.FileIO.truncate(self, size), _content(path, "write")
        )


def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    if _State.plan is None or not set(mode) & set("wax+"):
        return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    raw = _File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    if "b" in mode:
        return buffered
    return io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)


def _sending(name: str) -> Callable[..., Any]:
    real = getattr(socket.socket, name)

    def call(self: socket.socket, *args: Any) -> Any:
        ours = self.family in (socket.AF_INET, socket.AF_INET6) and _State.plan is not None
        path = str(_State.plan.root) if ours and _State.plan else ""
        return _call(name, (path,), lambda: real(self, *args))

    return call


def _counted(factory: type[sqlite3.Connection] | None) -> type[sqlite3.Connection]:
    """The class of a connection whose calls are counted; factory: the program's own class."""
    return _Connection if factory is None else type(factory.__name__, (_Connection, factory), {})


class _Connection(sqlite3.Connection):
    """A connection whose every change counts, and whose files are kept as each commit leaves them.

    Reading the database's file drops this process's lock on it (POSIX): harmless where no other
    process uses it, as here.
    """

    def __init__(self, database: Any, *args: Any, **options: Any) -> None:
        super().__init__(database, *args, **options)
        self._file = _path(database)

    def _counted(self, name: str, statement: str, real: Callable[[], Any]) -> Any:
        if statement.lstrip().upper().startswith(READING):
            return real()
        ends = statement.lstrip().upper().startswith(("COMMIT", "END"))
        name = "commit" if ends else name
        return _call(name, (self._file,), real, self._snapshot)

    def _snapshot(self) -> Snapshot | None:
        durable = True
        try:
            if self.in_transaction:
                return None
            level = sqlite3.Connection.execute(self, "PRAGMA synchronous").fetchone()[0]
            durable = level >= FULL
        except sqlite3.ProgrammingError:
            pass  # closed, which flushes all that it has
        files = {self._file + end: _read(self._file + end) for end in ("", "-wal", "-journal")}
        return Snapshot(durable, files)

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        return self._counted("execute", sql, lambda: sqlite3.Connection.execute(self, sql, *args))

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
        return self._counted(
            "execute", sql, lambda: sqlite3.Connection.executemany(self, sql, *args)
        )

    def executescript(self, sql: str) -> sqlite3.Cursor:
        return self._counted("execute", sql, lambda: sqlite3.Connection.executescript(self, sql))

    def commit(self) -> None:
        self._counted("commit", "COMMIT", lambda: sqlite3.Connection.commit(self))

    def close(self) -> None:
        self._counted("close", "CLOSE", lambda: sqlite3.Connection.close(self))


class _Foreign:
    """A function of the C library that answers to a count."""

    def __init__(self, name: str, function: Any) -> None:
        self.__dict__.update(name=name, function=function)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.function, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __call__(self, *args: Any) -> Any:
        paths = tuple(_path(arg) for arg in args if isinstance(arg, bytes | str))
        if not paths and args:
            paths = (_path(args[0]),)
        name = "fsync" if self.name in ("fsync", "fdatasync") else self.name

        def real() -> Any:
            answer = self.function(*args)
            if answer == -1:
                raise _Refused(ctypes.get_errno())
            return answer

        try:
            return _call(name, paths, real)
        except _Refused as refused:
            ctypes.set_errno(refused.code)
            return -1
        except OSError as fault:
            ctypes.set_errno(fault.errno or errno.EIO)
            return -1


class _Refused(Exception):
    """The C library answered -1: nothing was done, so nothing is recorded."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
