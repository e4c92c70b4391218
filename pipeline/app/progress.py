"""Progress display of a catch-up: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from pipeline.engine.counters import Counters

#: Seconds between two updates, on a terminal and elsewhere.
TERMINAL_INTERVAL = 0.1
LINES_INTERVAL = 5.0


class Display:
    """Shows the counters of a run on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def show(self, counters: Counters, expected: Callable[[], int | None]) -> None:
        """Show the counters until cancelled.

        expected: says how many documents there are in all; None while that is not known.
        """
        if self._console.is_terminal:
            await self._bar(counters, expected)
        else:
            await self._lines(counters, expected)

    async def _bar(self, counters: Counters, expected: Callable[[], int | None]) -> None:
        progress = Progress(
            SpinnerColumn("dots" if self._console.encoding.startswith("utf") else "line"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("documents  {task.fields[bytes]}  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        began = anyio.current_time()
        with progress:
            task = progress.add_task("", total=None, bytes="", rate="")
            try:
                while True:
                    self._advance(progress, task, counters, expected(), began)
                    await anyio.sleep(TERMINAL_INTERVAL)
            finally:
                self._advance(progress, task, counters, expected(), began)

    def _advance(
        self, progress: Progress, task: object, counters: Counters, total: int | None, began: float
    ) -> None:
        seconds = max(anyio.current_time() - began, 0.001)
        progress.update(
            task,  # type: ignore[arg-type]
            completed=counters.done,
            total=None if total is None else max(total, counters.listed),
            bytes=decimal(counters.bytes),
            rate=f"{counters.done / seconds:,.0f}/s",
        )

    async def _lines(self, counters: Counters, expected: Callable[[], int | None]) -> None:
        began = anyio.current_time()
        while True:
            await anyio.sleep(LINES_INTERVAL)
            self._console.print(
                line(counters, expected(), anyio.current_time() - began), highlight=False
            )


def line(counters: Counters, total: int | None, seconds: float) -> str:
    """One line for a log: documents, bytes, documents a second, and seconds left."""
    rate = counters.done / seconds if seconds else 0.0
    of = f" of {max(total, counters.listed):,}" if total is not None else ""
    text = f"{counters.done:,}{of} documents, {decimal(counters.bytes)}, {rate:,.0f} documents/s"
    if total is not None and rate:
        text += f", {max(total - counters.done, 0) / rate:,.0f} s left"
    return text
