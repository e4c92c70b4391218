"""What the page answers to forms: to wrong ones, and what has come of an action."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from msgspec import structs

from pipeline.ledger.search import find
from pipeline.monitor.page import acting, live, overview
from tests.helpers.services import until, visiting, watched
from tests.helpers.trial import trial
from tests.helpers.visitors import OPERATOR, guarded, person

pytestmark = pytest.mark.anyio


async def test_the_page_after_an_action_shows_what_has_come_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever an overview is good for otherwise.
    monkeypatch.setattr(live, "INTERVAL", 600.0)
    monkeypatch.setattr(overview, "UNDELIVERED_AGE", 600.0)
    async with trial(tmp_path, documents=6, companies=2) as it:
        config = watched(it.config(), guarded(tmp_path), interval=600)
        stranger, *others = config.companies
        # What its mailbox holds is of another company than the one that is configured.
        changed = structs.replace(stranger, identifier="BE0403170701", accounts=())
        config = structs.replace(config, companies=(changed, *others))
        async with visiting(config) as visitor, person(visitor) as one:
            await until(lambda: len(it.journal()) == len(it.mailbox))
            await one.post("/sign-in", token=OPERATOR)
            csrf = await one.csrf()
            assert 'value="pause?' in (await one.get("/"))[1]
            assert "paused" in (await one.post("/act", do="pause?source=billtobox", csrf=csrf))[1]
            page = (await one.get("/"))[1]
            assert 'value="resume?' in page
            assert 'value="pause?' not in page
            await one.post("/act", do="resume?source=billtobox", csrf=csrf)
            page = (await one.get("/"))[1]
            assert 'value="pause?' in page
            assert "paused" not in page.partition('id="companies"')[0]
            # Each sentence ends once, also where it ends with those of another part.
            group = re.search(r'value="(retry\?group=\w+)"', page)
            assert group is not None
            said = unescape((await one.post("/act", do=group[1], csrf=csrf))[1])
            assert said.endswith(".")
            assert ".." not in said


async def test_one_that_can_not_be_delivered_again_says_why_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "WAIT", 1.0)
    (tmp_path / "file").write_text("no folder")
    async with (
        trial(tmp_path, documents=3) as it,
        visiting(watched(it.config(), guarded(tmp_path), interval=600)) as visitor,
        person(visitor) as one,
    ):
        await until(lambda: it.delivered() == it.held())
        await one.post("/sign-in", token=OPERATOR)
        found = find(it.config().service.state_dir / "ledger.sqlite", "invoice")[0]
        key = {"source": found.key.source, "id": found.key.id, "revision": found.key.revision}
        csrf, into = await one.csrf(), str(tmp_path / "file" / "books")
        _, said = await one.post("/act", do="redeliver", csrf=csrf, into=into, **key)
        assert said.startswith("1 document waits: ")
        assert str(tmp_path / "file") in said
        page = unescape((await one.get(f"/document?{urlencode(key)}", "nl"))[1])
        assert str(tmp_path / "file") in page.partition("onderweg · ")[2]
        assert it.delivered() == it.held()


@pytest.mark.parametrize("path", ["/sign-in", "/act", "/sign-out"])
async def test_what_is_no_form_of_the_page_is_refused(tmp_path: Path, path: str) -> None:
    boundary = "multipart/form-data; boundary=x"
    async with (
        trial(tmp_path, documents=1) as it,
        visiting(watched(it.config(), guarded(tmp_path), interval=600)) as visitor,
        person(visitor) as one,
    ):
        await one.post("/sign-in", token=OPERATOR)
        for kind, body in (
            (boundary, b"garbage"),
            (boundary, b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n\xff\r\n--x--'),
            ("application/x-www-form-urlencoded; charset=nonsense", b"token=x"),
            ("application/x-www-form-urlencoded; charset=utf-8", b"token=%ff%00\xff"),
            ("application/json", b"{}"),
            ("text/plain", b"token=x"),
        ):
            headers = {"Origin": one.origin, "Content-Type": kind}
            url = one.origin + path
            async with one._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                assert answer.status in (303, 400, 415), (kind, body)
