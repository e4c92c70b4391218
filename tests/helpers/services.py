"""A service within this process that polls often, and those who ask its monitor over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from pipeline.app.lock import single_instance
from pipeline.app.service import Service, open_service
from pipeline.app.wiring import Config, open_application
from pipeline.config.monitor import MonitorSettings
from pipeline.config.types import Duration

PATIENCE = 100
#: Any free port of this machine.
HERE = MonitorSettings("127.0.0.1:0")


def often(config: Config, seconds: float = 0.05) -> Config:
    """The same configuration, polled after so many seconds."""
    service = structs.replace(config.service, poll_interval=Duration(seconds))
    return structs.replace(config, service=service)


def watched(config: Config, monitor: MonitorSettings = HERE, interval: float = 0.05) -> Config:
    """The same configuration, polled often, and with a monitor."""
    return structs.replace(often(config, interval), monitor=monitor)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Service]:
    with single_instance(config.service.state_dir):
        async with (
            open_application(config) as application,
            open_service(application, config) as service,
            application.engine.running(),
            anyio.create_task_group() as group,
        ):
            service.start(group)
            yield service
            group.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.01)


class Visitor:
    """One who asks the monitor of a service, with each request on a connection of its own."""

    def __init__(self, service: Service, session: aiohttp.ClientSession) -> None:
        self.service = service
        self._session = session

    @property
    def port(self) -> int:
        return self.service.monitor.addresses[0].port

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        await until(lambda: self.service.monitor.addresses)
        url = f"http://127.0.0.1:{self.port}{path}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.get(url, headers=sent) as answer:
            return answer.status, await answer.text()

    async def ready(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.get("/ready")
        return status, json.loads(text)

    async def until_ready(self, wanted: bool = True) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE):
            while True:
                status, told = await self.ready()
                assert status == (200 if told["ready"] else 503)
                if told["ready"] is wanted:
                    return told
                await anyio.sleep(0.02)

    async def metrics(self) -> dict[str, float]:
        """Each sample by its name and labels, as they are written."""
        status, text = await self.get("/metrics")
        assert status == 200
        return samples(text)


def samples(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
            name = f"{one.name}{{{labels}}}" if labels else one.name
            assert name not in found
            found[name] = one.value
    return found


@asynccontextmanager
async def visiting(config: Config) -> AsyncIterator[Visitor]:
    """Run a service by a configuration, and visit it."""
    connector, timeout = aiohttp.TCPConnector(force_close=True), aiohttp.ClientTimeout(PATIENCE)
    async with (
        running(config) as service,
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
    ):
        yield Visitor(service, session)
