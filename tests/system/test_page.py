"""The page over HTTP: who may look and who may act, and that each action is recorded with who."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import anyio
import pytest
from msgspec import structs

from pipeline.ledger.search import find, story
from pipeline.monitor.page import live, site, views
from stages.settings import destination
from tests.helpers.services import PATIENCE, until, visiting, watched
from tests.helpers.trial import trial
from tests.helpers.visitors import OPERATOR, READER, guarded, person

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "WRONG_TOKEN", 0.0)
    monkeypatch.setattr(live, "INTERVAL", 0.05)


async def test_one_looks_with_a_token_and_acts_with_another(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, documents=9) as it,
        visiting(watched(it.config(), guarded(tmp_path))) as visitor,
        person(visitor) as reader,
        person(visitor) as operator,
    ):
        for path in ("/", "/companies", "/find?q=a", "/waiting", "/document?id=x"):
            status, text = await reader.get(path)
            assert (status, 'name="token"' in text) == (200, True), path
            assert it.mailbox.companies[0].name not in text
        assert (await reader.get("/live"))[0] == 401
        assert "not a token" in (await reader.post("/sign-in", token="wrong"))[1]
        assert (await reader.post("/sign-in", token=READER))[0] == 303
        status, text = await reader.get("/")
        assert 'id="fetch-now"' not in text
        assert 'id="attention"' in text
        # What a program bears is no session, and a session is nothing for programs.
        assert (await visitor.get("/", Authorization=f"Bearer {READER}"))[1].count("token") > 0
        assert (await reader.get("/metrics"))[0] == 401
        # A reader may not act, even with the token of an operator's form.
        assert (await operator.post("/sign-in", token=OPERATOR, name="Jan"))[0] == 303
        csrf = await operator.csrf()
        assert "not act" in (await reader.post("/act", do="poll", csrf=csrf))[1]
        status, said = await operator.post("/act", do="poll?source=billtobox", csrf=csrf)
        assert (status, said) == (303, "Source billtobox is polled now.")
        # After the token has been changed, the sessions that it has opened are over.
        assert 'id="fetch-now"' in (await operator.get("/"))[1]
        (tmp_path / "operator").write_text("another")
        token = visitor.service.monitor.site.access  # type: ignore[union-attr] # it listens
        token._tokens["operator"]._read_at = -1000.0
        assert 'id="fetch-now"' not in (await operator.get("/"))[1]


async def test_an_action_needs_the_form_of_this_page(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, documents=3) as it,
        visiting(watched(it.config(), guarded(tmp_path), interval=600)) as visitor,
        person(visitor) as one,
    ):
        await one.post("/sign-in", token=OPERATOR)
        csrf = await one.csrf()
        assert "too old" in (await one.post("/act", do="pause?source=billtobox"))[1]
        assert "too old" in (await one.post("/act", do="pause?source=billtobox", csrf="x" * 40))[1]
        for origin in ("https://evil.example", "null", None):
            status, _ = await one.post("/act", origin, do="pause?source=billtobox", csrf=csrf)
            assert status == 403, origin
        assert (await one.get("/act"))[0] == 401
        assert not visitor.service.paused
        assert (await one.post("/act", do="format", csrf=csrf))[0] == 400
        # Nobody is sent elsewhere.
        for place in ("https://evil.example/", "//evil.example/", "/\\evil.example", "evil"):
            fields = {"do": "pause?source=billtobox", "csrf": csrf, "back": place}
            async with one._session.post(
                f"{one.origin}/act",
                data=fields,
                headers={"Origin": one.origin},
                allow_redirects=False,
            ) as answer:
                assert answer.headers["Location"] == "/"
        assert visitor.service.paused
        assert (await one.post("/sign-out"))[0] == 303
        assert not await one.csrf()


async def test_nothing_is_loaded_from_elsewhere_and_nothing_stands_in_the_page(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, documents=3) as it, visiting(watched(it.config())) as visitor:
        await visitor.until_ready()
        url = f"http://127.0.0.1:{visitor.port}"
        async with visitor._session.get(url) as answer:
            policy, text = answer.headers["Content-Security-Policy"], await answer.text()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", text)
        for place in re.findall(r'(?:src|href)="([^"]+)"', text):
            assert place.startswith(("/", "#")), place
        for name in re.findall(r'"(/static/[^"]+)"', text):
            async with visitor._session.get(url + unescape(name)) as answer:
                assert answer.status == 200
                assert "immutable" in answer.headers["Cache-Control"]
                assert "http" not in (await answer.text()).replace("http://www.w3.org", "")
        assert (await visitor.get("/static/../site.py"))[0] == 404
        assert (await visitor.get("/static/page.html"))[0] == 404
        assert (await visitor.get("/", Host="evil.example"))[0] == 421
        assert (await visitor.get("/", Origin="https://evil.example"))[0] == 403


async def test_a_link_signs_in_once(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, documents=3) as it,
        visiting(watched(it.config(), interval=600)) as visitor,
        person(visitor) as one,
        person(visitor) as other,
    ):
        address = visitor.service.monitor.invite("jan")
        assert address is not None
        assert address.startswith(f"{one.origin}/open?code=")
        path = address.removeprefix(one.origin)
        # Without a token everybody of this machine may look, and nobody act.
        assert not await one.csrf()
        assert 'id="fetch-now"' in (await one.get(path))[1]
        assert "used or is too old" in (await other.get(path))[1]
        assert not await other.csrf()
        csrf = await one.csrf()
        await one.post("/act", do="pause?source=billtobox", csrf=csrf)
        ((_, by),) = visitor.service.paused.values()
        assert by == "jan (page, 127.0.0.1)"


async def test_a_document_is_found_told_and_delivered_again(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=30) as it:
        config = watched(it.config(), interval=600)
        ledger = config.service.state_dir / "ledger.sqlite"
        async with visiting(config) as visitor, person(visitor) as one:
            await visitor.until_ready()
            await until(lambda: it.delivered() == it.held())
            await one.get("/open?" + str(visitor.service.monitor.invite("Ann")).partition("?")[2])
            found = next(row for row in find(ledger, "invoice") if row.number)
            # Only one has that number: its page is shown at once.
            status, text = await one.get(f"/find?q={found.sha256}")
            assert status == 200
            for words in ("Delivered as", found.number, found.path, "The source was told"):
                assert words in unescape(text)
            fields = {"source": found.key.source, "id": found.key.id}
            fields |= {"revision": found.key.revision, "csrf": await one.csrf()}
            _, said = await one.post("/act", do="redeliver", **fields)
            assert "delivered again" in said
            await until(lambda: (it.delivered() - it.held()).total() == 1)
            told = story(ledger, found.key)
            assert told is not None
            assert told.actions[0].who == "Ann (page, 127.0.0.1)"
            # A folder that is none is refused in a sentence.
            _, said = await one.post("/act", do="redeliver", into="nowhere", **fields)
            assert "nowhere" in said


async def test_documents_that_wait_are_told_by_their_reason_and_tried_again(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, documents=30) as it:
        config = watched(it.config(), interval=600)
        company = config.companies[0]
        folder = destination(config.delivery, company, "purchases")
        folder.parent.mkdir(parents=True)
        folder.write_text("no folder")
        async with visiting(config) as visitor, person(visitor) as one:
            await until(lambda: it.delivered().total() > 20)
            await one.get("/open?" + str(visitor.service.monitor.invite("Ann")).partition("?")[2])
            with anyio.fail_after(PATIENCE):
                while "folder refuses" not in (page := (await one.get("/"))[1]):
                    await anyio.sleep(0.05)
                while not (found := re.search(r'value="(retry\?group=\w+)"', page)):
                    page = (await one.get("/"))[1]
                    await anyio.sleep(0.05)
            # The company is the first of the table.
            assert unescape(page.split('scope="row"')[1]).find(company.name) > 0
            dutch = unescape((await one.get("/waiting", "nl"))[1])
            assert "er staat al een bestand met die naam" in dutch
            assert "Herstel de schijf of de map" in dutch
            folder.unlink()
            await one.post("/act", do=found[1], csrf=await one.csrf())
            await until(lambda: it.delivered() == it.held())


async def test_readers_are_bounded_and_one_who_does_not_read_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_READERS", 2)
    monkeypatch.setattr(views, "SLOW", 0.2)
    async with trial(tmp_path, documents=3) as it, visiting(watched(it.config())) as visitor:
        await visitor.until_ready()
        url = f"http://127.0.0.1:{visitor.port}/live"
        async with visitor._session.get(url) as first, visitor._session.get(url) as second:
            line = await first.content.readline()
            assert line == b"event: update\n"
            async with visitor._session.get(url) as third:
                assert third.status == 503
            site_ = visitor.service.monitor.site
            assert site_ is not None
            assert site_._live.readers == 2
            second.close()
            await until(lambda: site_._live.readers == 1)
        await until(lambda: site_._live.readers == 0)


async def test_a_quarantined_document_is_put_into_a_folder_by_hand(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=6, companies=2) as it:
        config = watched(it.config(), interval=600)
        stranger, *others = config.companies
        # What its mailbox holds is of another company than the one that is configured.
        changed = structs.replace(stranger, identifier="BE0403170701", accounts=())
        config = structs.replace(config, companies=(changed, *others))
        ledger = config.service.state_dir / "ledger.sqlite"
        async with visiting(config) as visitor, person(visitor) as one:
            await one.get("/open?" + str(visitor.service.monitor.invite("Ann")).partition("?")[2])
            await until(lambda: len(it.journal()) == len(it.mailbox))
            key = next(row.key for row in find(ledger, "invoice") if row.state == "quarantined")
            fields = {"source": key.source, "id": key.id, "revision": key.revision}
            page = unescape((await one.get(f"/document?{urlencode(fields)}", "fr"))[1])
            assert "Aucune des parties n'est une société configurée" in page
            assert "Ajoutez la société à [[companies]]" in page
            fields |= {"csrf": await one.csrf(), "kind": "purchase"}
            _, said = await one.post("/act", do="assign", company="nobody", reason="x", **fields)
            assert "no company is called so" in said
            _, said = await one.post("/act", do="assign", company=others[0].name, **fields)
            assert "reason" in said
            before = it.delivered().total()
            why = {"company": others[0].name, "reason": "Ann's <b>knows</b> it"}
            _, said = await one.post("/act", do="assign", **why, **fields)
            await until(lambda: it.delivered().total() == before + 1)
            told = story(ledger, key)
            assert told is not None
            assert told.actions[0].reason == why["reason"]
            text = (await one.get(f"/document?{urlencode(fields)}"))[1]
            assert "Ann&#39;s &lt;b&gt;knows&lt;/b&gt; it" in text
