"""What a scenario found: rows for the table, charts, and all of it as JSON."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.measure import Figure, Run, figure, ratio


class Report(Struct, frozen=True):
    """The outcome of a scenario. charts: SVG by name. data: what the rows were made of."""

    scenario: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    charts: Mapping[str, str]
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class Standing(Struct, frozen=True):
    """How one contender did, and how many times as fast Synqup was in the same rounds.

    rate: documents a second. cpu: microseconds of processor time for each document, the program's
    and the kernel's for it; cpu_times: how many times as much Synqup took. peak: bytes.
    """

    name: str
    rate: Figure
    times: Figure
    cpu: Figure
    cpu_times: Figure
    peak: Figure
    runs: list[Run]


def standings(results: Mapping[str, Sequence[Run]], ours: str) -> list[Standing]:
    """Each contender beside ours, which is one of them."""
    own = [run.rate for run in results[ours]]
    own_cpu = [run.cpu_each for run in results[ours]]
    return [
        Standing(
            name,
            figure(run.rate for run in runs),
            ratio(own, [run.rate for run in runs]),
            figure(run.cpu_each for run in runs),
            ratio(own_cpu, [run.cpu_each for run in runs]),
            figure(run.peak for run in runs),
            list(runs),
        )
        for name, runs in results.items()
    ]


STANDING_COLUMNS = (
    *("", "documents/s", "CPU µs/document"),
    *("Synqup is … times as fast", "Synqup takes … times the CPU", "peak MB"),
)


def standing_rows(found: Sequence[Standing]) -> list[tuple[str, ...]]:
    """The rows of a table with STANDING_COLUMNS."""
    return [
        (
            one.name,
            str(one.rate),
            str(one.cpu),
            str(one.times),
            str(one.cpu_times),
            f"{one.peak.median / 1e6:,.0f}",
        )
        for one in found
    ]


def machine() -> dict[str, str]:
    """Where it was measured."""
    processors = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": processors[0] if processors else platform.machine(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: said for name in TOOLS if (said := _version(name))},
    }


TOOLS = {"nginx": "-v", "aria2c": "-v", "rclone": "version", "curl": "-V"}


def _version(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        return ""
    done = subprocess.run([path, TOOLS[program]], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]


def write(report: Report, folder: Path) -> list[Path]:
    """Write SCENARIO.json and its charts; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "scenario": report.scenario,
        "title": report.title,
        "machine": machine(),
        "data": report.data,
        "columns": report.columns,
        "rows": report.rows,
        "notes": report.notes,
    }
    target = folder / f"{report.scenario}.json"
    target.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
    written = [target]
    for name, drawing in report.charts.items():
        written.append(folder / f"{name}.svg")
        written[-1].write_text(drawing, encoding="utf-8")
    return written
