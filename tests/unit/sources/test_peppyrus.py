"""Peppyrus on loopback: pages that hold whole documents, and shrink while they are walked."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.errors import ConfigurationError, Corrupt, PartFailed, Rejected, SourceError
from pipeline.source import Outcome
from stages.kind import Kind
from stages.sandbox import Mailbox
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.peppyrus.api import MessagePage, read_numbers, read_page
from tests.helpers.inboxes import Answer, entries, entries_and_failure, inbox, opened, read

pytestmark = pytest.mark.anyio

TYPE = "busdox-docid-qns::urn:oasis:names:specification:ubl:schema:xsd:Invoice-2::Invoice##x"


def message(id_: object, recipient: object = "0208:0403170701", **more: object) -> dict[str, Any]:
    given = {"id": id_, "direction": "IN", "folder": "INBOX", "recipient": recipient}
    return {**given, "documentType": TYPE, "confirmed": False, **more}


def test_what_a_page_says_is_read() -> None:
    items = [
        message("a", sender="0208:0712345630"),
        message(7, documentType="peppol-doctype-wildcard::…CreditNote-2::CreditNote##…"),
        message("c", documentType=None, recipient=[]),
        message("d", confirmed=True),
        message("e", direction="OUT"),
        message(".."),
    ]
    body = json.dumps({"items": items, "meta": {"pages": "3", "currentPage": 1, "itemCount": 57}})
    page = read_page(body.encode())
    assert [
        one if isinstance(one, str) else (one.id, one.name, one.kind) for one in page.items
    ] == [
        ("a", "invoice", Kind.PURCHASE),
        ("7", "credit note", Kind.PURCHASE),
        ("c", "document", None),
        "it has no id of use",
    ]
    assert (page.all, page.pages, page.total) == (6, 3, 57)
    for bare in (b"", b"[]", b'{"items": null}', b'{"items": [], "meta": 7}'):
        assert read_page(bare) == MessagePage([], 0)


@pytest.mark.parametrize("size", [1, 3, 25, 100])
@pytest.mark.parametrize("meta", [True, False])
async def test_all_pages_are_walked(tmp_path: Path, size: int, meta: bool) -> None:
    lines = f"page_size = {size}\n"
    async with inbox(tmp_path, "peppyrus", Mailbox(40, 1, seed=5), source=lines, meta=meta) as it:
        config = it.config()
        async with opened(config) as source:
            found = await entries(source, config)
            assert Counter(one.meta.id for one in found) == Counter(
                one.id for one in peppol.waiting(it.mailbox)
            )
            assert source.backlog() == len(found)
        number = it.mailbox.companies[0].identifier
        assert {one.id for one in found} == {f"{number}/{one.meta.id}" for one in found}
        (first, *_) = it.said("GET /message/list")
        assert first == f"GET /message/list?folder=INBOX&confirmed=false&page=1&perPage={size}"


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_none_is_skipped_while_messages_leave(tmp_path: Path, order: str) -> None:
    """Each page is confirmed as soon as it has been read; what is read later has moved up."""
    mailbox = Mailbox(300, 1, seed=5)
    async with inbox(tmp_path, "peppyrus", mailbox, source="page_size = 7\n", order=order) as it:
        config = it.config()
        waiting = {one.id for one in peppol.waiting(mailbox)}
        assert len(waiting) > 200
        seen: Counter[str] = Counter()
        async with opened(config) as source:
            for _ in range(2):
                async for page in source.list(config):
                    seen.update(one.meta.id for one in page)
                    await source.acknowledge([Outcome(one.id, accepted=True) for one in page])
            assert seen.keys() == waiting
            assert await entries(source, config) == []


async def test_a_list_that_gives_its_last_page_again_has_an_end(tmp_path: Path) -> None:
    def answer(request: web.Request) -> web.Response:
        number = min(int(request.query["page"]), 2)
        return web.json_response({"items": [message(f"m{number}", "?")]})

    async with inbox(tmp_path, "peppyrus", Mailbox(1, 1)) as it:
        it.instead["GET /message/list"] = answer
        config = it.config()
        async with opened(config) as source:
            assert [one.meta.id for one in await entries(source, config)] == ["m1", "m2"]


async def test_the_documents_in_a_list_take_no_memory(tmp_path: Path) -> None:
    big = {"items": [message(f"m{n}", "?", fileContent="A" * 3_000_000) for n in range(20)]}
    body = json.dumps(big | {"meta": {"pages": 1, "itemCount": 20}})
    assert len(body) > 50_000_000
    async with inbox(tmp_path, "peppyrus", Mailbox(1, 1)) as it:
        it.instead["GET /message/list"] = lambda _: web.Response(text=body)
        config = it.config()
        async with opened(config) as source:
            assert len(await entries(source, config)) == 20


@pytest.mark.parametrize("pdf", ["text", "object", "bytes"])
async def test_a_document_comes_as_it_was_sent_and_its_pdf_as_is_set(
    tmp_path: Path, pdf: str
) -> None:
    async with inbox(tmp_path, "peppyrus", pdf=pdf) as it:
        config = it.config()
        async with opened(config) as source:
            for entry in await entries(source, config):
                document = it.mailbox.find(entry.meta.id)
                assert document is not None
                assert await read(source, entry) == peppol.content(document)
                if entry.forms:
                    assert (await read(source, entry, "pdf")).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"fileContent": "%PDF"}, "is no text of JSON"),
        ("%PDF-", "no base64"),
        (None, "is no text of JSON"),
    ],
)
async def test_a_pdf_that_comes_in_another_way_is_none(
    tmp_path: Path, said: object, problem: str
) -> None:
    async with inbox(tmp_path, "peppyrus") as it:
        config = it.config()
        async with opened(config) as source:
            entry = next(one for one in await entries(source, config) if one.forms)
            it.instead["GET /message"] = lambda _: web.json_response(said)
            with pytest.raises(Corrupt, match=problem):
                await read(source, entry, "pdf")
            it.instead["GET /message"] = lambda _: web.Response(status=422)
            with pytest.raises(Rejected, match="does not have it as pdf"):
                await read(source, entry, "pdf")
    async with inbox(tmp_path, "peppyrus") as it:
        config = it.config(('pdf = "text"', 'pdf = "none"'))
        async with opened(config) as source:
            assert {one.forms for one in await entries(source, config)} == {()}


@pytest.mark.parametrize("again", [200, 400, 404, 409, 422])
async def test_already_confirmed_counts_as_told(tmp_path: Path, again: int) -> None:
    async with inbox(tmp_path, "peppyrus", again=again) as it:
        config = it.config()
        async with opened(config) as source:
            first = (await entries(source, config))[0]
            for _ in range(2):
                told = [Outcome(first.id, accepted=True)]
                assert await source.acknowledge(told) == [first.id]
            assert first.id not in {one.id for one in await entries(source, config)}
            it.instead["PATCH"] = lambda _: web.Response(status=422, reason="Unprocessable")
            with pytest.raises(SourceError, match="answered 422"):
                await source.acknowledge([Outcome(first.id, accepted=True)])
            it.instead["PATCH"] = lambda _: web.Response(status=200)
            assert await source.acknowledge([Outcome(first.id, accepted=True)])


async def test_a_list_without_messages_may_have_no_body(tmp_path: Path) -> None:
    async with inbox(tmp_path, "peppyrus", Mailbox(0, 1), empty=True) as it:
        config = it.config()
        async with opened(config) as source:
            assert await entries(source, config) == []


def listing(*items: object) -> Answer:
    return lambda _: web.json_response({"items": list(items), "meta": {"pages": 1}})


async def test_an_organisation_may_have_participants_that_are_not_ours(tmp_path: Path) -> None:
    async with inbox(tmp_path, "peppyrus", Mailbox(1, 2), foreign=True) as it:
        one, two = it.mailbox.companies
        it.instead["GET /message/list"] = listing(
            message("a", f"0208:{one.number}"),
            message("b", f"9925:{two.identifier}"),
            message("c", "0208:0898765475"),
            message("d", "0088:5412345000013"),
        )
        config = it.config()
        async with opened(config) as source:
            found = (await entries(source, config))[:3]
        assert [(e.meta.id, e.meta.company) for e in found] == [
            ("a", one.identifier),
            ("b", two.identifier),
            ("d", one.identifier),
        ]


async def test_check_says_whose_the_keys_are(tmp_path: Path) -> None:
    async with inbox(tmp_path, "peppyrus", foreign=True) as it:
        one, two = it.mailbox.companies
        waiting = len(peppol.waiting(it.mailbox)) + 1
        config = it.config()
        async with opened(config) as source:
            assert await source.check(config) == (
                f"signed in; 2 keys; to be fetched: {waiting} documents"
            )
            assert {c.identifier for c in await source.companies() or ()} == {
                one.identifier,
                two.identifier,
                "BE0898765475",
            }
        # The two keys are in each other's place.
        first, second = (tmp_path / f"synqup.toml.secret{n}" for n in ("", "2"))
        keys = first.read_text(), second.read_text()
        first.write_text(keys[1])
        second.write_text(keys[0])
        async with opened(config) as source:
            with pytest.raises(PartFailed) as told:
                await source.check(config)
        assert f"its key is that of {two.name} at the platform, and not of {one.name}" in str(
            told.value
        )


async def test_one_key_that_is_refused_does_not_stop_the_others(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 2, seed=5)
    async with inbox(tmp_path, "peppyrus", mailbox, revoked=mailbox.companies[0].identifier) as it:
        config = it.config()
        async with opened(config) as source:
            found, failure = await entries_and_failure(source, config)
            assert {e.meta.company for e in found} == {mailbox.companies[1].identifier}
            assert isinstance(failure, PartFailed)
            assert failure.reason == "the platform does not take its key"
            with pytest.raises(PartFailed, match="2 keys; to be fetched"):
                await source.check(config)


def test_numbers_are_read_wherever_they_stand() -> None:
    body = b'{"a": [{"x": "0208:0403170701"}, "9925:BE0712345630"], "n": "Bakkerij", "t": "02/123"}'
    assert read_numbers(body) == ["BE0403170701", "BE0712345630"]


async def test_a_broken_message_concerns_itself_alone(tmp_path: Path) -> None:
    async with inbox(tmp_path, "peppyrus") as it:
        config = it.config()
        async with opened(config) as source:
            first = (await entries(source, config))[0]
            for body in (
                '{"id": "x"}',
                '{"fileContent": null}',
                '{"fileContent": "%%%%"}',
                '{"fileContent": "' + b64encode(b"<a/>").decode(),
            ):
                it.instead["GET /message"] = lambda _, body=body: web.Response(text=body)
                with pytest.raises(Corrupt):
                    await read(source, first)


@pytest.mark.parametrize("size", [0, 101])
async def test_a_page_has_a_largest_size(tmp_path: Path, size: int) -> None:
    async with inbox(tmp_path, "peppyrus") as it:
        with pytest.raises(ConfigurationError, match="write 1 to 100"):
            it.config(('pdf = "text"', f"page_size = {size}"))
