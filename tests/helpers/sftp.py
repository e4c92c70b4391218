"""Polls of an SFTP source by the whole program, and what became of the files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.wiring import Config, load_config
from pipeline.source import Entry
from stages.sources.sftp.source import SftpSource
from tests.helpers.invoices import ubl

PATIENCE = 100
STRANGER = '<cbc:EndpointID schemeID="0208">0712345630</cbc:EndpointID>'

CONFIG = """
[service]
state_dir = "state"
[delivery]
purchases = "out/[enterprise_identifier]/in"
sales = "out/[enterprise_identifier]/out"
statements = "out/[enterprise_identifier]/coda"
invoice_name = "[document_number]"
statement_name = "[document_number]"
DELIVERY
SOURCE
[[companies]]
name = "Supplier"
identifier = "BE0403170701"
accounting_file_id = "SUPP01"
source = "box"
[[companies]]
name = "Customer"
identifier = "BE0417497106"
accounting_file_id = "CUST01"
source = "box"
"""


def configured(folder: Path, section: str, delivery: str = "", more: str = "") -> Config:
    """A configuration with one source, and two companies that know each other."""
    text = CONFIG.replace("DELIVERY", delivery).replace("SOURCE", section) + more
    (folder / "synqup.toml").write_text(text)
    return load_config(folder / "synqup.toml")


def invoice(number: str, size: int = 0, customer: str = STRANGER) -> bytes:
    """A sale of the first company, with a comment of so many bytes."""
    text = ubl(customer=customer).replace("F-1", number)
    return text.replace("</Invoice>", f"<!--{'x' * size}--></Invoice>").encode()


async def catch_up(config: Config) -> CatchUpResult:
    """Bring what is there, as the command does."""
    with single_instance(config.service.state_dir), anyio.fail_after(PATIENCE):
        return await CatchUp(config).run(_show)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[SftpSource]:
    source = SftpSource(config.sources[0], config.service.state_dir)  # type: ignore[arg-type]
    try:
        with anyio.fail_after(PATIENCE):
            yield source
    finally:
        await source.close()


async def entries(source: SftpSource, config: Config) -> list[Entry]:
    return [entry async for page in source.list(config) for entry in page]


def listed(found: list[Entry]) -> list[str]:
    return sorted(entry.id for entry in found)


async def content(source: SftpSource, entry: Entry, form: str = "") -> bytes:
    async with source.fetch(entry, form) as incoming:
        return b"".join([chunk async for chunk in incoming.chunks])


def delivered(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder / "out").as_posix()
        for path in (folder / "out").rglob("*")
        if path.is_file()
    )


async def _show(*_: object) -> None:
    await anyio.sleep_forever()
