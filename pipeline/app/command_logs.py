"""What `synqup logs` does."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from pipeline.app.log_reader import LEVELS, LogFilter, LogReader, since
from pipeline.app.wiring import Config, load_config
from pipeline.errors import StateError
from pipeline.files import os_reason
from pipeline.text import printable, printable_lines

#: Lines that are shown before those that follow.
LINES_BEFORE = 20
#: Seconds between two looks at the log.
INTERVAL = 0.25
STYLES = {"warning": "yellow", "error": "red", "critical": "bold red"}
#: The fields that have a place of their own in a line for people.
PLACED = ("timestamp", "level", "event", "exception", "reason", "remedy")


class LogRequest(Struct, frozen=True):
    """What is asked for; as the options of the command."""

    follow: bool = False
    company: str = ""
    document: str = ""
    level: str = ""
    since: str = ""
    lines: int | None = None
    json: bool = False


def show_logs(path: Path, request: LogRequest) -> None:
    """Print lines of the log, and go on where that is asked for. Raises StateError."""
    config = load_config(path)
    wanted = _filter(config, request)
    folder = config.service.state_dir / "logs"
    reader = LogReader(folder)
    console = Console()
    last = request.lines
    if last is None and request.follow and not request.since:
        last = LINES_BEFORE
    try:
        found: Iterable[dict[str, Any]] = reader.lines(wanted)
        _print(console, found if last is None else deque(found, last), request.json)
        while request.follow and _is_read():
            time.sleep(INTERVAL)
            _print(console, reader.lines(wanted), request.json)
    except OSError as error:
        raise StateError(
            str(folder),
            f"the log can't be read ({os_reason(error)})",
            "Ask as the account that runs synqup",
        ) from None


def _filter(config: Config, request: LogRequest) -> LogFilter:
    level = request.level.strip().lower()
    if level and level not in LEVELS:
        raise typer.BadParameter(f"--level is one of {', '.join(LEVELS)}")
    try:
        moment = since(request.since, datetime.now().astimezone()) if request.since else ""
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            '--since is a duration or a date: "2h", "3d", "today", "2026-11-25", "2026-11-25 14:30"'
        ) from None
    return LogFilter(level, moment, _texts_of(config, request.company), request.document.strip())


def _texts_of(config: Config, company: str) -> Sequence[str]:
    """The texts by which lines of a company are known: what was asked for, number and name."""
    company = company.strip()
    if not company:
        return ()
    number = "".join(one for one in company if one.isalnum()).casefold()
    texts = [company]
    for one in config.companies:
        is_named = company.casefold() in one.name.casefold()
        if is_named or (len(number) > 5 and number in one.identifier.casefold()):
            texts += [one.identifier, one.name]
    return texts


def _print(console: Console, lines: Iterable[dict[str, Any]], as_json: bool) -> None:
    for line in lines:
        if as_json:
            print(json.dumps(line, separators=(",", ":")))
        else:
            console.print(_shown(line), soft_wrap=True, highlight=False)
    sys.stdout.flush()


def _shown(line: dict[str, Any]) -> Text:
    """One line for people; a traceback is indented below it."""
    level = str(line.get("level", ""))
    text = Text(f"{_local_time(str(line.get('timestamp', '')))}  ", style="dim")
    text.append(f"{printable(level):7}  ", STYLES.get(level, ""))
    text.append(printable(str(line.get("event", ""))), "bold")
    for name, value in line.items():
        if name not in PLACED:
            text.append(f"  {printable(name)}=", "dim")
            text.append(printable(value if isinstance(value, str) else json.dumps(value)))
    for name in ("reason", "remedy"):
        if name in line:
            text.append(f"  {printable(str(line[name]))}", STYLES.get(level, ""))
    if "exception" in line:
        for row in printable_lines(str(line["exception"])).split("\n"):
            text.append(f"\n    {row}")
    return text


def _local_time(stamp: str) -> str:
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return printable(stamp) or " " * 19


def _is_read() -> bool:
    """Whether anybody can still read what is printed: a pipe may have been closed."""
    if os.name == "nt":
        return True
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return True
    return not any(event & select.POLLERR for _, event in poll.poll(0))
