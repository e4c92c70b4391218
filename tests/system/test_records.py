"""The log tells of each delivered document, and of each poll that brought something."""

from __future__ import annotations

import json
import os
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.app.catch_up import CatchUp
from pipeline.app.lock import single_instance
from pipeline.records import DocumentRecord
from stages.delivery import publish_group
from stages.sandbox import FaultSpec
from tests.helpers.processes import mailbox, synqup
from tests.helpers.trial import trial

pytestmark = pytest.mark.slow


def told(box_log: str, event: str) -> list[dict[str, Any]]:
    return [one for one in map(json.loads, box_log.splitlines()) if one["event"] == event]


def test_each_delivered_document_and_each_poll_has_its_line(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 30) as box:
        synqup("catch-up", "--config", box.config)
        synqup("catch-up", "--config", box.config)
        lines = told(box.log(), "document delivered")
        manifest = {one["sha256"]: one for one in box.manifest()}
        assert Counter(one["sha256"] for one in lines) == Counter(list(manifest))
        for line in lines:
            assert sha256(Path(line["path"]).read_bytes()).hexdigest() == line["sha256"]
            document = manifest[line["sha256"]]
            assert (line["company"], line["kind"]) == (document["company"], document["kind"])
            assert document["id"] in line["document"]
            assert line["source"] == "billtobox"
            assert 0 <= line["seconds"] < 100
            assert line["level"] == "info"
            assert "acknowledged" not in line
        (poll,) = told(box.log(), "poll brought documents")
        assert poll["delivered"] == 30
        assert poll["source"] == "billtobox"
        assert poll["seconds"] > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_log_that_hangs_keeps_no_document_waiting(tmp_path: Path) -> None:
    """To open a pipe that nobody reads does not return."""
    with mailbox(tmp_path, "--documents", 12) as box:
        logs = tmp_path / "state" / "logs"
        logs.mkdir(parents=True)
        os.mkfifo(logs / "synqup.log")
        synqup("catch-up", "--config", box.config)
        box.assert_everything_stands_once()


@pytest.mark.anyio
async def test_a_document_whose_source_cannot_be_told_has_its_line_as_well(tmp_path: Path) -> None:
    refused = FaultSpec("forbidden", on="acknowledgement")
    records: list[DocumentRecord] = []
    async with trial(tmp_path, refused, documents=9) as it:
        config = it.config(attempts=1)
        with single_instance(config.service.state_dir):
            await CatchUp(config).run(_show, sink=records.extend)
        assert {one.sha256 for one in records} == set(it.held())
        assert not any(one.acknowledged for one in records)


@pytest.mark.anyio
async def test_a_document_that_an_earlier_run_left_staged_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unflushed(folders: set[Path]) -> dict[Path, OSError]:
        return {folder: OSError(5, "Input/output error") for folder in folders}

    async with trial(tmp_path, documents=6) as it:
        with monkeypatch.context() as patch:
            patch.setattr(publish_group, "flush_names", unflushed)
            await it.bring(it.config())
        with capture_logs() as logs:
            await it.bring(it.config())
        lines = [one for one in logs if one["event"] == "document delivered"]
        assert Counter(one["sent_sha256"] for one in lines) == it.held()
        assert all(one["recovered"] and one["company"] and one["document"] for one in lines)
        assert {one["path"] for one in lines} == {
            str(path) for path in (tmp_path / "out").rglob("*") if path.is_file()
        }


async def _show(*_: object) -> None:
    pass
