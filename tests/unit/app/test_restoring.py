"""A restore is all or nothing, wherever it is broken off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import restoring
from pipeline.app.lock import single_instance

STAMP = "20261126T101112"


class Killed(BaseException):
    pass


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lay(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


OLD = {
    "ledger.sqlite": "old",
    "ledger.sqlite-wal": "old",
    "tokens/a": "old",
    "volumes": "old",
    "quarantine/box/x.bin": "old",
    "staging/t": "old",
    "identity.json": "old",
}
STAYS = {"lock": "", "owner": "1", "logs/synqup.log": "log"}
NEW = {"ledger.sqlite": "new", "tokens/a": "new", "quarantine/box/y.bin": "new"}


def restore(state: Path) -> None:
    lay(state / restoring.PART, NEW | {restoring.STAYING_TOO: "identity.json\n"})
    restoring.commit(state, STAMP)
    restoring.finish(state)


def dying(number: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """Path.rename that dies before the call of this number; before the next one, after it."""
    calls = 0

    def rename(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == number // 2 + 1 and number % 2 == 0:
            raise Killed
        moved: Path = real(self, target)
        if calls == number // 2 + 1:
            raise Killed
        return moved

    return rename


def test_what_was_there_is_kept_beside(tmp_path: Path) -> None:
    lay(tmp_path, OLD | STAYS)
    restore(tmp_path)
    before = {f"before-restore-{STAMP}/{name}": text for name, text in OLD.items()}
    identity = {"identity.json": before.pop(f"before-restore-{STAMP}/identity.json")}
    assert contents(tmp_path) == NEW | STAYS | before | identity


def test_wherever_it_is_broken_off_it_is_the_one_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    lay(whole, OLD | STAYS)
    restore(whole)
    after, number = contents(whole), 0
    while True:
        state = tmp_path / str(number)
        lay(state, OLD | STAYS)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(Path, "rename", dying(number, Path.rename))
                restore(state)
            break
        except Killed:
            # The next process that takes the lock goes on, and dies as well; then one that lives.
            try:
                with monkeypatch.context() as patch:
                    patch.setattr(Path, "rename", dying(1, Path.rename))
                    restoring.finish(state)
            except Killed:
                pass
            with single_instance(state):
                pass
        found = contents(state)
        found["owner"] = "1"
        committed = number > 0
        assert found == (after if committed else OLD | STAYS), number
        number += 1
    assert number > 20


def test_what_was_not_committed_is_removed(tmp_path: Path) -> None:
    lay(tmp_path, OLD | STAYS)
    lay(tmp_path / restoring.PART, NEW)
    assert restoring.finish(tmp_path) is None
    assert contents(tmp_path) == OLD | STAYS
