"""Worker: takes the engine's jobs in a thread with an event loop of its own, and hands them over.

The engine's connections need an event loop with selectors, which the program's own is not on every
system. A job is done when the one to whom it was handed says so; whatever comes of it, the engine
is told no more than that, for the table of units has the rest.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from pipeline.cluster.database import LIMIT, AsyncConnection, arguments, words
from pipeline.cluster.nodes import BEAT, STALLED
from pipeline.cluster.planner import TASK, queues

log = structlog.get_logger(__name__)

#: Seconds between two looks for a job where there was none; and until another try after a failure.
LOOK, AGAIN = 1.0, 1.0
#: Connections of the thread, at most.
CONNECTIONS = 4
#: Seconds that the thread is given to end.
END = 10.0

#: Takes a job: source, slice, and what is to be resolved when it is done. Called in the thread.
HandOver = Callable[[str, str, "Future[None]"], None]


class JobWorker:
    """The worker of one node. For each source that is served it takes one job at a time."""

    def __init__(self, dsn: str, node: str, hand_over: HandOver) -> None:
        self._dsn = dsn
        self._node = node
        self._hand_over = hand_over
        self._loop: asyncio.AbstractEventLoop | None = None
        self._served: dict[str, asyncio.Task[None]] = {}
        self._workers: dict[str, Worker] = {}
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._app: App | None = None
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        # Its records of each job would fill the log.
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        self._thread.start()
        self._ready.wait()

    def serve(self, source: str) -> None:
        """Take jobs of a source from now on."""
        self._call(lambda: self._serve(source))

    def cease(self, source: str) -> None:
        """Take no more jobs of a source; one that is in hand goes on."""
        self._call(lambda: self._cease(source))

    def stop(self) -> None:
        """Take no more jobs, and end when those in hand are done, or after END seconds."""

        def request() -> None:
            if self._stopping is not None:
                self._stopping.set()

        self._call(request)
        if self._thread.is_alive():
            self._thread.join(END)

    def _call(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # its loop is closed: it has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(work)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_tell)
        self._ready.set()
        while not self._stopping.is_set():
            try:
                app = self._new_app()
                async with app.open_async():
                    self._app = app
                    await self._stopping.wait()
                    for source in list(self._served):
                        self._cease(source)
                    await asyncio.gather(*self._served.values(), return_exceptions=True)
            except Exception as error:  # noqa: BLE001 - the heartbeat decides when it is too much
                log.warning("the cluster's jobs can't be asked for", reason=words(error))
                await _first(self._stopping, AGAIN)
            finally:
                self._app = None

    def _new_app(self) -> App:
        options = arguments(f"synqup {self._node}: jobs") | {"autocommit": True}
        options["options"] = f"-c statement_timeout={LIMIT * 1000:.0f}"
        app = App(
            connector=PsycopgConnector(
                conninfo=self._dsn,
                kwargs=options,
                connection_class=AsyncConnection,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=LIMIT,
            )
        )
        app.task(name=TASK)(self._do)
        return app

    async def _do(self, source: str, slice: str, node: str = "") -> None:  # noqa: A002, ARG002 - the names of its arguments
        done: Future[None] = Future()
        self._hand_over(source, slice, done)
        await asyncio.wrap_future(done)

    def _serve(self, source: str) -> None:
        before = self._served.get(source)
        if source in self._workers or self._stopping is None or self._stopping.is_set():
            return
        self._served[source] = asyncio.ensure_future(self._work(source, before))

    def _cease(self, source: str) -> None:
        if worker := self._workers.pop(source, None):
            worker.stop()  # type: ignore[no-untyped-call]
        elif task := self._served.get(source):
            task.cancel()

    async def _work(self, source: str, before: asyncio.Task[None] | None) -> None:
        """Work for a source until told to cease, whatever fails meanwhile."""
        if before is not None:
            await asyncio.wait([before])
        while True:
            app = self._app
            if app is None:
                await asyncio.sleep(AGAIN / 10)
                continue
            worker = self._workers[source] = Worker(
                app,
                queues=queues(source, self._node),
                name=f"{self._node}: {source}",
                concurrency=1,
                fetch_job_polling_interval=LOOK,
                abort_job_polling_interval=60.0,
                listen_notify=False,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=BEAT,
                stalled_worker_timeout=STALLED,
            )
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            except Exception as error:  # noqa: BLE001 - the heartbeat decides when it is too much
                log.warning("the cluster's jobs can't be asked for", reason=words(error))
            if self._workers.get(source) is not worker:
                return
            await asyncio.sleep(AGAIN)


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say in a line what the engine could not note of a job that another node has ended.

    So it is after this process stood still, or was cut off. Nobody waits for those tasks.
    """
    error = context.get("exception")
    if isinstance(error, ConnectorException):
        log.warning("the end of a job can't be noted", reason=words(error.__cause__ or error))
    else:
        loop.default_exception_handler(context)


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, for so many seconds at most."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
