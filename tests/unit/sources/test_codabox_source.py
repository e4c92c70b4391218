"""The connector of CodaBox against its sandbox, and a server that says what that never would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.app.wiring import load_config
from pipeline.errors import ConfigurationError, Rejected, SourceError
from pipeline.source import Entry, Outcome
from pipeline.traits import Acknowledging
from stages.model import ByHand, Listed
from stages.sandbox import FaultSpec
from stages.sources.codabox.client import TooEarly
from stages.sources.codabox.source import SOON, CodaBoxSource
from tests.helpers.codabox import HOURS, CodaBoxWorld, codabox, feed_of
from tests.helpers.serving import serving

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(it: CodaBoxWorld) -> AsyncIterator[CodaBoxSource]:
    config = it.config()
    source = CodaBoxSource(config.sources[0], config.service.state_dir)  # type: ignore[arg-type]
    try:
        yield source
    finally:
        await source.close()


async def walked(source: CodaBoxSource, it: CodaBoxWorld) -> list[Entry]:
    return [entry async for page in source.list(it.config()) for entry in page]


async def test_entries_say_what_the_feed_says(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it, opened(it) as source:
        entries = await walked(source, it)
        documents = {document.id: document for document in it.mailbox}
        assert len(entries) == len(documents) == 30
        for entry in entries:
            document = documents[entry.meta.id]
            assert entry.meta.company == document.company.identifier
            assert entry.meta.kind is document.kind
            assert document.company.accounting_file_id in entry.lane
            assert entry.forms is not None
            first = "cod" if document.kind == "statement" else "xml"
            assert entry.forms[0].name == entry.meta.formats[0] == first
        statement = next(one for one in entries if one.meta.kind == "statement")
        assert statement.label.startswith("coda ")
        assert " of BE" in statement.label


async def test_a_walk_is_soon_while_something_waits_and_else_after_the_delay(
    tmp_path: Path,
) -> None:
    async with codabox(tmp_path) as it, opened(it) as source:
        assert source.traits.acknowledges is Acknowledging.OFFSET
        assert 0 < source.traits.pause <= SOON
        entries = await walked(source, it)
        assert source.traits.pause == SOON
        assert source.backlog() == 30
        for feed in range(3):
            last = [one for one in entries if one.id.startswith(f"{feed_of(feed)}/")][-1]
            assert await source.acknowledge([Outcome(last.id, True)]) == [last.id]
        assert source.traits.pause == HOURS
        assert await walked(source, it) == []
        assert (it.wire.lists, it.wire.early) == (3, 0)


async def test_a_walk_of_another_process_shows_the_same_without_a_request(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        async with opened(it) as source:
            before = await walked(source, it)
        async with opened(it) as source:
            assert [one.id for one in await walked(source, it)] == [one.id for one in before]
        assert it.wire.lists == 3


@pytest.mark.parametrize("by_hand", [False, True])
async def test_what_is_asked_for_by_its_id_comes_in_the_first_form_that_is_wanted(
    tmp_path: Path, by_hand: bool
) -> None:
    """As when it is delivered again, or read: no feed shows it any more."""
    async with codabox(tmp_path) as it, opened(it) as source:
        config = it.config()
        documents = {document.id: document for document in it.mailbox}
        for entry in await walked(source, it):
            document, kind = documents[entry.meta.id], entry.meta.kind
            decided = ByHand(config.companies[0], kind, "again") if by_hand else None
            listed = Listed(config, id=document.id, kind=None if by_hand else kind, by_hand=decided)
            bare = Entry(entry.id, "", entry.label, listed)
            async with source.fetch(bare) as incoming:
                content = b"".join([chunk async for chunk in incoming.chunks])
            assert content == document.read()


async def test_an_offset_may_be_sent_twice(tmp_path: Path) -> None:
    async with codabox(tmp_path, companies=1) as it, opened(it) as source:
        entries = await walked(source, it)
        for number in (3, 3):
            outcome = Outcome(entries[number].id, True)
            assert await source.acknowledge([outcome]) == [outcome.id]
        # One before it: the platform refuses it, and its next list shows that it has it.
        earlier = Outcome(entries[1].id, True)
        assert await source.acknowledge([earlier]) == []
        assert await source.acknowledge([Outcome(entries[5].id, False, "why", kept=False)]) == []
        assert it.wire.offsets[feed_of(0)] == [entries[3].meta.id] * 2


async def test_a_check_compares_the_companies_and_asks_for_no_feed(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        code = it.mailbox.companies[1].accounting_file_id
        it.edit(f'"{code}"', '"OTHER"')
        async with opened(it) as source:
            said = await source.check(it.config())
        assert "the platform knows 3 companies, 2 of them are configured" in said
        assert (
            f"left alone, as they are not in [[companies]]: {it.mailbox.companies[1].name}" in said
        )
        assert f"configured, and not known there: {it.mailbox.companies[1].name}" in said
        assert "every 7,200 s" in said
        assert it.wire.lists == 0


async def test_companies_have_the_numbers_of_the_clients(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it, opened(it) as source:
        found = await source.companies()
        assert [(one.name, one.identifier, one.file_number) for one in found] == [
            (one.name, one.identifier, one.accounting_file_id) for one in it.mailbox.companies
        ]


async def test_no_offset_reaches_what_lies_behind_an_entry_that_cant_be_read(
    tmp_path: Path,
) -> None:
    """It is delivered all the same, and said."""
    async with codabox(tmp_path, FaultSpec("odd-item", each=1), companies=2) as it:
        result = await it.bring()
        assert result.counters.delivered == 30
        assert result.unreadable == {"codabox": 2}
        assert not any(it.wire.offsets.values())
        it.pass_time()
        assert not (await it.bring()).failures
        assert len(it.wire.offsets) == 2


async def test_a_form_that_the_model_has_not_is_not_asked_for(tmp_path: Path) -> None:
    async with codabox(tmp_path, companies=1) as it, opened(it) as source:
        invoice = next(one for one in await walked(source, it) if one.meta.kind == "purchase")
        async with source.fetch(invoice, "pdf") as incoming:
            assert incoming.announced.media_type == "application/pdf"
        with pytest.raises(Rejected, match="has no html of such documents"):
            source.fetch(invoice, "html")


async def test_secrets_of_which_one_lacks_are_said(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        it.edit('username = "sandbox-7"', "")
        with pytest.raises(ConfigurationError, match=r"username \(codabox\): this is missing, and"):
            it.config()
        it.edit("password = {", "vat = 'BE0403170702'\n# {")
        with pytest.raises(ConfigurationError, match="vat"):
            it.config()


class Server:
    """A CodaBox whose answers a test controls: by path, without the slash."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "delivery/pod-client": {
                "fetch_delay": 600,
                "allowed_formats": {"coda": ["cod"], "novelty": ["zap"]},
                "feed_clients": [
                    {"id": 1, "client_code": "A1", "client_name": "Alfa"},
                    {"id": 2, "client_code": "B2", "client_name": "Beta"},
                    {"id": 3, "client_code": None, "client_name": None},
                ],
            }
        }
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/v2/").strip("/")
        self.asked.append(f"{request.method} {path}")
        said = self.answers.get(path, 404)
        if isinstance(said, int):
            return web.json_response({"detail": "No."}, status=said)
        if isinstance(said, bytes):
            return web.Response(body=said)
        return web.json_response(said)


def feed(*entries: tuple[str, str]) -> dict[str, Any]:
    return {"feed_entries": [{"feed_index": i, "document_model": m} for i, m in entries]}


CONFIG = """
[service]
state_dir = "state"
[delivery]
purchases = "out/[enterprise_identifier]"
sales = "out/[enterprise_identifier]"
statements = "out/[enterprise_identifier]"
[[sources]]
name = "box"
kind = "codabox"
url = "URLv2"
software_company = { file = "secret" }
username = "us"
password = { file = "secret" }
attempts = 1
[[companies]]
name = "Alfa"
identifier = "BE0403170701"
accounting_file_id = "a1"
source = "box"
[[companies]]
name = "Beta"
identifier = "BE0404616494"
accounting_file_id = "beta"
source = "box"
platform_id = "2"
"""


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Server, CodaBoxSource, Any]]:
    server = Server()
    async with serving(server.answer) as url:
        (folder / "secret").write_text("s3cret")
        (folder / "synqup.toml").write_text(CONFIG.replace("URL", str(url)))
        config = load_config(folder / "synqup.toml")
        source = CodaBoxSource(config.sources[0], config.service.state_dir)  # type: ignore[arg-type]
        yield server, source, config
        await source.close()


async def ids_and_error(source: CodaBoxSource, config: Any) -> tuple[list[str], Exception | None]:
    found: list[str] = []
    try:
        async for page in source.list(config):
            found += [entry.id for entry in page]
    except SourceError as error:
        return found, error
    except TooEarly as error:
        return found, error
    return found, None


@pytest.mark.parametrize("status", [404, 403, 400])
async def test_one_feed_that_is_refused_keeps_no_other_from_being_read(
    tmp_path: Path, status: int
) -> None:
    """A client has left the firm's account, or its right was taken back."""
    async with served(tmp_path) as (server, source, config):
        server.answers["delivery/feed/1"] = status
        server.answers["delivery/feed/2"] = feed(("x", "coda"))
        found, error = await ids_and_error(source, config)
        assert found == ["2/x"]
        assert "feed of Alfa (A1)" in str(error)
        # It is not made to rest: the next poll asks again.
        server.answers["delivery/feed/1"] = feed(("y", "coda"))
        assert (await ids_and_error(source, config)) == (["1/y", "2/x"], None)
        assert server.asked.count("GET delivery/feed/2") == 1
        assert "GET delivery/feed/3" not in server.asked


async def test_what_is_no_feed_is_no_empty_feed(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, source, config):
        server.answers["delivery/feed/2"] = feed()
        for body in (b"{}", b"[]", b"OK", b'{"feed_entries": null}x'):
            server.answers["delivery/feed/1"] = body
            _, error = await ids_and_error(source, config)
            assert "is no list of documents but begins with" in str(error)
            # The platform has counted it.
            asked = len(server.asked)
            found, error = await ids_and_error(source, config)
            assert found == []
            assert "It may be asked for again in 60" in str(error)
            assert server.asked[asked:] == []
            for file in (tmp_path / "state").rglob("feed-1.json"):
                file.unlink()


async def test_another_429_is_obeyed_over_the_end_of_the_process(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, source, config):
        server.answers["delivery/feed/1"] = 429
        found, error = await ids_and_error(source, config)
        assert (found, type(error)) == ([], TooEarly)
        assert "GET delivery/feed/2" not in server.asked
        assert isinstance(error, TooEarly)
        assert error.retry_after == 600
        again = CodaBoxSource(source.settings, config.service.state_dir)
        server.answers["delivery/feed/2"] = feed(("x", "coda"))
        found, error = await ids_and_error(again, config)
        assert found == ["2/x"]
        assert "asked too early (429)" in str(error)
        assert "It may be asked for again in 60" in str(error)
        assert server.asked.count("GET delivery/feed/1") == 1
        await again.close()


async def test_formats_that_nobody_knows_are_asked_for_as_the_account_says(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, source, config):
        server.answers["delivery/feed/1"] = feed(("n", "novelty"), ("u", "unheard"), ("e", ""))
        server.answers["delivery/feed/2"] = feed()
        server.answers["delivery/download/n/zap"] = b"zap"
        server.answers["delivery/download/u/pdf"] = b"%PDF-"
        entries = [entry async for page in source.list(config) for entry in page]
        read = []
        for entry in entries[:2]:
            async with source.fetch(entry) as incoming:
                read.append(b"".join([chunk async for chunk in incoming.chunks]))
        assert read == [b"zap", b"%PDF-"]
        with pytest.raises(Rejected, match="does not have it as xml, pdf, cod"):
            async with source.fetch(entries[2]):
                pass
        assert "GET delivery/download/u/xml" in server.asked


async def test_an_account_without_clients_is_no_account(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, source, config):
        server.answers["delivery/pod-client"] = {"detail": "hello"}
        with pytest.raises(SourceError, match="does not say whose documents there are"):
            await ids_and_error_raising(source, config)


async def ids_and_error_raising(source: CodaBoxSource, config: Any) -> None:
    async for _ in source.list(config):
        pass
