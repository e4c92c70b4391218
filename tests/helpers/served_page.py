"""A service with its page, whose documents have been delivered, and a browser signed in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pipeline.app.wiring import Config
from tests.helpers.services import Visitor, until, visiting
from tests.helpers.trial import Trial


@asynccontextmanager
async def served(it: Trial, config: Config) -> AsyncIterator[tuple[Visitor, str]]:
    """A service whose documents have been delivered, and the address of its page."""
    async with visiting(config) as visitor:
        await until(lambda: visitor.service.monitor.addresses)
        await until(lambda: it.delivered() == it.held())
        yield visitor, f"http://127.0.0.1:{visitor.port}"


async def signed_in(visitor: Visitor, page: Any, name: str = "Ann") -> None:
    await page.goto("/open?" + str(visitor.service.monitor.invite(name)).partition("?")[2])
