"""The files in deploy/ say what the program itself would do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline.app.service_manager.definition import STOP_MARGIN
from pipeline.app.service_manager.windows_plan import (
    DESCRIPTION,
    RECOVERY,
    RECOVERY_RESET,
    virtual_account,
)
from pipeline.config.types import ServiceSettings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
GRACE = int(ServiceSettings(Path("state")).shutdown_grace)


def test_the_file_for_winsw_has_the_ladder_and_the_time_of_our_own_service() -> None:
    service = ET.parse(DEPLOY / "synqup-winsw.xml").getroot()
    delays = [one.get("delay") for one in service.iter("onfailure")]
    assert delays == [f"{seconds} sec" for seconds in RECOVERY]
    assert {one.get("action") for one in service.iter("onfailure")} == {"restart"}
    assert RECOVERY_RESET == 86_400
    assert service.findtext("resetfailure") == "1 day"
    assert service.findtext("stoptimeout") == f"{GRACE + STOP_MARGIN} sec"
    assert service.findtext("description") == DESCRIPTION
    assert service.findtext("serviceaccount/username") == virtual_account("synqup")
    assert "pipeline.app.cli run --config" in (service.findtext("arguments") or "")


def test_the_container_runs_as_nobody_and_is_drained() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    users = re.findall(r"(?m)^USER (.*)$", text)
    assert users[-1] == "65534:65534"
    assert "STOPSIGNAL SIGTERM" in text
    (command,) = re.findall(r"(?m)^CMD (.*)$", text)
    assert json.loads(command)[:2] == ["run", "--config"]
    for copied in re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", text):
        for name in copied.split():
            assert list(ROOT.glob(name)), name


@pytest.mark.parametrize(
    "line",
    [
        'user: "65534:65534"',
        "read_only: true",
        "cap_drop: [ALL]",
        "dockerfile: deploy/Containerfile",
        f"stop_grace_period: {GRACE + STOP_MARGIN}s",
        "- ./synqup:/etc/synqup:ro",
    ],
)
def test_the_compose_file_keeps_the_root_read_only(line: str) -> None:
    assert f"    {line}\n" in (DEPLOY / "compose.yaml").read_text("utf-8")
