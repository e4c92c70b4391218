"""The lists of many companies are read, each by its own key, and none for another's trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.app.wiring import load_config
from pipeline.errors import (
    PartFailed,
    RetryableError,
    SignInRefused,
    SourceError,
    SourceUnavailable,
)
from stages.kind import Kind
from stages.sources.einvoice_be.marks import read_marks
from tests.helpers.einvoice import Platform, configure, document, entries, opened, platform

pytestmark = pytest.mark.anyio

THIRD = """
[[companies]]
name = "Three"
identifier = "BE0898765475"
source = "peppol"
"""


async def yielded(source: Any, config: Any) -> tuple[list[str], Exception | None]:
    """The ids of what a walk yields, and what it raises after that."""
    found: list[str] = []
    try:
        async for page in source.list(config):
            found += [entry.id for entry in page]
    except (SourceError, RetryableError) as error:
        return found, error
    return found, None


async def test_both_lists_are_read_forward_oldest_first(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [
            document(n, document_type="INVOICE", invoice_id=f"A{n}") for n in range(250)
        ]
        one.boxes["key-1", "outbox"] = [
            document(1, document_type="INVOICE", state="SENT", customer_name="Them"),
            document(2, state="DRAFT"),
            document(3, state="TRANSIT"),
            document(4, state="FAILED"),
            document(5, document_type="SELFBILLING_INVOICE"),
        ]
        config = configure(tmp_path, one)
        async with opened(config) as source:
            found = await entries(source, config)
            assert len({entry.id for entry in found}) == 252
            first = next(entry for entry in found if entry.id == "BE0403170701/inbox/doc_0")
            assert (first.meta.kind, first.meta.company) == (Kind.PURCHASE, "BE0403170701")
            assert first.label == "invoice A0 (id doc_0)"
            sent = {entry.meta.id: entry.meta for entry in found if "/outbox/" in entry.id}
            assert sent.keys() == {"doc_1", "doc_5"}
            assert (sent["doc_1"].kind, sent["doc_1"].counterparty) == (Kind.SALES, "Them")
            assert sent["doc_5"].kind is Kind.PURCHASE
        asked = [r for r in one.asked if r.path == "/api/inbox/"]
        assert [r.query["page"] for r in asked] == ["1", "2", "3"]
        assert {r.query["page_size"] for r in asked} == {"100"}
        assert all(
            (r.query["sort_by"], r.query["sort_order"]) == ("created_at", "asc") for r in one.asked
        )
        assert not [r for r in one.asked if r.method != "GET"]


async def test_what_only_has_an_id_and_a_time_is_listed(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [
            {"id": "a", "created_at": "2026-03-02T08:11:45.120000Z"},
            {"id": "b"},
            {"id": "c", "created_at": None, "attachments": "?", "invoice_date": 7},
            {"created_at": "2026-03-02T08:11:45Z"},
        ]
        config = configure(tmp_path, one, outbox=False)
        async with opened(config) as source:
            found = await entries(source, config)
            assert [entry.meta.id for entry in found] == ["a", "b", "c"]
            assert found[0].label == "document (id a)"
            (left_out,) = source.unreadable
            assert (left_out.list, left_out.items) == ("inbox of One", 1)
            assert list(left_out.reasons) == ["it has no id"]


async def test_one_bad_key_stops_its_company_alone_which_is_named_in_the_end(
    tmp_path: Path,
) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(1)]
        one.boxes["key-2", "inbox"] = [document(n) for n in range(300)]
        one.refused = {"key-1"}
        config = configure(tmp_path, one, two=True, attempts=3)
        async with opened(config) as source:
            found, error = await yielded(source, config)
            assert len(found) == 300
            assert str(error).startswith("source peppol, One: the platform does not take its key.")
            # Not one that ends the whole poll, and final: it is not asked again and again.
            assert isinstance(error, SourceError)
            assert not isinstance(error, SignInRefused)
            assert sum(r.headers["Authorization"] == "Bearer key-1" for r in one.asked) <= 2
            # The other company's mark has moved for all that.
            marks = read_marks(source.cursor, one.url)
            assert marks["BE0712345630/inbox"].latest
            assert not marks["BE0403170701/inbox"].full


async def test_where_no_key_is_taken_the_source_is_refused(tmp_path: Path) -> None:
    async with platform() as one:
        one.refused = {"key-1", "key-2"}
        config = configure(tmp_path, one, two=True)
        async with opened(config) as source:
            _, error = await yielded(source, config)
            assert isinstance(error, SignInRefused)
            assert "One" in str(error)
            assert "Two" in str(error)


async def test_a_key_that_can_not_be_read_is_the_trouble_of_its_company(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-2", "inbox"] = [document(1)]
        config = configure(tmp_path, one, two=True)
        (tmp_path / "one").unlink()
        async with opened(config) as source:
            found, error = await yielded(source, config)
            assert len(found) == 1
            assert "source peppol, One: its key can't be read" in str(error)
            for nonsense in ("two\nlines", " \n", "clé", "a\x00b"):
                (tmp_path / "one").write_text(nonsense)
                _, error = await yielded(source, config)
                assert "One: its key can't be read: its place: what lies there is no key" in str(
                    error
                )
            # A new one is used without a restart.
            (tmp_path / "one").write_text("key-3\n")
            one.boxes["key-3", "inbox"] = [document(2)]
            found, error = await yielded(source, config)
            assert (len(found), error) == (2, None)


@pytest.mark.parametrize("status", [500, 403, 404, 422])
async def test_a_company_whose_list_can_not_be_had_does_not_stop_the_others(
    tmp_path: Path, status: int
) -> None:
    async with platform() as one:
        one.boxes["key-2", "inbox"] = [document(n) for n in range(5)]
        usual = one.usual_page

        def page(request: web.Request, items: list[Any]) -> Any:
            if request.headers["Authorization"] == "Bearer key-1":
                return web.json_response({"detail": [{"msg": "Sorry"}]}, status=status)
            return usual(request, items)

        one.page = page
        config = configure(tmp_path, one, two=True)
        async with opened(config) as source:
            found, error = await yielded(source, config)
            assert len(found) == 5
            assert type(error) is PartFailed
            assert "source peppol, One" in str(error)
            assert "Sorry" in str(error) or status == 404


async def test_where_the_platform_is_down_not_every_company_is_tried(tmp_path: Path) -> None:
    async with platform() as one:
        one.page = lambda *_: web.Response(status=503)
        config = configure(tmp_path, one, two=True)
        async with opened(config) as source:
            _, error = await yielded(source, config)
            assert isinstance(error, SourceUnavailable)


async def test_a_company_without_a_key_and_a_key_without_a_company_are_told(
    tmp_path: Path,
) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(1)]
        one.me = lambda key: {"name": f"Owner of {key}", "company_number": None}
        config = configure(tmp_path, one, THIRD)
        async with opened(config) as source:
            found, error = await yielded(source, config)
            assert len(found) == 1
            assert "source peppol, Three: there is no key of this company (BE0898765475)" in str(
                error
            )
            with pytest.raises(SourceError, match=r"Three: there is no key .*1 key is taken"):
                await source.check(config)
        text = (tmp_path / "synqup.toml").read_text().split("[[companies]]")
        (tmp_path / "synqup.toml").write_text(text[0] + THIRD.replace("0898765475", "0712345630"))
        two = configure(tmp_path, one, two=True)
        only = "[[companies]]".join(
            (tmp_path / "synqup.toml").read_text().split("[[companies]]")[:2]
        )
        (tmp_path / "synqup.toml").write_text(only)
        config = type(two)(
            service=two.service,
            delivery=two.delivery,
            sources=two.sources,
            companies=two.companies[:1],
        )
        async with opened(config) as source:
            said = await source.check(config)
            assert said == (
                "signed in; 2 keys are taken; the platform knows 2 companies, 1 of them is"
                " configured; left alone, as they are not in [[companies]]: Owner of key-2 (Two)"
            )
            one.asked.clear()
            await entries(source, config)
            assert {r.headers["Authorization"] for r in one.asked} == {"Bearer key-1"}


async def test_check_names_each_refused_key_and_a_key_of_another_company(tmp_path: Path) -> None:
    async with platform() as one:
        config = configure(tmp_path, one, two=True)
        async with opened(config) as source:
            assert await source.check(config) == (
                "signed in; 2 keys are taken; the platform knows 2 companies, 2 of them are"
                " configured"
            )
            one.refused = {"key-2"}
            with pytest.raises(SourceError, match=r"peppol, Two: .*take its key \(1 key is taken"):
                await source.check(config)
            one.refused = set()
            one.me = lambda key: {"name": "Other BV", "peppol_ids": ["0208:0898765475"]}
            with pytest.raises(SourceError, match=r"its key is that of Other BV .* and not of One"):
                await source.check(config)


async def test_the_companies_of_the_keys_are_found(tmp_path: Path) -> None:
    async with platform() as one:
        one.me = lambda key: {"name": f"{key} BV", "company_number": "0403170701", "plan": 3}
        config = configure(tmp_path, one, two=True)
        async with opened(config) as source:
            found = await source.companies()
            assert found is not None
            assert [(c.id, c.name, c.identifier) for c in found] == [
                ("One", "key-1 BV", "0403170701"),
                ("Two", "key-2 BV", "0403170701"),
            ]


async def test_a_key_finds_its_company_by_name_where_it_states_no_number(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(1)]
        configure(tmp_path, one)
        path = tmp_path / "synqup.toml"
        before, keys, after = path.read_text().partition("[[sources.keys]]")
        text = before + keys + after.replace('identifier = "BE0403170701"\nsecret', "secret", 1)
        path.write_text(text.replace('name = "One"\nsecret', 'name = "ONE "\nsecret'))
        config = load_config(path)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            assert entry.id == "BE0403170701/inbox/doc_1"


async def test_a_page_of_many_bytes_is_asked_for_in_halves(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(n, note="x" * 200_000) for n in range(100)]
        config = configure(tmp_path, one, outbox=False)
        async with opened(config) as source:
            found = await entries(source, config)
            assert len({entry.id for entry in found}) == 100
        sizes = [int(r.query["page_size"]) for r in one.asked]
        assert sizes[:2] == [100, 50]
        assert max(sizes[2:]) <= 50


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1"},
        {"retry-after-ms": "30"},
        {"Retry-After": "Mon, 02 Mar 2026 08:00:01 GMT", "Date": "Mon, 02 Mar 2026 08:00:00 GMT"},
    ],
)
async def test_a_pause_is_waited_for_however_it_is_stated(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(1)]
        usual = one.usual_page
        told: list[int] = []

        def page(request: web.Request, items: list[Any]) -> Any:
            if not told:
                told.append(1)
                return web.json_response({"detail": "Slow down"}, status=429, headers=headers)
            return usual(request, items)

        one.page = page
        config = configure(tmp_path, one, attempts=2, outbox=False)
        async with opened(config) as source:
            assert len(await entries(source, config)) == 1


async def test_a_long_pause_of_one_key_is_no_pause_of_the_others(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-2", "inbox"] = [document(1)]
        usual = one.usual_page

        def page(request: web.Request, items: list[Any]) -> Any:
            if request.headers["Authorization"] == "Bearer key-1":
                return web.Response(status=429, headers={"Retry-After": "3600"})
            return usual(request, items)

        one.page = page
        config = configure(tmp_path, one, two=True)
        async with opened(config) as source:
            found, error = await yielded(source, config)
            assert len(found) == 1
            assert "One" in str(error)


async def test_the_address_may_end_as_the_platform_writes_its_own(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(1)]
        for url in (one.url, f"{one.url}/", f"{one.url}/api", f"{one.url}/api/"):
            holder = Platform()
            holder.url = url
            config = configure(tmp_path, holder)
            async with opened(config) as source:
                assert len(await entries(source, config)) == 1


async def test_a_second_key_of_one_company_is_told_and_not_used(tmp_path: Path) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [document(1)]
        one.boxes["key-2", "inbox"] = [document(2)]
        configure(tmp_path, one, two=True)
        path = tmp_path / "synqup.toml"
        # By its name alone, which is that of the company at this source.
        text = path.read_text().replace('identifier = "BE0712345630"\nsecret', "secret")
        text = text.replace('name = "Two"\nidentifier', 'name = "Other"\nidentifier')
        path.write_text(
            text.replace('source = "peppol"\n', 'source = "peppol"\nplatform_id = "Two"\n', 1)
        )
        config = load_config(path)
        async with opened(config) as source:
            found, error = await yielded(source, config)
            assert found == ["BE0403170701/inbox/doc_1"]
            assert "Two: there is another key of this company" in str(error) or (
                "there is trouble too with Two" in str(error)
            )
