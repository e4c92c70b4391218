"""The command line: `python -m benchmarks [SCENARIO]…`, by default all but those on request."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import report, table
from benchmarks.failure import BenchmarkError
from benchmarks.scenarios import ON_REQUEST, SCENARIOS
from benchmarks.workplace import Workplace

#: Columns of a table that goes to a file.
WIDE = 150

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size.replace("_", "")) for size in text.split(","))


@app.command()
def main(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help=f"Some of: {', '.join(SCENARIOS)}.")
    ] = None,
    documents: Annotated[
        int | None, typer.Option(min=1, help="How many, instead of each scenario's own number.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="How often each contender runs, likewise.")
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="For scale: numbers of documents, by commas.")
    ] = "1000,10000",
    ledger_rows: Annotated[
        int, typer.Option(min=1, help="For scale: rows of the ledger at the restart.")
    ] = 1_000_000,
    large: Annotated[
        int, typer.Option(min=0, help="For scale: a large backlog as well, as 1000000.")
    ] = 0,
    folder: Annotated[
        Path | None, typer.Option(help="For --large: where state and output lie, else in memory.")
    ] = None,
    companies: Annotated[int, typer.Option(min=1, help="Whose documents they are.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed makes the same documents.")] = 1,
    output: Annotated[Path, typer.Option(help="Where JSON and SVG go.")] = Path("build/benchmarks"),
    cache: Annotated[Path | None, typer.Option(help="Where rendered documents are kept.")] = None,
    disk: Annotated[Path | None, typer.Option(help="A folder on the disk to be measured.")] = None,
) -> None:
    """Measure, print a table for each scenario, and write JSON and SVG."""
    unknown = [name for name in scenarios or () if name not in SCENARIOS]
    if unknown:
        raise typer.BadParameter(f"there is no scenario {unknown[0]}; choose of {list(SCENARIOS)}")
    console, progress = Console(), Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    work = Workplace(
        documents=documents,
        runs=runs,
        seed=seed,
        companies=companies,
        sizes=_sizes(sizes),
        ledger_rows=ledger_rows,
        large=large,
        folder=folder.absolute() if folder is not None else None,
        cache=cache or Path(tempfile.gettempdir(), f"synqup-benchmarks-{os.getuid()}"),
        disk=(disk or output / "disk").absolute(),
        tell=lambda text: progress.print(f"  {text}", style="dim"),
    )
    failed = False
    for name in scenarios or (one for one in SCENARIOS if one not in ON_REQUEST):
        began = time.monotonic()
        try:
            found = SCENARIOS[name](work)
        except BenchmarkError as error:
            progress.print(f"{name}: {error}", style="red", markup=False)
            failed = True
            continue
        table.show(console, found)
        work.tell(f"{name} took {time.monotonic() - began:.0f} s")
        for path in report.write(found, output):
            progress.print(f"  {path}", style="dim")
    sys.exit(failed)


if __name__ == "__main__":
    app()
