"""`synqup logs` shows people what the log says, of all its files, and what is being added."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import Mailbox, mailbox, process, synqup

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with mailbox(tmp_path_factory.mktemp("logs"), "--documents", 12) as box:
        synqup("catch-up", "--config", box.config)
        yield box


def logs(box: Mailbox, *options: object) -> list[dict[str, Any]]:
    shown = synqup("logs", "--config", box.config, "--json", *options)
    return [json.loads(line) for line in shown.splitlines()]


def test_a_company_is_found_by_its_name_or_its_number_however_written(box: Mailbox) -> None:
    identifier = box.manifest()[0]["company"]
    expected = sum(one["company"] == identifier for one in box.manifest())
    name = re.search(rf'name = "(.*)"\nidentifier = "{identifier}"', box.config.read_text())
    assert name
    digits = identifier.removeprefix("BE")
    for asked in (identifier, f"BE {digits[:4]}.{digits[4:7]}.{digits[7:]}", name[1][:8].upper()):
        found = logs(box, "--company", asked)
        assert [one["company"] for one in found] == [identifier] * expected, asked


def test_a_document_is_found_by_what_is_known_of_it(box: Mailbox) -> None:
    one = box.manifest()[0]
    for asked in (one["id"], one["sha256"][:20]):
        (found,) = logs(box, "--document", asked)
        assert found["sha256"] == one["sha256"]


def test_people_read_lines_with_their_own_time(box: Mailbox) -> None:
    shown = synqup("logs", "--config", box.config)
    lines = [line for line in shown.splitlines() if "document delivered" in line]
    assert len(lines) == 12
    today = time.strftime("%Y-%m-%d ")
    assert all(line.startswith(today) and "  info     document delivered" in line for line in lines)
    assert "\x1b" not in shown


def test_lines_are_chosen_by_level_time_and_number(box: Mailbox) -> None:
    everything = logs(box)
    assert logs(box, "--since", "yesterday") == everything
    assert logs(box, "--level", "warning") == []
    assert logs(box, "--since", "1h", "--lines", 3) == everything[-3:]
    for wrong in (("--level", "loud"), ("--since", "soon")):
        synqup("logs", "--config", box.config, *wrong, expect=2)


def test_there_is_nothing_to_show_before_the_first_start(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 1) as box:
        assert synqup("logs", "--config", box.config) == ""


def test_earlier_files_are_shown_and_new_ones_followed(box: Mailbox) -> None:
    folder = box.folder / "state" / "logs"
    with gzip.open(folder / "synqup.log.2020-01-02T10-00-00.gz", "wt") as packed:
        packed.write('{"event": "of long ago", "timestamp": "2020-01-02T09:00:00Z"}\n')
    assert logs(box)[0]["event"] == "of long ago"
    assert logs(box, "--since", "2020-01-03")[0]["event"] != "of long ago"
    with process("logs", "--config", box.config, "--follow", "--json", "--lines", 1) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["event"] == "poll brought documents"
        with (folder / "synqup.log").open("a") as log:
            log.write('{"event": "one"}\n')
        assert json.loads(following.stdout.readline()) == {"event": "one"}
        with (folder / "synqup.log").open("a") as log:
            log.write('{"event": "two"}\n')
        (folder / "synqup.log").rename(folder / "synqup.log.2999-01-01T10-00-00")
        (folder / "synqup.log").write_text('{"event": "three"}\n')
        assert json.loads(following.stdout.readline()) == {"event": "two"}
        assert json.loads(following.stdout.readline()) == {"event": "three"}
        following.terminate()
        assert following.wait() == 0
