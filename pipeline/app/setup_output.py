"""Set-up output: the folders that result, measured, before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Collection

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.app.wiring_setup import (
    Config,
    ListRefused,
    Problem,
    Texts,
    company_paths,
    longest_of,
)
from pipeline.text import printable

#: Companies whose folders are shown; the others are only counted, and measured.
MAX_ROWS = 20
#: Columns where the output is no terminal: a program that reads it finds each path in one line.
WIDE = 1000


def setup_console() -> Console:
    """The console of the set-up commands."""
    return Console(width=None if sys.stdout is not None and sys.stdout.isatty() else WIDE)


def show_paths(
    console: Console,
    config: Config,
    limit: int,
    texts: Texts,
    only: Collection[str] | None = None,
) -> None:
    """Print the folders of the companies, and the longest of all of them.

    limit: characters of folder and file name that the package takes. only: the identifiers of those
    that are shown. Raises ListRefused if even a short file name is too long.
    """
    paths = company_paths(config)
    table = Table(title=texts("say.paths"), title_justify="left")
    table.add_column(texts("say.company"), overflow="fold")
    table.add_column(texts("say.folder"), overflow="fold")
    shown = [one for one in paths if only is None or one.identifier in only]
    for one in shown[:MAX_ROWS]:
        folders = dict.fromkeys(str(folder) for folder in one.folders.values())
        table.add_row(
            Text(printable(f"{one.name} {one.identifier}")),
            Text("\n".join(map(printable, folders))),
        )
    if len(shown) > MAX_ROWS:
        table.add_row(texts("say.more", count=len(shown) - MAX_ROWS), "")
    console.print(table)
    longest = longest_of(config, paths, limit)
    if longest.is_too_long:
        values = {
            "folder": str(longest.folder),
            "length": str(longest.length),
            "limit": str(limit),
        }
        raise ListRefused("--root", [texts.problem(Problem(0, "path", values))])
    said = texts(
        "say.longest",
        length=longest.length,
        folder=longest.folder,
        name=longest.name,
        total=longest.total,
        limit=limit,
    )
    console.print(Text(printable(said)), soft_wrap=True)
    if longest.is_tight:
        console.print(Text(texts("say.tight"), style="yellow"), soft_wrap=True)
