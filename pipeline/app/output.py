"""What the commands print: tables, trees and sentences for the person at the terminal."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pipeline.app.catch_up import Outcome
from pipeline.app.dry_run import Rehearsal
from pipeline.app.wiring import FileClassification, Finding
from pipeline.engine.counters import Counters
from pipeline.ledger.models import State
from pipeline.ledger.summary import Kept, Summary
from pipeline.text import printable

#: Lines of one kind that are printed before the rest is only counted.
MOST = 20
#: States whose name alone says too little.
SAID = {
    State.DUPLICATE: "duplicates of what was delivered, acknowledged",
    State.SKIPPED: "skipped by a rule, acknowledged",
}
#: Files of one folder that a tree shows.
LEAVES = 3


def in_json(value: Any) -> str:
    """A line of JSON in ASCII alone, which any terminal and any encoding takes."""
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def outcome(console: Console, ended: Outcome, summary: Summary) -> None:
    """The end of a catch-up, with the reasons for what did not arrive."""
    counters = ended.counters
    console.print(
        f"{counters.delivered:,} delivered ({decimal(counters.bytes)}),{_left_out(counters)}"
        f" {counters.quarantined:,} quarantined, {counters.waiting:,} left for a later run",
        highlight=False,
    )
    for name, reason in ended.failures.items():
        console.print(_said(f"source {name}: {reason}", "red"))
    if ended.stopped:
        console.print("Stopped before the end; what is missing is brought by the next run.")
    if counters.quarantined:
        _kept(console, "In quarantine", summary.quarantine)
    if counters.waiting:
        _kept(console, "Left for a later run", summary.waiting)


def _left_out(counters: Counters) -> str:
    """What was acknowledged without a file, if anything was."""
    duplicates = f" {counters.duplicates:,} duplicates," if counters.duplicates else ""
    return duplicates + (f" {counters.skipped:,} skipped by a rule," if counters.skipped else "")


def rehearsal(console: Console, told: Rehearsal) -> None:
    """What a catch-up would bring."""
    for source, entries in told.found.items():
        console.print(_said(f"source {source}: {len(entries):,} documents would be brought"))
        for entry in entries[:MOST]:
            console.print(_said(f"  {entry.label}"))
        if len(entries) > MOST:
            console.print(f"  and {len(entries) - MOST:,} more")
    for source, reason in told.failures.items():
        console.print(_said(f"source {source}: {reason}", "red"), soft_wrap=True)
    if told.ready:
        console.print(f"{told.ready:,} more lie ready and would become visible")


def findings(console: Console, found: Iterable[Finding]) -> None:
    """What a check found, a line each."""
    for finding in found:
        mark = Text("ok    ", style="green") if finding.well else Text("mend  ", style="bold red")
        console.print(mark + _said(finding.sentence), soft_wrap=True)


def summary(console: Console, told: Summary, names: Mapping[str, str]) -> None:
    """The whole of `synqup status`."""
    for source in told.sources:
        console.print(_said(f"source {source.name}: {_read_through(source.polled_at)}"))
        if source.error:
            console.print(_said(f"  error {_moment(source.error_at)}: {source.error}", "red"))
    counts(console, told, names)
    if told.unacknowledged:
        console.print(f"{told.unacknowledged:,} acknowledgements wait for the source")
    _kept(console, "In quarantine", told.quarantine)
    _kept(console, "Left for a later poll", told.waiting)


def counts(console: Console, told: Summary, names: Mapping[str, str]) -> None:
    """How many documents of each company are where."""
    kinds = sorted({count.kind for count in told.counts if count.state is State.DELIVERED})
    delivered: dict[str, Counter[str]] = defaultdict(Counter)
    others: Counter[State] = Counter()
    for count in told.counts:
        if count.state is State.DELIVERED:
            delivered[count.company][count.kind] += count.documents
        else:
            others[count.state] += count.documents
    table = Table("company", *kinds, title="Delivered", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for company, of_kind in sorted(delivered.items()):
        name = f"{names.get(company, '')} {company}".strip()
        table.add_row(_said(name), *(f"{of_kind[kind]:,}" for kind in kinds))
    console.print(table)
    for state, documents in sorted(others.items()):
        console.print(f"{documents:,} {SAID.get(state, state)}")


def file_classification(console: Console, found: FileClassification) -> None:
    """What one file is, and why."""
    console.print(_said(f"{found.path}: {found.kind}", "bold"), soft_wrap=True)
    console.print(_said(f"  {found.reason}"), soft_wrap=True)


def tree(console: Console, folder: Path) -> None:
    """A folder and what stands in it, long lists shortened."""
    root = Tree(_said(str(folder)))
    _branch(root, folder)
    console.print(root)


def _branch(tree_: Tree, folder: Path) -> None:
    inside = sorted(folder.iterdir())
    files = [path for path in inside if path.is_file()]
    for path in inside:
        if path.is_dir():
            _branch(tree_.add(_said(path.name, "bold")), path)
    for path in files[:LEAVES]:
        tree_.add(_said(path.name))
    if len(files) > LEAVES:
        tree_.add(f"and {len(files) - LEAVES:,} more")


def _kept(console: Console, title: str, documents: Sequence[Kept]) -> None:
    if not documents:
        return
    console.print(f"{title}: {len(documents):,}", style="bold")
    for kept in documents[:MOST]:
        console.print(_said(f"  {kept.reason}"), soft_wrap=True)
    if len(documents) > MOST:
        console.print(f"  and {len(documents) - MOST:,} more")


def _said(text: str, style: str = "") -> Text:
    """Text that may come from outside: as it stands, without signs that steer a terminal."""
    return Text(printable(text), style=style)


def _read_through(at: float | None) -> str:
    if at is None:
        return "not read through to its end so far"
    return f"last read through {_moment(at)}"


def _moment(at: float | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
