"""Recommand on loopback: its inbox, its documents, and the companies of a team."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.errors import (
    ConfigurationError,
    Corrupt,
    Rejected,
    SignInRefused,
    Skipped,
    SourceError,
)
from pipeline.source import Entry, Outcome
from stages.kind import Kind
from stages.model import Listed
from stages.sandbox import Mailbox
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.recommand.api import read_inbox
from tests.helpers.inboxes import Answer, Inbox, entries, inbox, opened, read

pytestmark = pytest.mark.anyio


def item(id_: object = "doc_1", company: object = "c", **more: object) -> dict[str, Any]:
    given = {"id": id_, "companyId": company, "direction": "incoming", "type": "invoice"}
    return {**given, "receiverId": "0208:0403170701", **more}


def said(*items: object) -> Answer:
    return lambda _: web.json_response({"success": True, "documents": list(items)})


def ids(it: Inbox) -> list[str]:
    return [one.platform_id for one in it.mailbox.companies]


def test_the_types_say_what_a_document_is() -> None:
    types = {
        "invoice": ("invoice", Kind.PURCHASE),
        "creditNote": ("credit note", Kind.PURCHASE),
        "selfBillingInvoice": ("invoice", Kind.SALES),
        "selfBillingCreditNote": ("credit note", Kind.SALES),
        "messageLevelResponse": ("answer", None),
        "unknown": ("document", None),
        "something new": ("document", None),
    }
    body = json.dumps({"documents": [item(type=one) for one in types]}).encode()
    assert [(one.name, one.kind) for one in read_inbox(body) if not isinstance(one, str)] == list(
        types.values()
    )
    answer = item(type="unknown", docTypeId="urn:…ApplicationResponse-2::ApplicationResponse##…")
    (found,) = read_inbox(json.dumps([answer]).encode())
    assert not isinstance(found, str)
    assert (found.name, found.kind) == ("answer", None)


async def test_what_the_inbox_says_is_read_and_what_has_no_id_is_left_out(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand") as it:
        one, two = ids(it)
        it.instead["GET /inbox"] = said(
            item("doc_1", one, senderId="0208:0712345630"),
            item("doc/2?x", two, senderId=7, receiverId=None, docTypeId=[]),
            item(None, one),
            item("..", one),
            item("doc_3", one, direction="outgoing"),
            "no object",
        )
        config = it.config()
        async with opened(config) as source:
            found = await entries(source, config)
            assert source.backlog() == 2
        assert [one.id for one in found] == ["doc_1", "doc/2?x"]
        assert [one.meta.company for one in found] == [c.identifier for c in it.mailbox.companies]
        assert found[0].label == "invoice doc_1 of 0208:0712345630"
        assert [one.items for one in source.unreadable] == [3]


async def test_what_is_for_others_is_left_there(tmp_path: Path) -> None:
    """By the company's id, or by its number where the configuration has no ids."""
    async with inbox(tmp_path, "recommand") as it:
        one, two = ids(it)
        numbers = [f"0208:{c.number}" for c in it.mailbox.companies]
        it.instead["GET /inbox"] = said(
            item("a", one, receiverId=numbers[0]),
            item("b", "c_other", receiverId=numbers[0]),
            item("c", two, receiverId="0208:0898765475"),
            item("d", "c_other", receiverId="0208:0898765475"),
            item("e", None, receiverId="9999:?"),
        )
        config = it.config()
        async with opened(config) as source:
            assert [e.id for e in await entries(source, config)] == ["a", "c", "e"]
        config = it.config((f'platform_id = "{one}"\n', ""), (f'platform_id = "{two}"\n', ""))
        async with opened(config) as source:
            found = await entries(source, config)
        first = it.mailbox.companies[0].identifier
        assert [(e.id, e.meta.company) for e in found] == [("a", first), ("b", first), ("e", None)]


@pytest.mark.parametrize("body", ["[]", "null", "", '{"documents": null}', '{"documents": []}'])
async def test_an_empty_inbox_is_empty_however_it_is_written(tmp_path: Path, body: str) -> None:
    async with inbox(tmp_path, "recommand") as it:
        it.instead["GET /inbox"] = lambda _: web.Response(text=body)
        config = it.config()
        async with opened(config) as source:
            assert await entries(source, config) == []


@pytest.mark.parametrize("body", ['{"items": 1}', "{}", "no JSON", "[", '"text"', "{" * 300_000])
async def test_an_answer_that_is_no_inbox_is_told(tmp_path: Path, body: str) -> None:
    async with inbox(tmp_path, "recommand") as it:
        it.instead["GET /inbox"] = lambda _: web.Response(text=body)
        config = it.config()
        async with opened(config) as source:
            with pytest.raises(SourceError, match="the answer is not what was asked for"):
                await entries(source, config)


async def test_a_document_comes_as_it_was_sent_and_its_pdf_by_name(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand") as it:
        config = it.config()
        async with opened(config) as source:
            found = {e.meta.id: e for e in await entries(source, config)}
            for document in peppol.waiting(it.mailbox):
                entry = found[document.id]
                assert await read(source, entry) == peppol.content(document)
                if peppol.is_answer(document):
                    assert entry.forms == ()
                    with pytest.raises(Rejected, match="does not have it as pdf"):
                        await read(source, entry, "pdf")
                else:
                    assert [form.name for form in entry.forms or ()] == ["pdf"]
                    assert (await read(source, entry, "pdf")).startswith(b"%PDF-")
            with pytest.raises(Rejected, match="does not have it as html"):
                await read(source, entry, "html")


async def test_without_xml_there_is_nothing_to_deliver(tmp_path: Path) -> None:
    """What is no invoice is acknowledged then; an invoice is quarantined, and stays there."""
    mailbox = Mailbox(30, 2, seed=5)
    first = next(one.index for one in mailbox if one.kind is Kind.PURCHASE)
    async with inbox(tmp_path, "recommand", mailbox, empty=2, without_xml=first) as it:
        config = it.config()
        async with opened(config) as source:
            found = {e.meta.id: e for e in await entries(source, config)}
            for id_ in ("doc_empty_0", "doc_empty_1"):
                with pytest.raises(Skipped, match="it is no invoice, and Recommand has no XML"):
                    await read(source, found[id_])
            with pytest.raises(Rejected, match="Recommand has no XML of it"):
                await read(source, found[it.mailbox[first].id])
            kept = Outcome(it.mailbox[first].id, accepted=False, kept=False)
            assert await source.acknowledge([kept]) == []
        assert not it.said("mark-as-read")


async def test_a_broken_answer_concerns_its_document_alone(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand") as it:
        it.instead["GET /documents/"] = lambda _: web.Response(text='{"document": {"xml": "<a')
        config = it.config()
        async with opened(config) as source:
            first = (await entries(source, config))[0]
            with pytest.raises(Corrupt, match="broke off"):
                await read(source, first)


async def test_a_key_is_read_anew_after_a_refusal(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand") as it:
        config = it.config()
        place = tmp_path / "synqup.toml.secret"
        right = place.read_text()
        place.write_text("wrong")
        async with opened(config) as source:
            with pytest.raises(SignInRefused) as refused:
                await entries(source, config)
            assert str(refused.value) == (
                "source recommand: the platform does not take its key. Put a valid key where the"
                " configuration says; it is read again before the next try."
            )
            place.unlink()
            with pytest.raises(SignInRefused, match="its key can't be read"):
                await entries(source, config)
            place.write_text(right)
            await source.signed_in_anew()
            assert await entries(source, config)


async def test_a_token_is_sent_in_place_of_a_key(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand") as it:
        keys = [
            f'{name} = {{ file = "synqup.toml.secret{n}" }}\n'
            for name, n in (("api_key", ""), ("api_secret", "2"))
        ]
        (tmp_path / "token").write_text(peppol.secret(it.mailbox, "token"))
        config = it.config((keys[0], 'token = { file = "token" }\n'), (keys[1], ""))
        async with opened(config) as source:
            assert await entries(source, config)
        assert it.headers[-1]["Authorization"].startswith("Bearer ")


async def test_check_says_which_companies_are_known_and_which_are_not(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand", foreign=True) as it:
        config = it.config()
        waiting = len(peppol.waiting(it.mailbox)) + 1
        async with opened(config) as source:
            assert await source.check(config) == (
                "signed in; the platform knows 3 companies, 2 of them are configured; left alone,"
                " as they are not in [[companies]]: Foreign (c_foreign); to be fetched:"
                f" {waiting} documents"
            )
    gone = it.mailbox.companies[1]
    async with inbox(tmp_path, "recommand", revoked=gone.platform_id) as it:
        config = it.config()
        async with opened(config) as source:
            with pytest.raises(SourceError) as told:
                await source.check(config)
            assert f"Recommand does not know {gone.name} ({gone.platform_id})" in str(told.value)
            assert "Correct [[companies]]" in told.value.remedy
            # What the others have is brought.
            found = await entries(source, config)
            assert {e.meta.company for e in found} == {it.mailbox.companies[0].identifier}


async def test_a_document_can_be_had_again_once_it_has_been_read(tmp_path: Path) -> None:
    """So a redelivery needs no mark of it as unread."""
    async with inbox(tmp_path, "recommand") as it:
        config = it.config()
        document = peppol.waiting(it.mailbox)[0]
        async with opened(config) as source:
            assert await source.acknowledge([Outcome(document.id, accepted=True)]) == [document.id]
            # It may be told twice, and also of what is gone.
            told = [Outcome(one, accepted=True) for one in (document.id, "doc_nowhere")]
            assert await source.acknowledge(told) == [document.id, "doc_nowhere"]
            assert document.id not in {e.id for e in await entries(source, config)}
            entry = Entry(document.id, "", "again", Listed(config, document.id))
            assert await read(source, entry) == peppol.content(document)


async def test_a_confirmation_that_is_refused_is_told(tmp_path: Path) -> None:
    async with inbox(tmp_path, "recommand") as it:
        body = {"success": False, "errors": {"documentId": ["Invalid document"]}}
        it.instead["POST /documents"] = lambda _: web.json_response(body, status=400)
        config = it.config()
        async with opened(config) as source:
            with pytest.raises(SourceError, match='answered 400: "Invalid document"'):
                await source.acknowledge([Outcome("doc_1", accepted=True)])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "this key is missing; write api_key and api_secret, or token"),
        ("api_key = { env = 'A' }", "this is missing, and api_key needs it"),
        (
            "api_key = { env = 'A' }\napi_secret = { env = 'B' }\ntoken = { env = 'C' }",
            "there is an api_key too; write the one or the other",
        ),
    ],
)
async def test_there_is_one_way_to_sign_in(tmp_path: Path, lines: str, said: str) -> None:
    async with inbox(tmp_path, "recommand") as it:
        keys = [
            f'{name} = {{ file = "synqup.toml.secret{n}" }}\n'
            for name, n in (("api_key", ""), ("api_secret", "2"))
        ]
        with pytest.raises(ConfigurationError) as refused:
            it.config((keys[0], f"{lines}\n"), (keys[1], ""))
        assert said in str(refused.value)
