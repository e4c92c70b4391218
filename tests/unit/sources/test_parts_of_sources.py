"""Sources whose companies have lists of their own are asked for those of some companies alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import PartFailed, SourceError
from stages.sources.einvoice_be.marks import read_marks
from stages.sources.http.keyed import KeyRefused
from tests.helpers import einvoice, platform

pytestmark = pytest.mark.anyio

ONE, TWO = "BE0403170701", "BE0712345630"
COMPANIES = """
[[companies]]
name = "One"
identifier = "BE0403170701"
source = "box"
platform_id = "1"
[[companies]]
name = "Two"
identifier = "BE0712345630"
source = "box"
platform_id = "2"
"""


async def test_billtobox_asks_for_the_lists_of_some(tmp_path: Path) -> None:
    async with platform.platform() as one:
        text = platform.CONFIG
        at = text.index("[[companies]]")
        (tmp_path / "secret").write_text("s3cret")
        source_name = text.split('name = "')[1].split('"')[0]
        config_text = text[:at].replace("URL", one.url).replace("SETTINGS", "attempts = 1")
        config_text += COMPANIES.replace('"box"', f'"{source_name}"')
        (tmp_path / "synqup.toml").write_text(config_text)
        config = platform.load_config(tmp_path / "synqup.toml")
        one.lists = {
            "purchase-invoices": [
                {"id": number, "platform_id": str(1 + number % 2)} for number in range(6)
            ]
        }
        async with platform.opened(config) as source:
            assert source.by_company(config)
            source.only = {ONE}
            found = await platform.entries(source, config)
            assert {entry.id for entry in found} == {f"purchase/{n}" for n in (0, 2, 4)}
            assert {entry.meta.company for entry in found} == {ONE}
            assert all(entry.meta.config is config for entry in found)
            assert {request.query.get("platform_id") for request in one.asked} == {"1"}
            source.only = None
            assert len(await platform.entries(source, config)) == 6


async def test_billtobox_is_one_part_where_it_does_not_tell_companies_apart(
    tmp_path: Path,
) -> None:
    async with platform.platform() as one:
        config = platform.configure(tmp_path, one)
        async with platform.opened(config) as source:
            assert not source.by_company(config)
            assert [throttle.most for throttle in source.throttles] == [
                config.sources[0].concurrency
            ]


async def test_einvoice_be_walks_over_some_with_their_marks_alone(tmp_path: Path) -> None:
    async with einvoice.platform() as one:
        one.boxes = {
            (key, "inbox"): [einvoice.document(number) for number in range(2)]
            for key in ("key-1", "key-2")
        }
        config = einvoice.configure(tmp_path, one, two=True)
        async with einvoice.opened(config) as source:
            assert source.by_company(config)
            source.only = {TWO}
            found = await einvoice.entries(source, config)
            assert {entry.meta.company for entry in found} == {TWO}
            assert all(entry.meta.config is config for entry in found)
            marks = read_marks(source.cursor, source.settings.url)
            assert {name.partition("/")[0] for name in marks} == {TWO}
            # Documents are fetched and shown by all keys, whatever the walk was over.
            assert source.shows(f"{ONE}/inbox/1", ONE)


async def test_what_is_wrong_with_one_company_is_said_with_its_part(tmp_path: Path) -> None:
    async with einvoice.platform() as one:
        one.refused = {"key-1"}
        config = einvoice.configure(tmp_path, one, two=True)
        async with einvoice.opened(config) as source:
            source.only = {TWO}
            assert await einvoice.entries(source, config) == []
            source.only = {ONE}
            with pytest.raises(KeyRefused):
                await einvoice.entries(source, config)
            source.only = None
            with pytest.raises(PartFailed):
                await einvoice.entries(source, config)


async def test_a_company_without_a_key_is_missed_by_its_part_alone(tmp_path: Path) -> None:
    async with einvoice.platform() as one:
        config = einvoice.configure(tmp_path, one, more=einvoice.SECOND_COMPANY)
        async with einvoice.opened(config) as source:
            source.only = {ONE}
            await einvoice.entries(source, config)
            source.only = {TWO}
            with pytest.raises(SourceError, match="no key of this company"):
                await einvoice.entries(source, config)
