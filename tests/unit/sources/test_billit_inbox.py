"""Billit's inbox on loopback: what it shows, for whom, and what a request says of whose it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.errors import Corrupt, Rejected, SignInRefused, SourceError, WebPage
from stages.sources.billit.parties import party_headers
from stages.sources.billit.settings import Billit
from tests.helpers.billit import (
    ONE,
    THREE,
    TWO,
    Answer,
    billit,
    configure,
    entries,
    inbox_item,
    opened,
)

pytestmark = pytest.mark.anyio


async def test_what_the_inbox_says_is_read_and_what_has_no_number_is_left_out(
    tmp_path: Path,
) -> None:
    async with billit() as it:
        it.inbox = [
            inbox_item(7),
            {"inboxitemid": "8", "peppolfileid": 5, "receiverPeppolID": "0208:0403170701"},
            inbox_item(9, PeppolDocumentType="IMR"),
            {"PeppolFileID": "x"},
            inbox_item(10, PeppolFileID=None),
            inbox_item(11, SenderCompanyID=["no", "text"], CreationDate=7, PeppolDocumentType=None),
        ]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            found = await entries(source, config)
            assert source.backlog() == 4
        assert [one.meta.id for one in found] == ["7", "8", "9", "11"]
        assert {one.meta.company for one in found} == {ONE}
        assert found[0].label == "Peppol document 7 of BE0712345630"
        assert found[2].label == "answer 9 of BE0712345630"
        (left_out,) = source.unreadable
        assert left_out.items == 2
        assert it.said("GET peppol/inbox")[0][2]["PartyID"] == "11"
        assert it.asked[-1][2]["ApiKey"] == "s3cret"


async def test_what_is_for_others_is_left_there_and_one_that_says_nothing_is_its_inboxes(
    tmp_path: Path,
) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1), inbox_item(2, TWO), inbox_item(3, None), inbox_item(4, "?")]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            found = await entries(source, config)
        assert [one.meta.id for one in found] == ["1", "3", "4"]
        assert not it.confirmed


async def test_an_inbox_of_the_whole_account_shows_each_document_once(tmp_path: Path) -> None:
    """Whichever company's inbox it is read from, it is the same document."""
    async with billit() as it:
        it.inbox = [inbox_item(1, ONE), inbox_item(2, TWO)]
        config = configure(tmp_path, it, {ONE: "11", TWO: "22"})
        async with opened(config) as source:
            found = await entries(source, config)
            it.instead["GET peppol/inbox"] = _only("22", it.inbox)
            alone = await entries(source, config)
        assert [one.id for one in found] == ["inbox/11/1//file-1", "inbox/22/2//file-2"]
        assert [one.id for one in alone] == [one.id for one in found]


def _only(party: str, items: list[dict[str, Any]]) -> Answer:
    def answer(request: web.Request) -> web.Response:
        mine = request.headers.get("PartyID") == party
        return web.json_response({"InboxItems": items if mine else []})

    return answer


async def test_each_company_may_be_asked_for_by_itself(tmp_path: Path) -> None:
    async with billit() as it:
        config = configure(tmp_path, it, {ONE: None, TWO: None}, per_company=True)
        async with opened(config) as source:
            await entries(source, config)
        asked = [path for _, path, _ in it.said("GET peppol/inbox")]
        assert asked == [f"peppol/inbox?ReceiverCompanyID={one}" for one in (ONE, TWO)]


async def test_one_inbox_that_is_closed_does_not_close_the_others(tmp_path: Path) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1, TWO)]

        def refuse(request: web.Request) -> web.Response:
            if request.headers["PartyID"] == "11":
                said = {"errors": [{"Code": "Forbidden", "Description": "Access was revoked"}]}
                return web.json_response(said, status=403)
            return web.json_response({"InboxItems": it.inbox})

        it.instead["GET peppol/inbox"] = refuse
        config = configure(tmp_path, it, {ONE: "11", TWO: "22"})
        async with opened(config) as source:
            found = []
            with pytest.raises(SourceError) as refused:
                async for page in source.list(config):
                    found += page
        assert [one.meta.id for one in found] == ["1"]
        assert 'inbox 11: the source answered 403: "Access was revoked"' in str(refused.value)
        assert "representative" in refused.value.remedy


async def test_an_inbox_full_of_others_documents_is_told(tmp_path: Path) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(number, THREE) for number in range(12)]
        config = configure(tmp_path, it)
        async with opened(config) as source:
            with pytest.raises(SourceError) as told:
                await entries(source, config)
        assert f"10 oldest documents are for companies that are not configured ({THREE})" in str(
            told.value
        )
        assert "set per_company = true" in told.value.remedy


@pytest.mark.parametrize("body", ["[]", "null", "", '{"InboxItems": null}', '{"InboxItems": []}'])
async def test_an_empty_inbox_is_empty_however_it_is_written(tmp_path: Path, body: str) -> None:
    async with billit() as it:
        it.instead["GET peppol/inbox"] = lambda _: web.Response(text=body)
        config = configure(tmp_path, it)
        async with opened(config) as source:
            assert await entries(source, config) == []


@pytest.mark.parametrize("body", ['{"Items": 1}', "{}", "no JSON", "[", '"text"', "{" * 300_000])
async def test_an_answer_that_is_no_inbox_is_told(tmp_path: Path, body: str) -> None:
    async with billit() as it:
        it.instead["GET peppol/inbox"] = lambda _: web.Response(text=body)
        config = configure(tmp_path, it)
        async with opened(config) as source:
            with pytest.raises(SourceError, match="the answer is not what was asked for"):
                await entries(source, config)


async def test_a_wrong_address_is_told(tmp_path: Path) -> None:
    async with billit() as it:
        it.instead["GET"] = lambda _: web.Response(status=404)
        config = configure(tmp_path, it)
        async with opened(config) as source:
            with pytest.raises(SourceError, match="there is nothing at this address") as told:
                await source.check(config)
        assert told.value.remedy == "Check url of the source"


async def test_a_refused_key_is_told_and_a_new_one_is_used(tmp_path: Path) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1)]

        def sign_in(request: web.Request) -> web.Response:
            if request.headers["ApiKey"] != "new":
                return web.json_response({"errors": [{"Code": "InvalidKey"}]}, status=401)
            return web.json_response({"InboxItems": it.inbox})

        it.instead["GET"] = sign_in
        config = configure(tmp_path, it)
        async with opened(config) as source:
            with pytest.raises(SignInRefused, match="refuses its key") as refused:
                await entries(source, config)
            assert "Put a valid key" in refused.value.remedy
            (tmp_path / "key").write_text("new")
            await source.signed_in_anew()
            assert len(await entries(source, config)) == 1


async def test_a_document_is_fetched_as_it_is_and_as_the_answer_states_it(tmp_path: Path) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1)]
        it.files["file-1"] = b"<a/>"
        config = configure(tmp_path, it)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            assert entry.meta.unwraps_envelope
            async with source.fetch(entry) as incoming:
                assert b"".join([piece async for piece in incoming.chunks]) == b"<a/>"
                assert not incoming.announced.checksums
            with pytest.raises(Rejected):
                source.fetch(entry, "pdf")
        assert it.said("GET files/file-1")[0][2]["PartyID"] == "11"


@pytest.mark.parametrize(
    "answer",
    [
        {"FileContent": "no base64!"},
        {"FileContent": None},
        {"FileName": "x"},
        {"FileContent": ["QUFB"]},
        [],
        "text",
    ],
)
async def test_a_poisoned_answer_concerns_its_document_alone(
    tmp_path: Path, answer: object
) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(1)]
        it.files["file-1"] = answer
        config = configure(tmp_path, it)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            async with source.fetch(entry) as incoming:
                with pytest.raises(Corrupt):
                    [piece async for piece in incoming.chunks]


def billit_section(**more: object) -> Billit:
    return Billit(name="b", **({"door": "inbox"} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "door", "party", "headers"),
    [
        ({}, "inbox", "", {}),
        ({}, "inbox", "11", {"PartyID": "11"}),
        ({"party_id": "1"}, "inbox", "", {"PartyID": "1"}),
        ({"party_id": "1"}, "inbox", "1", {"PartyID": "1"}),
        ({"party_id": "1"}, "inbox", "11", {"PartyID": "11", "ContextPartyID": "1"}),
        ({"context_header": "company"}, "inbox", "11", {"PartyID": "11"}),
        (
            {"context_header": "company", "party_id": "1"},
            "inbox",
            "11",
            {"PartyID": "1", "ContextPartyID": "11"},
        ),
        ({}, "feeds", "", {}),
        ({}, "feeds", "11", {"ContextPartyID": "11"}),
        ({"party_id": "1"}, "feeds", "11", {"PartyID": "1", "ContextPartyID": "11"}),
        ({"context_header": "accountant"}, "feeds", "11", {"PartyID": "11"}),
        (
            {"context_header": "accountant", "party_id": "1"},
            "feeds",
            "11",
            {"PartyID": "11", "ContextPartyID": "1"},
        ),
    ],
)
def test_whose_data_is_meant_is_said_as_the_setting_has_it(
    settings: dict[str, str], door: str, party: str, headers: dict[str, str]
) -> None:
    assert party_headers(billit_section(**settings), door, party) == headers


async def test_a_page_for_people_in_place_of_a_file_says_nothing_of_it(tmp_path: Path) -> None:
    """It is waited out, and quarantines nothing."""
    async with billit() as it:
        it.inbox = [inbox_item(1)]
        it.instead["GET files"] = lambda _: web.Response(text="<html>", content_type="text/html")
        config = configure(tmp_path, it)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            with pytest.raises(WebPage):
                async with source.fetch(entry):
                    pass
