"""A document is fetched from where the platform says, without the key, and from nowhere else."""

from __future__ import annotations

import hashlib
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import structs

from pipeline.errors import Rejected, RetryableError, SourceError, SynqupError
from pipeline.retry import RetryPolicy
from pipeline.source import Incoming
from stages.sources.http.client import HttpClient
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.settings import Timeouts
from stages.sources.http.signed_address import SignedAddresses
from tests.helpers.einvoice import Platform, configure, entries, opened, platform
from tests.helpers.serving import serving

pytestmark = pytest.mark.anyio

BYTES = b"<Invoice/>"
SHA256 = hashlib.sha256(BYTES).hexdigest()
MD5 = hashlib.md5(BYTES).hexdigest()


async def fetched(
    folder: Path,
    one: Platform,
    form: str = "",
    first_seen: float | None = None,
    **settings: Any,
) -> tuple[bytes, Incoming]:
    one.boxes["key-1", "inbox"] = [{"id": "a/b", "created_at": "2020-01-01", "invoice_id": "7"}]
    config = configure(folder, one, outbox=False, **settings)
    async with opened(config) as source:
        (entry,) = await entries(source, config)
        entry = structs.replace(entry, first_seen=first_seen)
        request: AbstractAsyncContextManager[Incoming] = source.fetch(entry, form)
        async with request as incoming:
            return b"".join([chunk async for chunk in incoming.chunks]), incoming


async def test_the_key_does_not_go_to_the_storage(tmp_path: Path) -> None:
    async with platform() as one:
        body, _ = await fetched(tmp_path, one)
        assert body == b"<bytes/>"
        (request,) = one.stored
        assert "Authorization" not in request.headers
        assert "key-1" not in str(request.headers)
        # A signature is of the address as it is written.
        assert request.path_qs.endswith("signature=a%2Fb")
        assert one.asked[-1].rel_url.raw_path == "/api/documents/a%2Fb/ubl"


@pytest.mark.parametrize(
    ("stated", "algorithm"),
    [
        (SHA256, "sha-256"),
        (SHA256.upper(), "sha-256"),
        (f" {MD5} ", "md5"),
        ("sha1:abcdef", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
async def test_a_hash_is_taken_for_what_its_length_says(
    tmp_path: Path, stated: object, algorithm: str | None
) -> None:
    async with platform() as one:
        usual = one.usual_ubl
        one.ubl = lambda request: usual(request) | {"file_hash": stated, "file_size": 10}
        one.file = lambda _: web.Response(body=BYTES)
        _, incoming = await fetched(tmp_path, one)
        found = [(c.stated_in, c.algorithm) for c in incoming.announced.checksums]
        assert found == ([("file_hash", algorithm)] if algorithm else [])
        _, incoming = await fetched(tmp_path, one, stated="ignore")
        assert incoming.announced.checksums == ()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_address_that_has_expired_is_replaced_by_a_new_one(
    tmp_path: Path, status: int
) -> None:
    async with platform() as one:
        one.file = lambda _: web.Response(
            status=status if len(one.stored) == 1 else 200, body=BYTES
        )
        body, _ = await fetched(tmp_path, one)
        assert body == BYTES
        assert len([r for r in one.asked if r.path.endswith("/ubl")]) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_document_that_its_storage_never_gives_is_not_asked_for_without_end(
    tmp_path: Path, status: int
) -> None:
    async with platform() as one:
        one.file = lambda _: web.Response(status=status)
        with pytest.raises(RetryableError, match=f"its storage answers {status} to each address"):
            await fetched(tmp_path, one)
        assert len(one.stored) == 3


@pytest.mark.parametrize(
    "said",
    [
        {"signed_url": None},
        {"signed_url": ""},
        {},
        {"signed_url": 7},
        404,
    ],
)
@pytest.mark.parametrize("hours", [1, 25])
async def test_a_document_without_a_ubl_waits_and_is_quarantined_in_the_end(
    tmp_path: Path, said: Any, hours: int
) -> None:
    async with platform() as one:
        one.ubl = lambda _: (
            web.json_response({"detail": "Not found"}, status=404) if said == 404 else said
        )
        seen = time.time() - hours * 3600
        with pytest.raises(RetryableError if hours == 1 else Rejected, match="no UBL of it"):
            await fetched(tmp_path, one, first_seen=seen)
        with pytest.raises(RetryableError, match="no UBL of it yet"):
            await fetched(tmp_path, one, first_seen=seen, ubl_wait="2d")
        with pytest.raises(RetryableError, match="no UBL of it yet"):
            await fetched(tmp_path, one)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://evil.example/x", "leads to evil.example, which storage_hosts does not name"),
        ("https://e-invoice.be.evil.example/x", "which storage_hosts does not name"),
        ("https://xe-invoice.be/x", "which storage_hosts does not name"),
        ("http://files.e-invoice.be/x", "without encryption"),
        ("http://169.254.169.254/latest", "without encryption"),
        ("https://us:secret@files.e-invoice.be/x", "holds a user or a password"),
        ("file:///etc/passwd", "what should be its address is none"),
        ("/relative", "what should be its address is none"),
        ("https://[", "what should be its address is none"),
        ("not an address", "what should be its address is none"),
    ],
)
async def test_an_address_elsewhere_is_not_followed(
    tmp_path: Path, address: str, said: str
) -> None:
    async with platform() as one:
        one.ubl = lambda _: {"signed_url": address}
        with pytest.raises(SynqupError, match=said) as refused:
            await fetched(tmp_path, one)
        # It waits: here a host may be named, or the platform gives another address.
        assert not isinstance(refused.value, Rejected)
        assert "secret" not in str(refused.value)
        assert not one.stored


async def test_a_redirect_is_followed_within_the_storage_and_to_nowhere_else(
    tmp_path: Path,
) -> None:
    async with platform() as one:
        one.file = lambda request: (
            web.Response(status=302, headers={"Location": "/there"})
            if request.path == "/x"
            else web.Response(body=BYTES)
        )
        assert (await fetched(tmp_path, one))[0] == BYTES
        one.file = lambda _: web.Response(
            status=307, headers={"Location": "https://evil.example/?key-1"}
        )
        with pytest.raises(SourceError, match=r"evil\.example, which storage_hosts"):
            await fetched(tmp_path, one)
        one.file = lambda _: web.Response(status=302, headers={"Location": "/x"})
        with pytest.raises(SourceError, match="redirects"):
            await fetched(tmp_path, one)


async def test_a_host_of_this_machine_has_to_be_named_unless_the_platform_is_here_too(
    tmp_path: Path,
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=BYTES)

    async with serving(answer) as url:
        http = HttpClient("x", connections=2, timeouts=Timeouts(5, 5, 5))
        limiter = ConcurrencyLimiter(2, RetryPolicy())
        try:
            for hosts, local, works in (
                ((), True, True),
                ((), False, False),
                (("127.0.0.1",), False, True),
                ((f"127.0.0.1:{url.port}",), False, True),
                (("127.0.0.1:1",), False, False),
                (("*.0.0.1",), False, True),
            ):
                request = SignedAddresses(hosts, http, limiter, local=local).get(str(url), "it")
                if works:
                    async with request as response:
                        assert response.status == 200
                else:
                    with pytest.raises(SourceError, match="storage_hosts"):
                        async with request:
                            pass
        finally:
            await http.close()


async def test_the_pdf_is_the_attachment_of_that_type(tmp_path: Path) -> None:
    async with platform() as one:
        pdf = {"id": "p", "file_name": "7.pdf", "file_type": "application/pdf", "file_size": 5}
        other = {"id": "q", "file_name": "terms.pdf", "file_type": "application/pdf"}
        sheet = {"id": "s", "file_name": "7.csv", "file_type": "text/csv"}

        def attachments(request: web.Request) -> Any:
            if request.path.endswith("/p"):
                return pdf | {"file_url": f"{one.storage}/pdf"}
            return [sheet, other | {"file_url": f"{one.storage}/terms"}, pdf]

        one.attachments = attachments
        one.file = lambda request: web.Response(body=request.path.encode())
        body, _ = await fetched(tmp_path, one, "pdf")
        assert body == b"/pdf"
        one.attachments = lambda _: [sheet]
        with pytest.raises(Rejected, match="has no PDF of it"):
            await fetched(tmp_path, one, "pdf")
        one.attachments = lambda _: [pdf | {"file_url": None, "id": None}]
        with pytest.raises(Rejected, match="no address of it"):
            await fetched(tmp_path, one, "pdf")
        with pytest.raises(Rejected, match="does not have it as html"):
            await fetched(tmp_path, one, "html")


@pytest.mark.parametrize(
    ("attachments", "forms"),
    [
        (None, None),
        ([], ()),
        ([{"id": "s", "file_type": "text/csv", "file_name": "a.pdf"}], ()),
        ([{"file_type": "Application/PDF; x=1", "file_size": 5}], (("pdf", 5),)),
        ([{"file_name": "A.PDF", "file_size": 0}], (("pdf", None),)),
    ],
)
async def test_the_list_tells_which_forms_there_are(
    tmp_path: Path, attachments: Any, forms: Any
) -> None:
    async with platform() as one:
        one.boxes["key-1", "inbox"] = [{"id": "a", "attachments": attachments}]
        config = configure(tmp_path, one, outbox=False)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            found = entry.forms
            assert (None if found is None else tuple((f.name, f.size) for f in found)) == forms


async def test_a_key_that_is_refused_for_a_document_is_its_company_s_trouble(
    tmp_path: Path,
) -> None:
    async with platform() as one:
        one.ubl = lambda _: web.json_response({"detail": "revoked"}, status=401)
        with pytest.raises(SynqupError, match="One: the platform does not take its key") as refused:
            await fetched(tmp_path, one)
        assert type(refused.value) is SourceError


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"<html>"])
async def test_an_answer_that_is_no_json_is_tried_again(tmp_path: Path, said: bytes) -> None:
    async with platform() as one:
        one.ubl = lambda _: web.Response(body=said)
        with pytest.raises(RetryableError):
            await fetched(tmp_path, one)
