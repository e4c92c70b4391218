"""Prints a report as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.report import Report


def show(console: Console, report: Report) -> None:
    """Print the rows, then the notes."""
    table = Table(title=report.title, title_justify="left")
    for number, column in enumerate(report.columns):
        table.add_column(column, justify="right" if number else "left")
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}", highlight=False)
