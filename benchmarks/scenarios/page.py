"""Scenario 12: what the page costs the service while it brings documents and somebody looks.

The service is started with its source paused; whoever looks opens the page; then the source is let
go. So what is measured is the bringing, and not the first opening of the page, which is told apart.
The processor time is that of the service alone: the browser's is not in it, but on few cores it
takes from the machine, which the documents a second show.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks import delivered, ours, plot
from benchmarks.dataset import Dataset
from benchmarks.failure import BenchmarkError
from benchmarks.measure import (
    Figure,
    Run,
    alternate,
    cpu_of,
    figure,
    memory_of,
    ratio,
    usual_environment,
)
from benchmarks.report import Report
from benchmarks.server import Server, serve
from benchmarks.watching import Viewer, browsers, listener, nobody
from benchmarks.workplace import Workplace, scratch
from pipeline.control.client import ask

DOCUMENTS = 10_000
#: The difference that is looked for is small.
ROUNDS = 7
#: Seconds in which all has to be brought, and in which the service has to end.
PATIENCE, ENDING = 600.0, 30.0
SOURCE = "billtobox"
NOBODY, EVENTS, BROWSER = "nobody looks", "its live events are read", "a browser is open on it"


def measure(work: Workplace) -> Report:
    """Bring the same documents with nobody looking, a reader of the events, and a browser."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    memory = work.memory()
    opening: dict[str, list[float]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(serve(dataset.root))
        viewers: dict[str, Viewer] = {NOBODY: nobody, EVENTS: listener}
        missing = ""
        try:
            viewers[BROWSER] = stack.enter_context(browsers())
        except BenchmarkError as error:
            missing = str(error)
        contenders: dict[str, Callable[[], Run]] = {
            name: partial(_watched, memory, dataset, server, viewer, opening.setdefault(name, []))
            for name, viewer in viewers.items()
        }
        results = alternate(contenders, work.rounds(ROUNDS), work.tell)
    alone = results[NOBODY]
    opened = figure(opening[EVENTS])
    return Report(
        scenario="page",
        title=f"The page: {len(dataset.items):,} documents by the service, into memory",
        columns=("", "documents/s", "CPU µs/document", "x the CPU", "x the speed", "peak MB"),
        rows=[_row(name, runs, alone) for name, runs in results.items()],
        charts={"page": plot.bars("Processor time", "µs/document", _cpu(results), BROWSER)},
        data={
            "documents": len(dataset.items),
            "companies": len(dataset.mailbox.companies),
            "runs": results,
            "seconds_of_processor_time_to_open_it": opening,
        },
        notes=(
            "x the CPU, x the speed: of the same round with nobody looking",
            f"to open the page for the first time takes {opened} s of processor time, once",
            *([f"no browser was measured: {missing}"] if missing else []),
        ),
    )


def _watched(
    base: Path, dataset: Dataset, server: Server, viewer: Viewer, opening: list[float]
) -> Run:
    """Bring everything by a service, from the moment that its source may be polled."""
    with scratch(base) as folder:
        config = ours.configure(folder, dataset, server.url, server.token_url)
        address = f"127.0.0.1:{_free_port()}"
        config.write_text(f'{config.read_text()}\n[monitor]\nlisten = "{address}"\n')
        pause = [*ours.SYNQUP, "pause", SOURCE, "--config", str(config)]
        subprocess.run(pause, cwd=ours.ROOT, check=True, stdout=subprocess.DEVNULL)
        log = folder / "log"
        with log.open("wb") as output, _service(config, output) as service:
            try:
                _wait(service, partial(_says, log, "the monitor listens"))
                began = cpu_of(service.pid)
                with viewer(f"http://{address}"):
                    opening.append(cpu_of(service.pid) - began)
                    run = _bring(service, folder, log, len(dataset.items))
            finally:
                service.terminate()
                service.wait(ENDING)
        delivered.check(folder / "out", dataset.items)
        ours.check_ledger(config, len(dataset.items))
    return run


def _bring(service: subprocess.Popen[bytes], folder: Path, log: Path, documents: int) -> Run:
    cpu, began = cpu_of(service.pid), time.perf_counter()
    ask(folder / "state", "resume", {"source": SOURCE})
    _wait(service, partial(_says, log, "poll brought documents"))
    seconds = time.perf_counter() - began
    return Run(documents, seconds, cpu_of(service.pid) - cpu, memory_of(service.pid))


def _service(config: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*ours.SYNQUP, "run", "--config", str(config)],
        cwd=ours.ROOT,
        env=usual_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def _wait(service: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        if service.poll() is not None or time.monotonic() > until:
            raise BenchmarkError("the service has ended, or does not get on")
        time.sleep(0.01)


def _says(log: Path, words: str) -> bool:
    return words in log.read_text(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _row(name: str, runs: Sequence[Run], alone: Sequence[Run]) -> tuple[str, ...]:
    return (
        name,
        str(figure(run.rate for run in runs)),
        str(figure(run.cpu_each for run in runs)),
        str(ratio([run.cpu for run in runs], [run.cpu for run in alone])),
        str(ratio([run.rate for run in runs], [run.rate for run in alone])),
        f"{figure(run.peak for run in runs).median / 1e6:,.0f}",
    )


def _cpu(results: dict[str, list[Run]]) -> dict[str, Figure]:
    return {name: figure(run.cpu_each for run in runs) for name, runs in results.items()}
