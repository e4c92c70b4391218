"""Billit's accountant feeds on loopback: registered on demand, read once a minute, confirmed."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.errors import SourceError, SourceUnavailable
from pipeline.source import Outcome
from stages.checksums import checkable
from tests.helpers.billit import (
    ONE,
    THREE,
    TWO,
    billit,
    configure,
    entries,
    feed_item,
    opened,
)

pytestmark = pytest.mark.anyio

BOTH: dict[str, str | None] = {ONE: "11", TWO: "22"}


async def test_a_feed_tells_whose_its_documents_are_and_others_are_left_there(
    tmp_path: Path,
) -> None:
    async with billit() as it:
        it.feed = [
            feed_item(1, 11),
            feed_item(2, "22", "Document"),
            feed_item(3, 33),
            {"EntityType": "Order"},
            {"FeedItemID": 4, "PartyID": None},
        ]
        config = configure(tmp_path, it, BOTH, door="feeds")
        async with opened(config) as source:
            found = await entries(source, config)
            assert source.traits.pause == 0
        assert [(one.id, one.meta.company) for one in found] == [
            ("feeds/11/1", ONE),
            ("feeds/22/2", TWO),
        ]
        assert found[1].label == "feed document 2 of party 22"
        assert sum(one.items for one in source.unreadable) == 1


async def test_where_a_company_has_no_party_the_content_tells(tmp_path: Path) -> None:
    async with billit() as it:
        it.feed = [feed_item(1, 11), feed_item(3, 33)]
        config = configure(tmp_path, it, {ONE: "11", TWO: None}, door="feeds")
        async with opened(config) as source:
            found = await entries(source, config)
        assert [one.meta.company for one in found] == [ONE, None]


async def test_a_feed_that_is_not_there_is_registered_only_if_it_is_to_be(tmp_path: Path) -> None:
    async with billit() as it:
        it.feeds = ["other"]
        it.companies = [{"PartyID": 11, "Name": "Bakkerij", "VATNumber": ONE}]
        config = configure(tmp_path, it, door="feeds")
        async with opened(config) as source:
            for ask in (entries(source, config), source.check(config)):
                with pytest.raises(SourceError, match='there is no feed "f"') as told:
                    await ask
                assert "register_feed = true" in told.value.remedy
        assert not it.said("POST")
        config = configure(tmp_path, it, door="feeds", register_feed=True)
        it.instead["POST accountant/feeds"] = lambda _: _registered(it.feeds)
        async with opened(config) as source:
            assert "will be registered" in await source.check(config)
            await entries(source, config)
            await entries(source, config)
            assert "is registered" in await source.check(config)
        assert len(it.said("POST accountant/feeds")) == 1
        assert not it.said("DELETE")


def _registered(feeds: list[str]) -> web.Response:
    feeds.append("f")
    return web.Response()


async def test_a_feed_is_read_once_in_its_pause(tmp_path: Path) -> None:
    async with billit() as it:
        it.feed = [feed_item(1), feed_item(2)]
        config = configure(tmp_path, it, door="feeds", list_pause="1h")
        async with opened(config) as source:
            assert source.traits.pause == 3600
            first, _ = await entries(source, config)
            it.feed.append(feed_item(3))
            assert await source.acknowledge([Outcome(first.id, True)]) == [first.id]
            assert [one.meta.id for one in await entries(source, config)] == ["2"]
        assert len(it.said("GET accountant/feeds/f")) == 1


async def test_too_many_requests_are_waited_for(tmp_path: Path) -> None:
    async with billit() as it:
        told: list[None] = []

        def busy(_: web.Request) -> web.Response:
            told.append(None)
            if len(told) == 1:
                return web.json_response({}, status=429, headers={"Retry-After": "0.1"})
            return web.json_response([feed_item(1)])

        it.instead["GET accountant/feeds/f"] = busy
        config = configure(tmp_path, it, door="feeds", attempts=2)
        async with opened(config) as source:
            assert len(await entries(source, config)) == 1


async def test_where_no_pause_is_asked_for_it_is_the_minute(tmp_path: Path) -> None:
    async with billit() as it:
        said = {"ErrorMessage": "Only query this once per minute"}
        it.instead["GET accountant/feeds/f"] = lambda _: web.json_response(said, status=429)
        config = configure(tmp_path, it, door="feeds", list_pause="5m")
        async with opened(config) as source:
            with pytest.raises(SourceUnavailable, match="once per minute") as told:
                await entries(source, config)
        assert told.value.retry_after == 300


DATA = b"<a/>"
DIGEST = sha256(DATA).digest()


@pytest.mark.parametrize(
    ("stated", "digest"),
    [
        (DIGEST.hex(), DIGEST),
        (DIGEST.hex().upper(), DIGEST),
        (b64encode(DIGEST).decode(), DIGEST),
        (b64encode(DIGEST).decode().rstrip("="), DIGEST),
        (f"sha256:{DIGEST.hex()}", DIGEST),
        (sha256(b"other").hexdigest(), sha256(b"other").digest()),
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_the_hash_of_the_answer_is_read_in_either_spelling(
    tmp_path: Path, stated: str, digest: bytes, first: bool
) -> None:
    async with billit() as it:
        it.feed = [feed_item(1)]
        both = {"FileContentSHA256Hash": stated, "FileContent": b64encode(DATA).decode()}
        it.files["1"] = both if first else dict(reversed(both.items()))
        config = configure(tmp_path, it, door="feeds")
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            async with source.fetch(entry) as incoming:
                assert b"".join([piece async for piece in incoming.chunks]) == DATA
                (found,) = checkable(incoming.announced.checksums).checksums
        assert (found.algorithm, found.digest) == ("sha-256", digest)
        assert it.said("GET accountant/feeds/f/1")[0][2]["ContextPartyID"] == "11"


@pytest.mark.parametrize("stated", [None, "", " ", 7, ["x"]])
async def test_without_a_hash_there_is_none(tmp_path: Path, stated: object) -> None:
    async with billit() as it:
        it.feed = [feed_item(1)]
        it.files["1"] = {"FileContent": "QQ==", "FileContentSHA256Hash": stated}
        config = configure(tmp_path, it, door="feeds")
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            async with source.fetch(entry) as incoming:
                assert [piece async for piece in incoming.chunks] == [b"A"]
                assert not incoming.announced.checksums


async def test_check_tells_which_companies_are_configured(tmp_path: Path) -> None:
    async with billit() as it:
        it.companies = [
            {"PartyID": 11, "Name": "Bakkerij", "VATNumber": ONE},
            {"PartyID": 33, "Name": "Garage", "VATNumber": THREE},
        ]
        config = configure(tmp_path, it, door="feeds")
        async with opened(config) as source:
            said = await source.check(config)
        assert "the platform knows 2 companies, 1 of them is configured" in said
        assert "not in [[companies]]: Garage (33)" in said
        config = configure(tmp_path, it, BOTH, door="feeds")
        async with opened(config) as source:
            with pytest.raises(SourceError, match=f"no access to {TWO}") as told:
                await source.check(config)
        assert "Correct platform_id" in told.value.remedy
