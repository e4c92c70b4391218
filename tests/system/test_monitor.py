"""A running service tells over HTTP how it is: what breaks shows, since when and why, and ends."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.config.monitor import MonitorSettings
from pipeline.config.types import Secret
from pipeline.monitor import pages
from pipeline.monitor.readiness import folder_digest
from pipeline.network import kept_server
from stages.sandbox import FaultSpec
from stages.settings import destination
from tests.helpers.services import HERE, PATIENCE, until, visiting, watched
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is answered with what is so now."""
    monkeypatch.setattr(pages, "MAX_SHARE", 0)


async def test_a_source_that_breaks_shows_with_since_and_why_and_is_well_again(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, documents=9) as it, visiting(watched(it.config())) as visitor:
        assert await visitor.get("/ping") == (200, "ok\n")
        well = await visitor.until_ready()
        assert well["sources"][0]["name"] == "billtobox"
        assert well["sources"][0]["trouble"] is None
        it.faults.specs = (FaultSpec("unavailable"),)
        broken = await visitor.until_ready(wanted=False)
        (source,) = broken["sources"]
        assert "503" in source["trouble"]["reason"]
        assert source["trouble"]["remedy"]
        assert source["trouble"]["since"] >= well["at"]
        assert source["last_good_poll"] <= source["trouble"]["since"]
        metrics = await visitor.metrics()
        assert metrics["synqup_ready"] == 0
        assert metrics['synqup_source_working{source="billtobox"}'] == 0
        since = metrics['synqup_source_failing_since_timestamp_seconds{source="billtobox"}']
        assert since <= time.time()
        # It goes on failing, for another reason, since the same time.
        it.faults.specs = (FaultSpec("unauthorized"),)
        while "new token" not in (source := broken["sources"][0])["trouble"]["reason"]:
            broken = await visitor.until_ready(wanted=False)
        again = await visitor.metrics()
        assert again['synqup_source_failing_since_timestamp_seconds{source="billtobox"}'] == (since)
        it.faults.specs = ()
        well = await visitor.until_ready()
        assert well["sources"][0]["trouble"] is None
        metrics = await visitor.metrics()
        assert metrics["synqup_ready"] == 1
        assert not [name for name in metrics if "failing_since" in name]


async def test_before_the_first_poll_has_ended_it_is_not_ready(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, FaultSpec("no-answer", on="token"), documents=3) as it,
        visiting(watched(it.config())) as visitor,
    ):
        status, told = await visitor.ready()
        assert (status, told["ready"]) == (503, False)
        assert "not been polled" in told["sources"][0]["trouble"]["reason"]


async def test_documents_are_counted_by_end_stage_source_and_kind(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=30) as it, visiting(watched(it.config())) as visitor:
        await visitor.until_ready()
        found = await visitor.metrics()
    assert found['synqup_documents_listed_total{source="billtobox"}'] == 30
    assert found['synqup_documents_total{end="delivered",source="billtobox"}'] == 30
    assert found['synqup_documents_total{end="waiting",source="billtobox"}'] == 0
    kinds = {
        kind: found[f'synqup_delivered_documents_total{{kind="{kind}",source="billtobox"}}']
        for kind in ("purchase", "sales", "statement")
    }
    assert sum(kinds.values()) == 30
    assert all(kinds.values())
    sizes = sum(len(one.read()) for one in it.mailbox)
    assert found['synqup_delivered_bytes_total{source="billtobox"}'] == sizes
    for stage in ("download", "verify", "classify", "render", "write"):
        assert found[f'synqup_stage_documents_total{{result="passed",stage="{stage}"}}'] == 30
        groups = found[f'synqup_stage_group_seconds_count{{stage="{stage}"}}']
        assert 1 <= groups <= 30
        assert found[f'synqup_stage_group_seconds_bucket{{le="+Inf",stage="{stage}"}}'] == groups
        assert found[f'synqup_queue_max_bytes{{queue="{stage}"}}'] > 0
    assert found["synqup_ledger_bytes"] > 0
    assert found['synqup_disk_free_bytes{disk="state"}'] > 0
    assert found['synqup_disk_free_bytes{disk="destinations"}'] > 0


async def test_a_folder_that_refuses_shows_until_it_takes_a_document(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=30) as it:
        config = watched(it.config())
        company = config.companies[0]
        folder = destination(config.delivery, company, "purchases")
        folder.parent.mkdir(parents=True)
        folder.write_text("no folder")
        async with visiting(config) as visitor:
            while not (told := await visitor.until_ready(wanted=False))["destinations"]["failing"]:
                await anyio.sleep(0.02)
            (trouble,) = told["destinations"]["troubles"]
            assert trouble["folder"] == folder_digest(str(folder))
            assert trouble["reason"] == "the system says: File exists"
            assert company.name not in str(told)
            assert company.identifier not in str(told)
            # The others arrive, and the source works.
            await until(lambda: (it.held() - it.delivered()).total() <= 30 / len(config.companies))
            metrics = await visitor.metrics()
            assert metrics['synqup_destinations{state="failing"}'] == 1
            assert metrics["synqup_ready"] == 0
            first = trouble["since"]
            folder.unlink()
            told = await visitor.until_ready()
            assert told["destinations"] == {"working": 9, "failing": 0, "troubles": []}
            assert first <= told["at"]
            await until(lambda: it.delivered() == it.held())


async def test_no_name_of_a_company_and_no_secret_is_told(tmp_path: Path) -> None:
    secret = "a-token-of-some-length"
    (tmp_path / "token").write_text(secret)
    settings = structs.replace(HERE, token=Secret(file=str(tmp_path / "token")))
    async with trial(tmp_path, documents=30) as it:
        it.faults.specs = (FaultSpec("forbidden", share=0.5),)
        config = watched(it.config(), settings)
        async with visiting(config) as visitor:
            await until(lambda: it.delivered().total() > 5)
            told = ""
            for path in ("/ready", "/metrics", "/ping", "/nothing"):
                told += (await visitor.get(path, Authorization=f"Bearer {secret}"))[1]
                told += (await visitor.get(path))[1]
    assert "synqup_documents_total" in told
    words = [secret, it.sandbox.client_secret]
    for company in config.companies:
        words += [company.name, company.identifier, company.identifier[2:], *company.accounts]
    assert not [word for word in words if word and word in told]


async def test_a_token_is_asked_for_and_a_rotated_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "token"
    place.write_text("the first one\n")
    settings = structs.replace(HERE, token=Secret(file=str(place)))
    async with (
        trial(tmp_path, documents=3) as it,
        visiting(watched(it.config(), settings)) as visitor,
    ):
        for path in ("/ping", "/ready", "/metrics", "/nothing"):
            assert (await visitor.get(path))[0] == 401
        wrong = ("Bearer", "Bearer the", "Basic the first one", "the first one", "Bearer é")
        for given in wrong:
            assert (await visitor.get("/ping", Authorization=given))[0] == 401
        for given in ("Bearer the first one", "bearer  the first one"):
            assert (await visitor.get("/ping", Authorization=given))[0] == 200
        monkeypatch.setattr("pipeline.monitor.guard.REREAD", 0.0)
        place.write_text("another")
        assert (await visitor.get("/ping", Authorization="Bearer another"))[0] == 200
        assert (await visitor.get("/ping", Authorization="Bearer the first one"))[0] == 401
        place.unlink()
        assert (await visitor.get("/ping", Authorization="Bearer another"))[0] == 401
        assert (await visitor.get("/ping", Authorization="Bearer "))[0] == 401


async def test_other_hosts_and_other_sites_are_refused(tmp_path: Path) -> None:
    settings = structs.replace(HERE, allowed_hosts=("books.office.example",))
    async with (
        trial(tmp_path, documents=3) as it,
        visiting(watched(it.config(), settings)) as visitor,
    ):
        for host in ("localhost", "LOCALHOST:1", "[::1]:9", "books.office.example:443"):
            assert (await visitor.get("/ping", Host=host))[0] == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "10.1.2.3", "a b", "[::1"):
            assert (await visitor.get("/ping", Host=host))[0] in (400, 421), host
        own = f"127.0.0.1:{visitor.port}"
        assert (await visitor.get("/ping", Origin=f"http://{own}"))[0] == 200
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", own):
            assert (await visitor.get("/ping", Origin=origin))[0] == 403, origin


async def test_a_port_that_is_taken_is_told_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_server, "RETRY", 0.02)
    async with trial(tmp_path, documents=6) as it:
        with capture_logs() as logs, socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            settings = MonitorSettings(f"127.0.0.1:{port}")
            async with visiting(watched(it.config(), settings)) as visitor:
                # The service goes on without it.
                await until(lambda: it.delivered() == it.held())
                await anyio.sleep(0.2)
                assert not visitor.service.monitor.addresses
                other.close()
                assert (await visitor.get("/ping"))[0] == 200
        told = [line for line in logs if line["event"] == "the monitor can't listen"]
        assert len(told) == 1
        assert told[0]["address"] == settings.listen
        assert "in use" in told[0]["reason"]
        assert "another port" in told[0]["remedy"]


async def test_a_token_that_is_missing_keeps_it_from_listening_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_server, "RETRY", 0.02)
    settings = MonitorSettings("0.0.0.0:0", Secret(file=str(tmp_path / "token")))
    async with trial(tmp_path, documents=3) as it:
        with capture_logs() as logs:
            async with visiting(watched(it.config(), settings)) as visitor:
                await until(lambda: any("can't listen" in line["event"] for line in logs))
                assert not visitor.service.monitor.addresses
                (tmp_path / "token").write_text("here")
                assert (await visitor.get("/ping"))[0] == 401
                assert (await visitor.get("/ping", Authorization="Bearer here"))[0] == 200


async def _refused(port: int) -> None:
    """Wait until nobody listens there; a test beside this one may have got the port at once."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                return
            await stream.aclose()
            await anyio.sleep(0.05)


async def test_an_edit_moves_it_turns_it_off_and_on_and_names_other_sources(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, documents=6) as it:
        config = watched(it.config())
        async with visiting(config) as visitor:
            await visitor.until_ready()
            port = visitor.port
            service = visitor.service
            service.apply(structs.replace(config, monitor=MonitorSettings()))
            await until(lambda: not service.monitor.addresses)
            await _refused(port)
            (source,) = config.sources
            renamed = structs.replace(source, name="another")
            companies = tuple(structs.replace(one, source="another") for one in config.companies)
            service.apply(
                structs.replace(config, sources=(renamed,), companies=companies[:1], monitor=HERE)
            )
            told = await visitor.until_ready()
            assert [one["name"] for one in told["sources"]] == ["another"]
            assert told["destinations"]["working"] == 3
            metrics = await visitor.metrics()
            assert 'synqup_source_working{source="billtobox"}' not in metrics
