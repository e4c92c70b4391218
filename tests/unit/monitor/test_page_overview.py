"""What is wrong is told the worst first, and the broken one of 500 companies is on top."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.health.model import DestinationHealth, SourceHealth, Trouble
from pipeline.monitor.page import overview
from pipeline.monitor.page.languages import languages
from pipeline.monitor.page.model import Overview
from pipeline.monitor.page.rendering import FIRST_COMPANIES, renderers
from pipeline.monitor.page.tally import DAY, Tally
from tests.helpers.page_world import NOW, World, overviewer

pytestmark = pytest.mark.anyio

SAY = languages()["en"].say


async def made(world: World) -> Overview:
    async with overviewer(world) as one:
        return (await one.make())[0]


async def test_all_is_well(tmp_path: Path) -> None:
    it = await made(World(tmp_path))
    assert (it.items, it.well, it.began) == ((), 3, True)
    for renderer in renderers().values():
        text = renderer.sections(it, acts=False)
        assert 'class="state ok"' in text["state"]
        assert not text["attention"].strip()


async def test_the_broken_one_of_500_is_on_the_first_screen(tmp_path: Path) -> None:
    world = World(tmp_path, 500)
    world.destinations = [DestinationHealth("/out/437", Trouble(NOW - 60, "no <b>room</b>", "Do"))]
    it = await made(world)
    assert it.companies[0].name == "Company 437"
    assert it.companies[0].level == "bad"
    assert it.well == 499
    assert [SAY(one.what) for one in it.items] == [
        "A folder takes no documents: Company 437 (/out/437)"
    ]
    text = "".join(renderers()["en"].sections(it, acts=True).values())
    assert "Company 437" in text
    assert "No &lt;b&gt;room&lt;/b&gt;. Since" in text
    assert text.count('scope="row"') == FIRST_COMPANIES
    assert "All 500 companies" in text


async def test_what_fails_for_one_reason_is_one_thing_and_the_worst_comes_first(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, 40)
    world.sources = [
        SourceHealth(
            "box", NOW, Trouble(NOW - 60, "the source answered 503", "It will be retried")
        ),
        SourceHealth("sftp", NOW, paused_since=NOW - 90, paused_by="jan"),
    ]
    world.destinations = [
        DestinationHealth(f"/out/{number:03}", Trouble(NOW - number, "the system says: gone"))
        for number in range(12)
    ]
    for number in range(7):
        why = f"invoice q{number}: it has {number},000 bytes. Raise it."
        world.document(f"q{number}", "BE001", "quarantined", why)
        world.document(f"w{number}", "", "waiting", f"invoice w{number}: it waits for x{number}.")
    it = await made(world)
    assert [SAY(one.what) for one in it.items] == [
        "box can't be read",
        "12 folders take no documents",
        "7 documents can't be delivered",
        "7 documents wait",
        "sftp is not polled: somebody has paused it",
    ]
    first, folders, quarantined, _, paused = it.items
    assert SAY(first.effect) == "20 companies get nothing until then"
    assert [one.do for one in first.buttons] == ["poll?source=box"]
    assert len(folders.details) == 8
    assert SAY(quarantined.remedy) == "Raise it"
    assert [one.do for one in paused.buttons] == ["resume?source=sftp"]
    assert SAY(paused.why) == "paused by jan"
    assert [one.level for one in it.sources] == ["bad", "warn"]
    # Each has an id of its own, and the same one when it is made again.
    text = "".join(renderers()["nl"].sections(it, acts=True).values())
    ids = [part.split('"')[0] for part in text.split(' id="')[1:]]
    assert len(set(ids)) == len(ids)
    assert [one.id for one in (await made(world)).items] == [one.id for one in it.items]


async def test_a_company_that_usually_gets_documents_and_got_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    for days in range(30, 90, 2):
        world.document(f"d{days}", "BE001", "delivered", at=NOW - days * DAY)
        world.document(f"e{days}", "BE002", "delivered", at=NOW - days * DAY)
    world.document("today", "BE002", "delivered", at=NOW - 60)
    tally = Tally()
    async with overviewer(world, tally) as one:
        it = (await one.make())[0]
        assert [SAY(one.what) for one in it.items] == ["Company 001 gets no documents"]
        assert [one.name for one in it.companies if one.level != "ok"] == ["Company 001"]
        # What was delivered before is known without having been told.
        rows = {row.name: row for row in it.companies}
        assert rows["Company 002"].last == pytest.approx(NOW - 60)
        assert rows["Company 001"].last == pytest.approx(NOW - 30 * DAY)
        assert rows["Company 000"].last is None
        # It is over with the next document.
        tally._add("BE001", "sales", time.time(), 1)
        assert not (await one.make())[0].items
        # Where its source fails, that is told alone.
    world.sources[0] = SourceHealth("box", NOW, Trouble(NOW, "it is gone"))
    assert [SAY(one.tag) for one in (await made(world)).items] == ["source fails"]


async def test_a_sign_in_that_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.alerts.rhythms.UNRENEWED", -1.0)
    world = World(tmp_path)
    world.sources[0] = SourceHealth("box", NOW, sign_in_ends_at=NOW + 2 * DAY)
    it = await made(world)
    assert [(SAY(one.what), one.level) for one in it.items] == [
        ("The sign-in of box ends soon", "bad")
    ]
    assert SAY(it.items[0].remedy) == "Sign in again on the server: synqup sign-in box"


async def test_a_ledger_that_can_not_be_read_hides_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.connection.close()
    world.ledger.write_bytes(b"no ledger" * 1000)
    world.sources[0] = SourceHealth("box", NOW, Trouble(NOW, "it is gone"))
    assert [SAY(one.tag) for one in (await made(world)).items] == ["source fails"]


async def test_there_may_be_any_number_of_things(tmp_path: Path) -> None:
    world = World(tmp_path, 400)
    world.destinations = [
        DestinationHealth(f"/out/{number:03}", Trouble(NOW, "odd " + "i" * number))
        for number in range(200)
    ]
    it = await made(world)
    assert len(it.items) == overview.MAX_ITEMS
    assert it.more == 200 - overview.MAX_ITEMS
    text = renderers()["en"].sections(it, acts=True)
    assert "200 things need your attention" in text["state"]
    assert "Show 192 more" in text["attention"]
