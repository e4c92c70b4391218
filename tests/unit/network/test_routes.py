"""Routes: whoever sends with aiohttp takes them, and TLS trusts the system's authorities."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from pipeline.errors import SourceError
from pipeline.network.proxy import ProxySettings
from pipeline.network.routes import Routes
from pipeline.network.trust import tls_context
from tests.helpers.authority import Authority
from tests.helpers.proxy import InspectingProxy, proxying
from tests.helpers.serving import serving
from tests.helpers.systems import not_under_wine

pytestmark = pytest.mark.anyio


async def test_a_request_of_any_section_takes_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{sorted(request.headers)}")

    async with (
        serving(answer) as url,
        proxying(InspectingProxy(credentials="us:secret")) as proxy,
        aiohttp.ClientSession() as session,
    ):
        monkeypatch.setenv("HTTP_PROXY", f"us:secret@{proxy.address}")
        for setting in ("system", "none"):
            routes = Routes("alerts", ProxySettings(setting, section="[alerts]"))
            route = await routes.to(url)
            async with session.post(
                url, headers=route.headers({"X-Own": "1"}), **route.options
            ) as response:
                assert response.status == 200
                said = await response.text()
                assert "X-Own" in said
                assert "Proxy-Authorization" not in said
        assert len(proxy.heads) == 1


async def test_nothing_is_read_for_an_address_without_tls() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async with serving(answer) as url:
        route = await Routes("source box").to(url)
        assert route.proxy is None
        assert route.options["ssl"] is True


async def test_a_file_that_is_no_certificate_is_said(tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_text("none")
    with pytest.raises(SourceError, match=r"root.pem can't be used .*Name a readable file"):
        await Routes("source box", ca_file=path).to(URL("https://example.com"))


def test_a_context_verifies_names_and_certificates(tmp_path: Path) -> None:
    for ca_file in (None, Authority(tmp_path).root):
        context = tls_context(ca_file)
        assert isinstance(context, ssl.SSLContext)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname


@not_under_wine("8 verifies by no roots but its own")
async def test_an_authority_below_the_root_can_be_named(tmp_path: Path) -> None:
    """It is all that many have of their authorities."""
    below = Authority(tmp_path / "below", "Issuing Authority", above=Authority(tmp_path))

    async def answer(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = InspectingProxy()
    host, port = await server.listen(answer, below.server_context("127.0.0.1"))
    url = URL(f"https://{host}:{port}/")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(url, **(await Routes("box").to(url)).options)
        route = await Routes("box", ca_file=below.root).to(url)
        async with session.get(url, **route.options) as response:
            assert response.status == 204
    await server.close()
