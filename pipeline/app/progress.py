"""Shows how far a catch-up is: a bar on a terminal, plain lines elsewhere."""

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

from pipeline.engine.counters import Tally

#: Seconds between two looks at the tally, on a terminal and in a log.
LIVELY = 0.1
PATIENT = 5.0


class Display:
    """A console that a run is shown on."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def show(self, tally: Tally, expected: Callable[[], int | None]) -> None:
        """Follow a tally until cancelled."""
        if self._console.is_terminal:
            await self._bar(tally, expected)
        else:
            await self._lines(tally, expected)

    async def _bar(self, tally: Tally, expected: Callable[[], int | None]) -> None:
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
                    self._advance(progress, task, tally, expected(), began)
                    await anyio.sleep(LIVELY)
            finally:
                self._advance(progress, task, tally, expected(), began)

    def _advance(
        self, progress: Progress, task: object, tally: Tally, total: int | None, began: float
    ) -> None:
        seconds = max(anyio.current_time() - began, 0.001)
        progress.update(
            task,  # type: ignore[arg-type]
            completed=tally.done,
            total=None if total is None else max(total, tally.listed),
            bytes=decimal(tally.bytes),
            rate=f"{tally.done / seconds:,.0f}/s",
        )

    async def _lines(self, tally: Tally, expected: Callable[[], int | None]) -> None:
        began = anyio.current_time()
        while True:
            await anyio.sleep(PATIENT)
            self._console.print(
                line(tally, expected(), anyio.current_time() - began), highlight=False
            )


def line(tally: Tally, total: int | None, seconds: float) -> str:
    """One line of a log: documents, bytes, rate and time left."""
    rate = tally.done / seconds if seconds else 0.0
    of = f" of {max(total, tally.listed):,}" if total is not None else ""
    text = f"{tally.done:,}{of} documents, {decimal(tally.bytes)}, {rate:,.0f} documents/s"
    if total is not None and rate:
        text += f", {max(total - tally.done, 0) / rate:,.0f} s left"
    return text
