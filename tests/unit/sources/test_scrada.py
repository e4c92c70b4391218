"""Scrada on loopback: its lists, one key for each company, and its limits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.errors import (
    ConfigurationError,
    PartFailed,
    Rejected,
    SignInRefused,
    SourceError,
    SynqupError,
)
from pipeline.source import Outcome
from stages.kind import Kind
from stages.sandbox import Mailbox
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.scrada.api import read_list
from tests.helpers.inboxes import Inbox, entries, entries_and_failure, inbox, opened, read

pytestmark = pytest.mark.anyio

INVOICE = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2::Invoice##urn:cen.eu:en16931:2017"


def names(it: Inbox) -> tuple[str, str]:
    one, two = it.mailbox.companies
    return one.name, two.name


@pytest.mark.parametrize("shape", ['{{"results": {}}}', "{}", '{{"Results": {}, "more": 1}}'])
def test_a_list_is_read_in_each_shape(shape: str) -> None:
    items: list[Any] = [
        {"id": "a", "peppolDocumentTypeValue": f"{INVOICE}#compliant#…:billing:3.0::2.1"},
        {"ID": 7, "peppolDocumentTypeValue": f"{INVOICE}#compliant#…:selfbilling:3.0::2.1"},
        {"id": "c", "peppolDocumentTypeValue": "…xsd:CreditNote-2::CreditNote##…"},
        {"id": "d", "peppolDocumentTypeValue": "…ApplicationResponse-2::ApplicationResponse##…"},
        {"id": "e", "peppolDocumentTypeValue": None, "peppolSenderID": 1},
        {"id": None},
        7,
    ]
    found = read_list(shape.format(json.dumps(items)).encode())
    assert [(one.id, one.name, one.kind) for one in found if not isinstance(one, str)] == [
        ("a", "invoice", Kind.PURCHASE),
        ("7", "invoice", Kind.SALES),
        ("c", "credit note", Kind.PURCHASE),
        ("d", "answer", None),
        ("e", "document", None),
    ]
    assert [one for one in found if isinstance(one, str)] == ["it has no id of use"] * 2


@pytest.mark.parametrize("shape", ["results", "array"])
async def test_each_company_is_asked_by_its_own_key(tmp_path: Path, shape: str) -> None:
    async with inbox(tmp_path, "scrada", shape=shape) as it:
        config = it.config()
        async with opened(config) as source:
            found = await entries(source, config)
            assert source.backlog() == len(found) == len(peppol.waiting(it.mailbox))
        for entry in found:
            document = it.mailbox.find(entry.meta.id)
            assert document is not None
            assert entry.id == f"{document.company.platform_id}/{document.id}"
            assert entry.meta.company == document.company.identifier
        first = {name.lower(): value for name, value in it.headers[0].items()}
        assert first["language"] == "EN"
        assert len(first["x-api-key"]) == len(first["x-password"]) == 40
        assert "authorization" not in first


async def test_a_document_is_the_answer_and_its_pdf_may_have_no_type(tmp_path: Path) -> None:
    async with inbox(tmp_path, "scrada") as it:
        config = it.config()
        async with opened(config) as source:
            for entry in await entries(source, config):
                document = it.mailbox.find(entry.meta.id)
                assert document is not None
                assert await read(source, entry) == peppol.content(document)
                if entry.forms:
                    async with source.fetch(entry, "pdf") as incoming:
                        assert incoming.announced.media_type == ""
                        chunks = [chunk async for chunk in incoming.chunks]
                    assert b"".join(chunks).startswith(b"%PDF-")
                    it.instead[f"GET /company/{entry.id.partition('/')[0]}"] = lambda _: (
                        web.Response(status=404)
                    )
                    with pytest.raises(Rejected, match="does not have it as pdf"):
                        await read(source, entry, "pdf")
                    it.instead.clear()


@pytest.mark.parametrize("again", [200, 400, 404, 409, 422])
async def test_a_second_confirmation_is_harmless(tmp_path: Path, again: int) -> None:
    async with inbox(tmp_path, "scrada", again=again) as it:
        config = it.config()
        async with opened(config) as source:
            first = (await entries(source, config))[0]
            for _ in range(2):
                told = [Outcome(first.id, accepted=True)]
                assert await source.acknowledge(told) == [first.id]
            assert first.id not in {one.id for one in await entries(source, config)}


async def test_what_is_not_safe_here_is_not_confirmed(tmp_path: Path) -> None:
    async with inbox(tmp_path, "scrada") as it:
        config = it.config()
        async with opened(config) as source:
            one, two, *_ = await entries(source, config)
            told = [Outcome(one.id, False, "x", kept=False), Outcome(two.id, False, "x", kept=True)]
            assert await source.acknowledge(told) == [two.id]
        assert len(it.said("/confirm")) == 1


async def test_one_key_that_is_refused_does_not_stop_the_others(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 2, seed=5)
    gone = mailbox.companies[1]
    async with inbox(tmp_path, "scrada", mailbox, revoked=gone.platform_id) as it:
        config = it.config()
        async with opened(config) as source:
            found, failure = await entries_and_failure(source, config)
            assert {e.meta.company for e in found} == {mailbox.companies[0].identifier}
            assert isinstance(failure, PartFailed)
            assert str(failure) == (
                f"source scrada, {gone.name}: the platform does not take its key. Put a valid key"
                " where the configuration says; it is read again before the next try."
            )
            # Nor is a document of it a trouble of the source.
            theirs = f"{gone.platform_id}/x"
            with pytest.raises(SourceError) as refused:
                await source.acknowledge([Outcome(theirs, accepted=True)])
            assert not isinstance(refused.value, SignInRefused)


async def test_keys_that_are_all_refused_are_the_sources_trouble(tmp_path: Path) -> None:
    async with inbox(tmp_path, "scrada") as it:
        config = it.config()
        for place in tmp_path.glob("synqup.toml.secret*"):
            place.write_text("wrong")
        async with opened(config) as source:
            found, failure = await entries_and_failure(source, config)
            assert found == []
            assert isinstance(failure, SignInRefused)
            assert f"; there is trouble too with {names(it)[1]}" in failure.reason
            with pytest.raises(SignInRefused):
                await source.check(config)


async def test_a_right_that_is_revoked_is_told(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 2, seed=5)
    async with inbox(tmp_path, "scrada", mailbox, closed=mailbox.companies[0].platform_id) as it:
        config = it.config()
        async with opened(config) as source:
            found, failure = await entries_and_failure(source, config)
        assert {e.meta.company for e in found} == {mailbox.companies[1].identifier}
        assert isinstance(failure, PartFailed)
        assert failure.subject == f"source scrada, {names(it)[0]}, list"
        assert failure.reason == 'the source answered 403: "No access to this company"'
        assert "approve this application" in failure.remedy


async def test_keys_and_companies_that_are_alone_are_told(tmp_path: Path) -> None:
    async with inbox(tmp_path, "scrada") as it:
        one, two = it.mailbox.companies
        waiting = len(peppol.waiting(it.mailbox))
        config = it.config()
        async with opened(config) as source:
            assert await source.check(config) == (
                f"signed in; 2 keys; to be fetched: {waiting} documents"
            )
        # The first company's number in the configuration is another one now: it has no key.
        section = (tmp_path / "synqup.toml").read_text().rindex(f'"{one.identifier}"')
        text = (tmp_path / "synqup.toml").read_text()
        text = f'{text[:section]}"BE0403170701"{text[section + len(one.identifier) + 2 :]}'
        (tmp_path / "synqup.toml").write_text(text)
        config = it.config()
        async with opened(config) as source:
            found, failure = await entries_and_failure(source, config)
            assert {e.meta.company for e in found} == {two.identifier}
            assert "there is no key of this company (BE0403170701)" in str(failure)
            with pytest.raises(SynqupError) as told:
                await source.check(config)
        assert f"left out, as no [[companies]] names them: {one.name}" in str(told.value)
        assert "Write one under [[sources.keys]]" in told.value.remedy
        assert not [line for line in it.asked[-2:] if one.platform_id in line]


async def test_how_long_a_backlog_takes_is_told(tmp_path: Path) -> None:
    async with inbox(tmp_path, "scrada", Mailbox(400, 2, seed=5)) as it:
        waiting = len(peppol.waiting(it.mailbox))
        config = it.config(("requests_in_1m = 0", "requests_in_1m = 60"))
        async with opened(config) as source:
            said = await source.check(config)
        minutes = round(waiting * 2 / 60)
        assert said.endswith(
            f"to be fetched: {waiting} documents, which takes about {minutes} minutes, as Scrada"
            " takes 60 a minute"
        )


async def test_too_many_requests_wait_until_their_number_begins_anew(tmp_path: Path) -> None:
    async with inbox(tmp_path, "scrada", source="longest_asked_wait = 5\n") as it:
        config = it.config()
        refused = []

        def once(until: float) -> None:
            def answer(_: web.Request) -> web.Response:
                it.instead.clear()
                refused.append(until)
                return web.Response(status=429, headers={"X-Ratelimit-Reset": str(int(until))})

            it.instead["GET"] = answer

        async with opened(config) as source:
            once(time.time() + 1)
            assert await entries(source, config)
            # One that is too long to wait for is one company's alone.
            once(time.time() + 1000)
            found, failure = await entries_and_failure(source, config)
            assert len({e.meta.company for e in found}) == 1
            assert isinstance(failure, PartFailed)
            assert "the source answered 429" in failure.reason
        assert len(refused) == 2


async def test_what_scrada_takes_is_never_exceeded(tmp_path: Path) -> None:
    mailbox = Mailbox(20, 1, seed=5)
    async with inbox(tmp_path, "scrada", mailbox, in_10s=10, in_1m=60) as it:
        config = it.config()
        assert "requests_in_10s = 10" in (tmp_path / "synqup.toml").read_text()
        async with opened(config) as source:
            found = await entries(source, config)
            bodies = [await read(source, entry) for entry in found[:11]]
        assert len(bodies) == 11
        assert len(it.asked) == 12


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("requests_in_1m = 0", "requests_in_1m = -1", "write how many, or 0 for any number"),
        ('url = "http://127', 'url = "http://1.1.1.1/', "credentials would travel in the clear"),
        ('"ONE_ID"', '"TWO_ID"', "has the same; each company has a key of its own"),
        ('"ONE_ID"', '" "', "company_id"),
        ('identifier = "TWO"', 'identifier = "ONE"', "has the same"),
    ],
)
async def test_what_is_wrong_in_the_section_is_told(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    async with inbox(tmp_path, "scrada") as it:
        one, two = it.mailbox.companies
        for name, value in (
            ("ONE_ID", one.platform_id),
            ("TWO_ID", two.platform_id),
            ("ONE", one.identifier),
            ("TWO", two.identifier),
        ):
            old, new = old.replace(name, value), new.replace(name, value)
        path = tmp_path / "synqup.toml"
        path.write_text(path.read_text().replace(old, new, 1))
        with pytest.raises(ConfigurationError) as refused:
            it.config()
        assert said in str(refused.value)
