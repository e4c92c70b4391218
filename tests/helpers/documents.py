"""Documents as they come to the later stages, under a configuration made for the test."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.app.wiring import load_config
from pipeline.document import Ack, Document, Key
from pipeline.payload import Payload
from pipeline.source import Announced, Entry
from stages.classify import Classify
from stages.formats.registry import read
from stages.kind import Kind
from stages.model import Classified, Fetched, Listed, Verified
from stages.settings import Config
from stages.sources.billtobox.source import BilltoboxSource

#: The supplier and the customer of tests/helpers/invoices.py.
SUPPLIER, CUSTOMER = "BE0403170701", "BE0417497106"

CONFIG = """
[service]
state_dir = "state"
max_document_size = 100000
spool_threshold = 20000
[delivery]
purchases = "out/[enterprise_identifier]/in"
sales = "out/[enterprise_identifier]/out"
statements = "out/[enterprise_identifier]/coda"
invoice_name = "[document_number]"
DELIVERY
[[sources]]
name = "box"
kind = "billtobox"
url = "URL/v4"
token_url = "URL/token"
client_id = "us"
client_secret = { file = "secret" }
attempts = 2
retry_wait = 0.01
longest_retry_wait = 0.02
stall_timeout = 0.3
[[companies]]
name = "Supplier"
identifier = "BE0403170701"
source = "box"
"""


def configured(
    folder: Path, delivery: str = "", more: str = "", url: str = "", service: str = ""
) -> Config:
    """delivery, service: further lines there. more: at the end, so first of the company."""
    (folder / "secret").write_text("s3cret")
    text = CONFIG.replace("[service]\n", f"[service]\n{service}\n").replace("DELIVERY", delivery)
    text = text.replace("URL", url or "http://127.0.0.1:9")
    (folder / "synqup.toml").write_text(text + more)
    return load_config(folder / "synqup.toml")


def fetched(
    config: Config,
    data: str | bytes,
    id_: str = "1",
    *,
    source: str = "box",
    spool: Path | None = None,
    **hints: Any,
) -> Document[Fetched]:
    """A document whose bytes have come. hints: what the list says of it, as in Listed."""
    data = data.encode() if isinstance(data, str) else data
    listed = Listed(config, **{"id": id_, "kind": Kind.SALES, **hints})
    entry = Entry(f"sales/{id_}", "", f"invoice {id_}", listed)
    if spool is not None:
        spool.write_bytes(data)
    payload = Payload(len(data), sha256(data).hexdigest(), data if spool is None else None, spool)
    at = BilltoboxSource(config.sources[0], config.service.state_dir)
    return Document(
        Key(source, entry.id, ""),
        entry,
        Ack(at, entry.id),
        seen_at=1.0,
        meta=Fetched(listed, Announced("application/xml")),
        payload=payload,
    )


def verified(config: Config, *arguments: Any, **hints: Any) -> Document[Verified]:
    """The same once it has been verified, by a checksum."""
    document = fetched(config, *arguments, **hints)
    assert document.payload is not None
    content = read(document.payload).content
    assert content is not None
    listed = document.meta.listed
    return document.with_meta(Verified(listed, content, "sha-256", (), "application/xml", 2.0))


async def classified(config: Config, *arguments: Any, **hints: Any) -> Document[Classified]:
    """The same once it has been classified; as verified()."""
    return await Classify().process(verified(config, *arguments, **hints))
