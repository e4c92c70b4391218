"""The reader of the log misses no line and shows none twice, whatever happens to the files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pipeline.app import log_reader
from pipeline.app.log_file import LogFile
from pipeline.app.log_files import compress, put_away
from pipeline.app.log_reader import LogFilter, LogReader, recent_lines, since
from pipeline.config.types import ServiceSettings, Size

ALL = LogFilter()


def line(number: int, **more: Any) -> bytes:
    return json.dumps({"n": number, **more}).encode() + b"\n"


def numbers(lines: Iterator[dict[str, Any]]) -> list[int]:
    return [one["n"] for one in lines]


@given(
    st.lists(st.sampled_from(["write", "put away", "compress", "look", "half"]), max_size=40),
    st.booleans(),
)
def test_each_line_is_read_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], last: bool
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    log = folder / "synqup.log"
    reader, written, read = LogReader(folder), 0, list[int]()
    plain: list[Path] = []
    for step in [*steps, "write", "look"]:
        match step:
            case "write":
                with log.open("ab") as file:
                    file.write(line(written))
                written += 1
            case "half":
                with log.open("ab") as file:
                    whole = line(written)
                    file.write(whole[:3])
                    file.flush()
                    read += numbers(reader.lines(ALL))
                    file.write(whole[3:])
                written += 1
            case "put away" if log.exists():
                plain.append(put_away(log))
            case "compress" if plain:
                compress(plain.pop())
            case "look":
                read += numbers(reader.lines(ALL))
    assert read == list(range(written))
    if last:
        assert numbers(LogReader(folder).lines(ALL)) == list(range(written))


def test_files_that_the_log_puts_away_are_followed(tmp_path: Path) -> None:
    settings = ServiceSettings(tmp_path, max_log_size=Size(1_000_000))
    reader, read = LogReader(tmp_path), list[int]()
    assert list(reader.lines(ALL)) == []
    with closing(LogFile(tmp_path, settings)) as file:
        for number in range(300):
            file.write([line(number, more="x" * 5000)])
            if not number % 7:
                file.tidy()
            if not number % 40:
                read += numbers(reader.lines(ALL))
        read += numbers(reader.lines(ALL))
    assert read == list(range(300))


def test_a_file_that_is_put_away_while_it_is_read_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "synqup.log"
    log.write_bytes(line(0) + line(1))
    real, looks = log_reader.put_away_files, 0

    def put_away_meanwhile(folder: Path) -> list[Path]:
        nonlocal looks
        looks += 1
        if looks == 2:
            put_away(log)
            log.write_bytes(line(2))
        return real(folder)

    monkeypatch.setattr(log_reader, "put_away_files", put_away_meanwhile)
    reader = LogReader(tmp_path)
    assert numbers(reader.lines(ALL)) + numbers(reader.lines(ALL)) == [0, 1, 2]


def test_what_is_no_json_and_what_is_broken_is_shown_or_left_out(tmp_path: Path) -> None:
    packed = gzip.compress(line(1) * 1000)
    (tmp_path / "synqup.log.2026-11-24T10-00-00.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "synqup.log.2026-11-24T11-00-00.gz").write_bytes(b"no gzip")
    (tmp_path / "synqup.log.2026-11-25").write_bytes(b"[1]\nplain \xff text\n\n" + line(7))
    found = list(LogReader(tmp_path).lines(ALL))
    assert [one for one in found if one.get("n") != 1] == [
        {"event": "[1]"},
        {"event": "plain \ufffd text"},
        {"n": 7},
    ]


def test_lines_are_found_by_what_they_concern() -> None:
    delivered = {
        "level": "info",
        "timestamp": "2026-11-25T10:00:00.5Z",
        "document": "purchase invoice 2026-000007 (id 71e4)",
        "company": "BE0403170701",
        "path": "/books/Bakkerij/achats/x.xml",
        "sha256": "abc123",
    }
    waits = {"level": "warning", "document": "sales invoice 8", "reason": "of Bakkerij (BE0403)"}
    for wanted, expected in (
        (LogFilter(level="info"), [delivered, waits]),
        (LogFilter(level="warning"), [waits]),
        (LogFilter(level="error"), []),
        (LogFilter(document="INVOICE 2026-000007"), [delivered]),
        (LogFilter(document="abc1"), [delivered]),
        (LogFilter(document="71E4"), [delivered]),
        (LogFilter(company=("be0403170701", "Bakkerij")), [delivered, waits]),
        (LogFilter(company=("BE0403170701",)), [delivered]),
        (LogFilter(company=("other",)), []),
        (LogFilter(since="2026-11-25T10:00:00.4"), [delivered]),
        (LogFilter(since="2026-11-25T10:00:01"), []),
    ):
        assert [one for one in (delivered, waits) if wanted.wants(one)] == expected


def test_a_moment_is_given_as_people_write_it() -> None:
    brussels = timezone(timedelta(hours=1))
    now = datetime(2026, 11, 26, 0, 30, tzinfo=brussels)
    for text, expected in (
        ("2h", "2026-11-25T21:30:00"),
        ("90 m", "2026-11-25T22:00:00"),
        ("1.5d", "2026-11-24T11:30:00"),
        ("today", "2026-11-25T23:00:00"),
        ("yesterday", "2026-11-24T23:00:00"),
        ("2026-11-25T10:00:00+01:00", "2026-11-25T09:00:00"),
        ("2026-11-25T10:00:00Z", "2026-11-25T10:00:00"),
    ):
        assert since(text, now)[:19] == expected
    local = datetime(2026, 11, 25, 14, 30).astimezone(UTC)
    assert since("2026-11-25 14:30", now)[:19] == local.strftime("%Y-%m-%dT%H:%M:%S")
    for wrong in ("soon", "2x", "-1d", "2026-13-01", "99"):
        with pytest.raises(ValueError):
            since(wrong, now)


def test_the_last_lines_of_so_many_bytes_are_found_across_files(tmp_path: Path) -> None:
    log = tmp_path / "synqup.log"
    assert list(recent_lines(tmp_path, 100)) == []
    for first in (0, 100, 200):
        log.write_bytes(b"".join(line(number) for number in range(first, first + 100)))
        if first < 200:
            compress(put_away(log))
    every = [line(number) for number in range(300)]
    assert list(recent_lines(tmp_path, 10**6)) == every
    for most in (0, 5, 100, 1200, 2000):
        found = list(recent_lines(tmp_path, most))
        assert found == every[300 - len(found) :]
        assert most - 20 < sum(map(len, found)) + 1 <= max(most, 0) + 1
