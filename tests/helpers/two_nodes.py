"""Two nodes of a cluster within this process, each with a state folder and a monitor of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
from msgspec import structs

from pipeline.app.clustering import joined
from pipeline.app.service import open_service
from pipeline.app.wiring import Config, open_application
from pipeline.config.cluster import ClusterSettings
from pipeline.config.types import Secret
from tests.helpers.services import PATIENCE, Visitor


def node_of(config: Config, folder: Path, dsn: str, name: str) -> Config:
    """The configuration of a node."""
    secret = folder / "dsn"
    secret.write_text(dsn)
    secret.chmod(0o600)
    state_dir = folder / f"state-{name}"
    state_dir.mkdir(exist_ok=True)
    shared = folder / "shared"
    shared.mkdir(exist_ok=True)
    return structs.replace(
        config,
        service=structs.replace(config.service, state_dir=state_dir),
        cluster=ClusterSettings(Secret(file=str(secret)), shared, name),
    )


@asynccontextmanager
async def node(config: Config) -> AsyncIterator[Visitor]:
    """Run a node by a configuration, and visit it."""
    connector, timeout = aiohttp.TCPConnector(force_close=True), aiohttp.ClientTimeout(PATIENCE)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(joined(config))
        application = await stack.enter_async_context(open_application(config))
        service = await stack.enter_async_context(open_service(application, config, cluster))
        await stack.enter_async_context(application.engine.running())
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=timeout)
        )
        async with anyio.create_task_group() as group:
            service.start(group)
            yield Visitor(service, session)
            group.cancel_scope.cancel()


@asynccontextmanager
async def two_nodes(
    config: Config, folder: Path, dsn: str
) -> AsyncIterator[tuple[Visitor, Visitor]]:
    """Run the nodes n1 and n2."""
    async with (
        node(node_of(config, folder, dsn, "n1")) as one,
        node(node_of(config, folder, dsn, "n2")) as two,
    ):
        yield one, two
