"""HTTP server of the sandbox: serves a mailbox on this machine by the wire format of a platform."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from pipeline.errors import ConfigurationError
from stages.sandbox.authorization import authorization_routes
from stages.sandbox.fault_injection import Faults
from stages.sandbox.fault_spec import FaultSpec
from stages.sandbox.journal import open_journal
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Platform, Sandbox
from stages.sandbox.pushing import pushing
from stages.sandbox.tokens import (
    CLIENT_ID,
    PUBLIC_CLIENT_ID,
    IssuerRules,
    Tokens,
)
from stages.sandbox.wire import Record, Wire

#: Seconds that open requests are given to end when the sandbox closes.
CLOSING = 1.0


def serve_sandbox(
    mailbox: Mailbox,
    *,
    platform: Platform,
    host: str = "127.0.0.1",
    port: int = 0,
    latency: float = 0.0,
    journal: Path | None = None,
    faults: Faults | None = None,
    tls: Path | None = None,
    rules: IssuerRules | None = None,
) -> AbstractAsyncContextManager[Sandbox]:
    """Serve a mailbox as a platform until the context is left.

    port: 0 takes a free one. latency: seconds from each request to its answer. journal: a file to
    which a line is appended for each acknowledgement. tls: a certificate with its key (PEM), for
    https. rules: of the issuer of its tokens, if not those of the platform. ConfigurationError if
    the port is taken.
    """
    if isinstance(platform, Wire):
        return _serve_http(
            mailbox,
            wire=platform,
            host=host,
            port=port,
            latency=latency,
            journal=journal,
            faults=faults,
            tls=tls,
            rules=rules,
        )
    return platform.serve(
        mailbox,
        host=host,
        port=port,
        latency=latency,
        journal=journal,
        faults=faults.specs if faults else (),
        tls=tls,
    )


@asynccontextmanager
async def _serve_http(
    mailbox: Mailbox,
    *,
    wire: Wire,
    host: str,
    port: int,
    latency: float,
    journal: Path | None,
    faults: Faults | None,
    tls: Path | None,
    rules: IssuerRules | None,
) -> AsyncIterator[Sandbox]:
    tokens = Tokens(mailbox.seed, rules or wire.rules)
    faults = faults or Faults()
    context = _certificate(tls)
    first_refresh_token = tokens.refresh_token
    with open_journal(journal) as record:
        app = _application(mailbox, wire, tokens, record, latency, faults)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSING)
        storage: web.AppRunner | None = None
        await runner.setup()
        try:
            await _listen(runner, (host, port), context)
            port = runner.addresses[0][1]
            scheme = "https" if context else "http"
            origin = URL.build(scheme=scheme, host=host, port=port)
            injection = faults.middleware(tokens, mailbox, wire)
            storage = await _serve_storage(mailbox, wire, host, context, injection)
            url_path = wire.base_path if wire.url_path is None else wire.url_path
            sandbox = Sandbox(
                platform=wire,
                url=str(origin.with_path(url_path)),
                token_url=str(origin.with_path(wire.token_path)),
                client_id=CLIENT_ID,
                client_secret=tokens.client_secret,
                refresh_token=first_refresh_token,
                authorize_url=str(origin.with_path(wire.authorize_path)),
                public_client_id=PUBLIC_CLIENT_ID,
                issuer=tokens,
                storage_url=wire.storage_url,
            )
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(pushing(wire.push_url, mailbox, wire.push))
                if closed := faults.closed():
                    closing = await stack.enter_async_context(anyio.create_task_group())
                    stack.callback(closing.cancel_scope.cancel)
                    for spec in closed:
                        closing.start_soon(_close_for_a_while, runner, (host, port), context, spec)
                        faults.hits[spec.name] += 1
                yield sandbox
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
                if storage is not None:
                    await storage.cleanup()


async def _serve_storage(
    mailbox: Mailbox, wire: Wire, host: str, context: ssl.SSLContext | None, injection: Middleware
) -> web.AppRunner | None:
    """Serve what another host of the platform holds, if it has one, and tell the wire where."""
    if not (routes := wire.storage(mailbox)):
        return None
    app = web.Application(middlewares=[injection])
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSING)
    await runner.setup()
    await _listen(runner, (host, 0), context)
    scheme = "https" if context else "http"
    wire.storage_url = str(URL.build(scheme=scheme, host=host, port=runner.addresses[0][1]))
    return runner


async def _listen(
    runner: web.AppRunner, address: tuple[str, int], context: ssl.SSLContext | None
) -> None:
    host, port = address
    try:
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except OSError as error:
        raise ConfigurationError(
            f"{host}:{port}",
            [f"--port: can't listen there ({error.strerror}); name another, or 0 for any"],
        ) from error


async def _close_for_a_while(
    runner: web.AppRunner,
    address: tuple[str, int],
    context: ssl.SSLContext | None,
    spec: FaultSpec,
) -> None:
    await anyio.sleep(spec.after)
    for site in list(runner.sites):
        await site.stop()
    await anyio.sleep(spec.until - spec.after)
    await _listen(runner, address, context)


def _certificate(path: Path | None) -> ssl.SSLContext | None:
    if path is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(path)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            str(path), [f"--tls: this is no certificate with its key in PEM form ({error})"]
        ) from None
    return context


def _application(
    mailbox: Mailbox, wire: Wire, tokens: Tokens, record: Record, latency: float, faults: Faults
) -> web.Application:
    async def token(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return tokens.answer(await request.post())
        try:
            return tokens.answer(msgspec.json.decode(await request.read(), type=dict[str, str]))
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    @web.middleware
    async def delay(request: web.Request, handler: Handler) -> web.StreamResponse:
        due = anyio.current_time() + latency
        try:
            return await handler(request)
        finally:
            # The latency includes the time that it took to make the answer.
            await anyio.sleep_until(due)

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            response = wire.error(request, error)
            if "WWW-Authenticate" in error.headers:
                response.headers["WWW-Authenticate"] = error.headers["WWW-Authenticate"]
            return response

    api = web.Application(middlewares=[wire.authentication(tokens, mailbox)])
    api.add_routes(wire.routes(mailbox, record))
    injection = faults.middleware(tokens, mailbox, wire)
    app = web.Application(middlewares=[errors, delay, injection])
    app.router.add_post(wire.token_path, token)
    app.add_routes(authorization_routes(tokens, wire.authorize_path))
    app.add_subapp(wire.base_path, api)
    return app
