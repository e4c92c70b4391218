"""Control without a service: does one action in this process, and ends when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import anyio.to_thread

from pipeline.app.catch_up import LEDGER_TIMEOUT
from pipeline.app.control import Control
from pipeline.app.node_turns import compare_shared_folder
from pipeline.app.wiring import Application, Config, open_application
from pipeline.control.actions import ActionResult
from pipeline.control.client import NoService
from pipeline.control.handlers import handlers_of
from pipeline.errors import SynqupError
from pipeline.records import RecordSink
from pipeline.source import Source


class Unpolled:
    """The sources of a configuration, each opened when it is needed first; nothing polls them."""

    def __init__(self, config: Config, application: Application, stack: AsyncExitStack) -> None:
        self.config = config
        self._application = application
        self._stack = stack
        self._open: dict[str, Source | None] = {}
        #: The sources that were to be polled at once.
        self.asked: list[str] = []

    def source(self, name: str) -> Source | None:
        """A source that is open; None if that is not possible."""
        if name not in self._open:
            self._open[name] = None
            for settings in self.config.sources:
                if settings.name == name:
                    self._open[name] = self._opened(settings)
        return self._open[name]

    def poll_now(self, source: str) -> None:
        """Nothing is polled here: the next poll is that of a service to come, or another node."""
        self.asked.append(source)

    def hold(self, source: str, since: float | None, by: str) -> None:  # noqa: ARG002
        """As poll_now(): the ledger keeps it."""
        if since is None:
            self.asked.append(source)

    def _opened(self, settings: Any) -> Source | None:
        try:
            source = self._application.open(settings)
        except SynqupError:
            return None
        self._stack.push_async_callback(self._application.close, source)
        return source


async def do_alone(
    config: Config, action: str, arguments: Mapping[str, Any], who: str, sink: RecordSink
) -> ActionResult:
    """Do an action and all orders that are open. SynqupError if it can't be done."""
    nodes = None
    if config.cluster is not None:
        # The nodes do it, if there are any.
        from pipeline.app.control_nodes import Nodes  # noqa: PLC0415 - an extra

        nodes = Nodes(config)
    try:
        is_for_nodes = nodes is not None and await nodes.are_alive()
        if action == "poll" and not is_for_nodes:
            raise NoService(str(config.service.state_dir))
        if config.cluster is not None:
            await anyio.to_thread.run_sync(compare_shared_folder, config.cluster)
        result: ActionResult
        async with (
            open_application(config, LEDGER_TIMEOUT, sink=sink) as application,
            AsyncExitStack() as stack,
        ):
            unpolled = Unpolled(config, application, stack)
            control = Control(application, unpolled)
            handler = handlers_of(control.actions)[action]
            if nodes is not None and is_for_nodes:
                result = await handler(arguments, who)
                await nodes.poll_now(unpolled.asked)
                # The last one may have left, a catch-up for instance, before it knew of this.
                is_done = not result.open or await nodes.are_alive()
            else:
                result = await handler({**arguments, "wait": 0.0}, who)
                is_done = not result.orders
            if is_done:
                return result
            async with application.engine.running():
                await control.worker.work()
                return await control.actions.outcome(result)
    finally:
        if nodes is not None:
            nodes.close()
