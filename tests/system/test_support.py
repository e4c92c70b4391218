"""`synqup support` gathers what support needs, and no secret is anywhere in it."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from pipeline.app.logging import configure_logging
from stages.sandbox.tokens import Tokens
from tests.helpers.processes import Mailbox, mailbox, process, synqup, wait_until
from tests.helpers.trial import trial

PROXY_PASSWORD = "proxy pass/wörd"
REFRESH = "refresh-token-of-the-mailbox"
RENEWED = "another-refresh-token"


def everything(data: bytes, name: str = "") -> list[tuple[str, bytes]]:
    """An archive, and all that lies within it, at any depth."""
    found = [(name, data)]
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for one in archive.namelist():
                found += [(one, one.encode()), *everything(archive.read(one), one)]
    return found


def forms(secret: str) -> list[bytes]:
    return [
        *(secret.encode(), quote(secret, safe="").encode(), quote(secret).encode()),
        *(json.dumps(secret)[1:-1].encode(), b64encode(secret.encode()).rstrip(b"=")),
    ]


def leaks(path: Path, secrets: list[str]) -> list[tuple[str, str]]:
    return [
        (secret, name)
        for name, data in everything(path.read_bytes())
        for secret in secrets
        for form in forms(secret)
        if form in data
    ]


def member(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        data = archive.read(name)
    return (
        [json.loads(line) for line in data.splitlines()] if ".jsonl" in name else json.loads(data)
    )


@pytest.mark.anyio
async def test_no_secret_of_a_sandbox_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has got into the log: faults of ours, servers that repeat what they were sent."""
    access: list[str] = []
    grant = Tokens._grant

    def granting(self: Tokens, one: Any) -> dict[str, Any]:
        granted = grant(self, one)
        access.append(granted["access_token"])
        return granted

    monkeypatch.setattr(Tokens, "_grant", granting)
    monkeypatch.setenv("SYNQUP_PROXY_PASSWORD", PROXY_PASSWORD)
    monkeypatch.setenv("HTTPS_PROXY", f"http://jan:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:9")
    async with trial(tmp_path, documents=6) as it:
        config = it.config()
        await it.bring(config)
        (tmp_path / "refresh").write_text(REFRESH)
        (tmp_path / "state" / "tokens").mkdir()
        (tmp_path / "state" / "tokens" / "billtobox").write_text(f"{REFRESH}\n{RENEWED}")
        text = (tmp_path / "tried.toml").read_text()
        text = text.replace(
            "[[companies]]",
            'proxy = "http://127.0.0.1:9"\nproxy_user = "jan"\n'
            'proxy_password = { env = "SYNQUP_PROXY_PASSWORD" }\n'
            'refresh_token = { file = "refresh" }\n[[companies]]',
            1,
        )
        path = tmp_path / "tried.toml"
        path.write_text(text.replace('proxy = "none"\n', "", 1))
        client_secret = (tmp_path / "synqup.toml.secret").read_text().strip()
    secrets = [*access, client_secret, REFRESH, RENEWED, PROXY_PASSWORD]
    assert len(secrets) > 4
    program_log = configure_logging(tmp_path / "state" / "logs", quiet=True)
    log = structlog.get_logger("stages.test")
    for secret in secrets:
        log.warning("plain", reason=f"the server said {secret}", **{secret: "as a name"})
        log.warning("nested", reason=json.dumps({"token": secret}), list=[secret])
        log.warning("sent", body=f"grant=x&client_secret={quote(secret, safe='')}&y=1")
        log.warning("header", header=f"Basic {b64encode(f'jan:{secret}'.encode()).decode()}")
        log.warning("bearer", header=f"Authorization: Bearer {secret}")
        try:
            raise ValueError(secret)
        except ValueError as error:
            log.error("unexpected error", place="x", exc_info=error)
    program_log.flush()
    with (tmp_path / "state" / "logs" / "synqup.log").open("a") as file:
        file.write(f"no JSON {client_secret}\n")
    for option in ("--documents", "--no-documents"):
        archive = tmp_path / f"support{option}.zip"
        synqup("support", archive, "--config", path, option)
        assert leaks(archive, secrets) == []
    # With none of it in it, the test would pass as well.
    lines = member(tmp_path / "support--documents.zip", "log.jsonl")
    assert sum(line["event"] == "plain" for line in lines) == len(secrets)
    settings = member(tmp_path / "support--documents.zip", "configuration.json")
    (source,) = settings["sources"]
    assert source["client_secret"]["lies_in"].endswith("synqup.toml.secret")
    assert source["proxy_password"]["lies_in"] == ("the environment variable SYNQUP_PROXY_PASSWORD")
    assert source["proxy_user"] == "jan"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with mailbox(tmp_path_factory.mktemp("support"), "--documents", 9) as box:
        synqup("catch-up", "--config", box.config)
        yield box


def test_what_is_needed_is_in_it(box: Mailbox) -> None:
    archive = box.folder / "support.zip"
    said = synqup("support", archive, "--config", box.config)
    assert f"{archive}: " in said
    if os.name != "nt":
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    versions = member(archive, "versions.json")
    assert {"aiohttp", "msgspec"} <= versions["packages"].keys()
    assert versions["python"][:2] == "3."
    assert sum(member(archive, "ledger.json")["documents"].values()) == 9
    assert all(finding["ok"] for finding in member(archive, "findings.json"))
    assert member(archive, "state.json")["files"]["logs/"]["files"] == 1
    assert member(archive, "state.json")["running"] == ""
    rooms = member(archive, "machine.json")["folders"]
    assert rooms[str(box.folder / "state")]["free"] > 0
    assert len(member(archive, "log.jsonl")) >= 11
    contents = {path.read_bytes() for path in box.delivered()}
    held = everything(archive.read_bytes())
    assert not [name for name, data in held for content in contents if content in data]


def test_without_documents_it_names_none(box: Mailbox) -> None:
    archive = box.folder / "anonymous.zip"
    synqup("support", archive, "--config", box.config, "--no-documents")
    with zipfile.ZipFile(archive) as opened:
        log = opened.read("log.jsonl").decode()
        rest = "".join(opened.read(name).decode() for name in ("ledger.json", "state.json"))
    for one in box.manifest():
        assert one["id"] not in log + rest
        assert one["sha256"] not in log + rest
        assert one["company"] not in log + rest
    assert log.count('"document delivered"') == 9


def test_a_running_service_is_told_of(box: Mailbox) -> None:
    with process("run", "--config", box.config) as service:
        owner = box.folder / "state" / "owner"
        wait_until(lambda: owner.exists() and owner.read_text().strip() == str(service.pid))
        archive = box.folder / "running.zip"
        synqup("support", archive, "--config", box.config)
        assert member(archive, "state.json")["running"] == str(service.pid)


def test_a_configuration_that_cannot_be_used_is_told_by_its_shape(box: Mailbox) -> None:
    broken = box.folder / "broken.toml"
    secret = (box.folder / "synqup.toml.secret").read_text().strip()
    text = box.config.read_text().replace("[delivery]\n", "[delivery]\nformats = 7\n")
    broken.write_text(
        text.replace('client_id = "', f'proxy_password = "{secret}-typed"\nclient_id = "')
    )
    archive = box.folder / "broken.zip"
    synqup("support", archive, "--config", broken)
    assert leaks(archive, [secret, f"{secret}-typed"]) == []
    told = member(archive, "configuration.json")
    assert any("delivery.formats" in problem for problem in told["problems"])
    assert told["keys"]["sources"][0]["url"] == "str"
    assert len(member(archive, "log.jsonl")) >= 11
    synqup("support", box.folder / "none" / "x.zip", "--config", box.config, expect=1)
