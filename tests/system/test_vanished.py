"""Documents that wait here and vanish at their source, from outside: told, and none is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.app.exit_codes import ExitCode, exit_code_of_result
from pipeline.app.wiring import load_config
from stages.sandbox import FaultSpec
from stages.sandbox.state_index import State
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio

KINDS = [
    ("billtobox", None),
    ("billit", {"door": "feeds", "pause": "0"}),
    ("billit", {"door": "inbox"}),
]


async def all_wait(it: Trial) -> None:
    """Have nothing be written."""
    (it.folder / "out").write_text("in the way")
    ended = await it.bring(it.config())
    assert ended.counters.delivered == 0
    (it.folder / "out").unlink()


def waiting(it: Trial) -> list[str]:
    return [one.reason for one in it.summary().waiting]


def vanish(it: Trial, share: int = 2) -> None:
    """Let somebody else take every second document that is still offered."""
    left = [one for one in it.mailbox if it.mailbox.state(one) is State.PENDING]
    for document in left[::share]:
        it.mailbox.set_state(document, State.ACKED)


@pytest.mark.parametrize(("kind", "chosen"), KINDS)
async def test_what_vanishes_is_told_once_and_the_rest_comes(
    tmp_path: Path, kind: str, chosen: dict[str, str] | None
) -> None:
    async with trial(tmp_path, documents=8, kind=kind, chosen=chosen) as it:
        await all_wait(it)
        before = len(waiting(it))
        assert before > 1
        vanish(it)
        ended = await it.bring(it.config())
        gone = [one.reason for one in it.summary().quarantine]
        assert gone
        assert len(gone) + it.delivered().total() + len(waiting(it)) == before
        assert not waiting(it)
        assert ended.counters.quarantined == len(gone)
        assert exit_code_of_result(ended) is ExitCode.INCOMPLETE
        for reason in gone:
            assert f"it is no longer listed by source {kind}" in reason
            assert "sent again" in reason
        ended = await it.bring(it.config())
        assert ended.counters.quarantined == 0
        # Nobody had meant to take them: they are offered again.
        for document in it.mailbox:
            it.mailbox.set_state(document, State.PENDING)
        await it.bring(it.config())
        assert not it.summary().quarantine
        assert not waiting(it)


async def test_what_waits_of_a_company_that_is_removed_goes_on_waiting(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=12) as it:
        await all_wait(it)
        before = len(waiting(it))
        config = it.config()
        fewer = structs.replace(config, companies=config.companies[1:])
        await it.bring(fewer)
        assert not it.summary().quarantine
        assert 0 < len(waiting(it)) < before
        await it.bring(config)
        assert not waiting(it)
        assert it.delivered() == it.held()


async def test_what_waits_while_its_source_fails_goes_on_waiting(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=8) as it:
        await all_wait(it)
        before = len(waiting(it))
        for fault in ("unavailable", "web-page", "invalid-json"):
            it.faults.specs = (FaultSpec(fault, on="list"),)
            await it.bring(it.config(attempts=1))
            assert not it.summary().quarantine
            assert len(waiting(it)) == before
        # What can't be read of a list may be any of them.
        vanish(it)
        it.faults.specs = (FaultSpec("odd-item"),)
        await it.bring(it.config())
        assert not it.summary().quarantine
        assert len(waiting(it)) == before - it.delivered().total() > 0
        it.faults.specs = ()
        await it.bring(it.config())
        assert len(it.summary().quarantine) == before - it.delivered().total()


async def test_a_file_that_is_taken_from_its_server_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "server"))
    async with trial(tmp_path, documents=6, kind="sftp") as it:
        text = it.path.read_text("utf-8").replace("settle = 1\n", "settle = 0.2\n")
        it.path.write_text(text, "utf-8")
        (it.folder / "out").write_text("in the way")
        await it.bring(load_config(it.path))
        before = len(waiting(it))
        assert before > 2
        files = sorted((tmp_path / "server").rglob("2*/**/*.xml"))
        taken = next(one for one in files if one.name.startswith("0"))
        taken.unlink()
        await it.bring(load_config(it.path))
        (gone,) = it.summary().quarantine
        assert "it is no longer listed by source sftp" in gone.reason
        assert len(waiting(it)) == before - 1
