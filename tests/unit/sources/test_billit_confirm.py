"""Confirmations: for all that is safe, and one that is refused counts only if the list agrees."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from msgspec import json

from pipeline.errors import SourceError, SourceUnavailable
from pipeline.source import Outcome
from tests.helpers.billit import (
    Billit,
    billit,
    configure,
    entries,
    feed_item,
    inbox_item,
    opened,
)

pytestmark = pytest.mark.anyio

REFUSALS = [400, 404, 409]


def refuse(it: Billit, status: int, *, begin: str = "POST") -> None:
    said = {"errors": [{"Code": "BadRequest", "Description": "Already confirmed"}]}
    it.instead[begin] = lambda _: web.json_response(said, status=status)


async def test_what_is_safe_is_confirmed_and_what_could_not_be_fetched_is_not(
    tmp_path: Path,
) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(number) for number in range(1, 4)]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            one, two, three = [entry.id for entry in await entries(source, config)]
            outcomes = [
                Outcome(one, accepted=True),
                Outcome(two, accepted=False, reason="damaged", kept=True),
                Outcome(three, accepted=False, reason="gone", kept=False),
            ]
            assert await source.acknowledge(outcomes) == [one, two]
        assert it.confirmed == ["1", "2"]
        method, path, headers = it.said("confirm")[0]
        assert (method, path) == ("POST", "peppol/inbox/1/confirm")
        assert headers["Content-Length"] == "0"
        assert headers["PartyID"] == "11"
        assert not it.said("refuse")


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_second_confirmation_counts_if_the_list_shows_it_no_more(
    tmp_path: Path, status: int
) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1), inbox_item(2)]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            one, two = [entry.id for entry in await entries(source, config)]
            refuse(it, status)
            del it.inbox[0]
            assert await source.acknowledge([Outcome(one, True), Outcome(two, True)]) == [one]


@pytest.mark.parametrize("status", REFUSALS)
async def test_it_counts_also_for_a_process_that_has_listed_nothing(
    tmp_path: Path, status: int
) -> None:
    for door, id_ in (("inbox", "inbox/11/1//file-1"), ("feeds", "feeds/11/1")):
        async with billit() as it:
            refuse(it, status)
            config = configure(tmp_path, it, door=door, list_pause="1h")
            async with opened(config) as source:
                assert await source.acknowledge([Outcome(id_, True)]) == [id_]
                assert await entries(source, config) == []
            assert len(it.said("GET accountant/feeds/f")) == (door == "feeds")


async def test_at_a_feed_the_next_list_decides(tmp_path: Path) -> None:
    """It can't be asked for again within the minute."""
    async with billit() as it:
        it.feed = [feed_item(1), feed_item(2)]
        config = configure(tmp_path, it, door="feeds", list_pause="1h")
        async with opened(config) as source:
            one, two = [entry.id for entry in await entries(source, config)]
            refuse(it, 404)
            outcomes = [Outcome(one, True), Outcome(two, True)]
            assert await source.acknowledge(outcomes) == []
            assert await source.acknowledge(outcomes) == []
            assert len(it.said("GET accountant/feeds/f")) == 1
            source._door._pause = 0.0  # type: ignore[attr-defined]
            del it.feed[0]
            assert await source.acknowledge(outcomes) == [one]


async def test_a_failure_is_no_confirmation(tmp_path: Path) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1)]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            it.inbox.clear()
            refuse(it, 500)
            with pytest.raises(SourceUnavailable):
                await source.acknowledge([Outcome(entry.id, True)])
            refuse(it, 403)
            with pytest.raises(SourceError, match="Already confirmed"):
                await source.acknowledge([Outcome(entry.id, True)])


async def test_a_feed_is_told_where_a_document_went(tmp_path: Path) -> None:
    async with billit() as it:
        bodies: list[bytes] = []

        async def confirm(request: web.Request) -> web.Response:
            bodies.append(await request.read())
            return web.Response()

        it.feed = [feed_item(1)]
        it.instead["POST"] = confirm
        for more in ({}, {"remote_server": "srv"}):
            config = configure(tmp_path, it, door="feeds", **more)
            async with opened(config) as source:
                (entry,) = await entries(source, config)
                await source.acknowledge([Outcome(entry.id, True)])
        assert [json.decode(body) for body in bodies] == [{}, {"RemoteServerName": "srv"}]
        assert it.said("confirm")[0][1] == "accountant/feeds/f/1/confirm"


async def test_an_id_is_a_part_of_the_address_and_no_more(tmp_path: Path) -> None:
    async with billit() as it:
        it.inbox = [inbox_item("../x?y#z", PeppolFileID="a/b?c")]  # type: ignore[arg-type]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            await source.acknowledge([Outcome(entry.id, True)])
            with pytest.raises(Exception, match="404"):
                async with source.fetch(entry):
                    pass
            with pytest.raises(SourceError, match="none of this connector's"):
                await source.acknowledge([Outcome("purchase/1", True)])
        assert it.said("confirm")[0][1] == "peppol/inbox/..%2Fx%3Fy%23z/confirm"
        assert it.said("GET files")[0][1] == "files/a%2Fb%3Fc"
