"""The connector of docs/connectors.md is complete: taken from the page, it brings documents."""

from __future__ import annotations

import importlib
import os
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from pipeline.app import wiring
from pipeline.app.catch_up import CatchUp
from pipeline.app.lock import single_instance
from stages.sandbox import Mailbox
from stages.sources import registry

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
#: A sign that Windows has in no name.
RARE = "" if os.name == "nt" else "?"

CONFIG = """\
[service]
state_dir = "state"

[delivery]
purchases = "out/[enterprise_identifier]/purchases"
sales = "out/[enterprise_identifier]/sales"
statements = "out/[enterprise_identifier]/statements"

[[sources]]
name = "inbox"
kind = "folder"
path = "inbox"

[[companies]]
name = "{name}"
identifier = "{identifier}"
source = "inbox"
"""


async def test_the_skeleton_brings_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/connectors.md").read_text(), re.DOTALL
    )
    (tmp_path / "folder_connector.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    connector = importlib.import_module("folder_connector")
    line = registry.Connector(
        connector.Folder, "folder_connector:FolderSource", registry.CONNECTORS[0].platform
    )
    monkeypatch.setitem(registry._BY_SECTION, connector.Folder, line)
    monkeypatch.setattr(wiring, "SECTIONS", (*registry.SECTIONS, connector.Folder))
    mailbox = Mailbox(8, 1, seed=3)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number, document in enumerate(mailbox):
        (inbox / f"{number} ü{RARE}.dat").write_bytes(document.read())
    (inbox / "nobody's.xml").write_text("<Invoice/>")
    company = mailbox.companies[0]
    (tmp_path / "synqup.toml").write_text(
        CONFIG.format(name=company.name, identifier=company.identifier)
    )
    config = wiring.load_config(tmp_path / "synqup.toml")
    with single_instance(config.service.state_dir), anyio.fail_after(60):
        result = await CatchUp(config).run(_show)
    assert (result.counters.delivered, result.counters.quarantined) == (8, 1)
    out = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert Counter(sha256(path.read_bytes()).hexdigest() for path in out) == Counter(
        sha256(document.read()).hexdigest() for document in mailbox
    )
    assert len(list((inbox / "done").iterdir())) == 8
    assert [path.name for path in (inbox / "refused").iterdir()] == ["nobody's.xml"]


async def _show(*_: object) -> None:
    await anyio.sleep_forever()
