"""Terminal output: the tables, trees and sentences that the commands print.

Text that comes from outside (documents, servers, names of files) is printed without control
characters.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pipeline.app.catch_up import CatchUpResult
from pipeline.app.dry_run import DryRun
from pipeline.app.wiring import FileClassification, Finding
from pipeline.engine.counters import Counters
from pipeline.ledger.models import State
from pipeline.ledger.summary import Refusal, Summary, Undelivered
from pipeline.sign_in import SignInState, described, has_ended
from pipeline.text import printable

#: Lines of one kind that are printed; the rest is only counted.
MAX_LINES = 20
#: Labels of the states whose name alone says too little.
LABELS = {
    State.DUPLICATE: "duplicates of what was delivered, acknowledged",
    State.SKIPPED: "skipped by a rule, acknowledged",
}
#: Files of one folder that a tree shows.
MAX_FILES = 3


def in_json(value: Any) -> str:
    """A line of JSON in ASCII alone, which any terminal and any encoding can show."""
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def result(console: Console, ended: CatchUpResult, summary: Summary) -> None:
    """Print the result of a catch-up, with the reasons for what was not delivered."""
    counters = ended.counters
    console.print(
        f"{counters.delivered:,} delivered ({decimal(counters.bytes)}),{_without_file(counters)}"
        f" {counters.quarantined:,} quarantined, {counters.waiting:,} left for a later run",
        highlight=False,
    )
    for name, reason in ended.failures.items():
        console.print(_text(f"source {name}: {reason}", "red"), soft_wrap=True)
    for name, items in ended.unreadable.items():
        console.print(_text(f"source {name}: {_unreadable(items)}", "red"), soft_wrap=True)
    if ended.stopped:
        console.print("Stopped before the end; the next run will bring what is missing.")
    if counters.quarantined:
        _print_documents(console, "In quarantine", summary.quarantine)
    if counters.waiting:
        _print_documents(console, "Left for a later run", summary.waiting)


def _unreadable(items: int) -> str:
    """The sentence for listed documents that can't be read."""
    what = f"{items:,} listed documents can't be read and are"
    if items == 1:
        what = "1 listed document can't be read and is"
    return f"{what} left out. Tell the platform; the log names the lists and the reasons"


def _without_file(counters: Counters) -> str:
    """The part of the sentence for documents acknowledged without a file, if there are any."""
    duplicates = f" {counters.duplicates:,} duplicates," if counters.duplicates else ""
    return duplicates + (f" {counters.skipped:,} skipped by a rule," if counters.skipped else "")


def dry_run(console: Console, listed: DryRun) -> None:
    """Print what a catch-up would bring."""
    for source, entries in listed.found.items():
        console.print(_text(f"source {source}: {len(entries):,} documents would be brought"))
        for entry in entries[:MAX_LINES]:
            console.print(_text(f"  {entry.label}"))
        if len(entries) > MAX_LINES:
            console.print(f"  and {len(entries) - MAX_LINES:,} more")
    for source, reason in listed.failures.items():
        console.print(_text(f"source {source}: {reason}", "red"), soft_wrap=True)
    if listed.staged:
        console.print(f"{listed.staged:,} more lie ready and would become visible")


def findings(
    console: Console, found: Iterable[Finding], to_come: Collection[str] = frozenset()
) -> None:
    """Print a line for each thing that a check has tried.

    to_come: what they are about where a failure is only something that is still to be done.
    """
    for finding in found:
        if not finding.ok and finding.about in to_come:
            console.print(Text("todo  ", style="yellow") + _text(finding.sentence), soft_wrap=True)
        else:
            verdict(console, finding.ok, finding.sentence)


def verdict(console: Console, ok: bool, sentence: str) -> None:
    """Print `ok` or `FAIL`, and a sentence that says of what."""
    word = Text("ok    ", style="green") if ok else Text("FAIL  ", style="bold red")
    console.print(word + _text(sentence), soft_wrap=True)


def summary(
    console: Console,
    read: Summary,
    names: Mapping[str, str],
    sign_ins: Mapping[str, SignInState] = MappingProxyType({}),
    pushes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print what `synqup status` shows.

    sign_ins: of the sources that a person signs in to. pushes: where those of a source come in.
    """
    for source in read.sources:
        console.print(_text(f"source {source.name}: {_last_poll(source.polled_at)}"))
        if (state := sign_ins.get(source.name)) is not None:
            style = "red" if has_ended(state) else ""
            console.print(_text(f"  {described(state)}", style), soft_wrap=True)
        if (address := pushes.get(source.name)) is not None:
            console.print(_text(f"  pushes are taken at {address}"), soft_wrap=True)
        if source.error:
            words = f"  error {local_time(source.error_at)}: {source.error}"
            console.print(_text(words, "red"), soft_wrap=True)
        if source.paused_at is not None:
            words = f"  paused since {local_time(source.paused_at)}, by {source.paused_by}"
            console.print(_text(words, "yellow"), soft_wrap=True)
        if source.unreadable:
            console.print(_text(f"  {_unreadable(source.unreadable)}", "red"), soft_wrap=True)
    counts(console, read, names)
    answers(console, read, names)
    if read.unacknowledged:
        console.print(f"{read.unacknowledged:,} acknowledgements wait for the source")
    _print_documents(console, "In quarantine", read.quarantine)
    _print_documents(console, "Left for a later poll", read.waiting)


def counts(console: Console, read: Summary, names: Mapping[str, str]) -> None:
    """Print how many documents of each company were delivered, and how many were not."""
    kinds = sorted({count.kind for count in read.counts if count.state is State.DELIVERED})
    delivered: dict[str, Counter[str]] = defaultdict(Counter)
    others: Counter[State] = Counter()
    for count in read.counts:
        if count.state is State.DELIVERED:
            delivered[count.company][count.kind] += count.documents
        else:
            others[count.state] += count.documents
    table = Table("company", *kinds, title="Delivered", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for company, of_kind in sorted(delivered.items()):
        name = f"{names.get(company, '')} {company}".strip()
        table.add_row(_text(name), *(f"{of_kind[kind]:,}" for kind in kinds))
    console.print(table)
    for state, documents in sorted(others.items()):
        console.print(f"{documents:,} {LABELS.get(state, state)}")


def answers(console: Console, read: Summary, names: Mapping[str, str]) -> None:
    """Print what others say of the documents of each company, and what they refuse."""
    said: dict[str, list[str]] = defaultdict(list)
    for count in read.answers:
        said[count.company].append(f"{count.notes:,} {count.says}")
    refused: dict[str, list[Refusal]] = defaultdict(list)
    for one in read.refused:
        refused[one.company].append(one)
    for company, counted in said.items():
        of = f"{names.get(company, '')} {company}".strip() or "no configured company"
        console.print(_text(f"answers to {of}: {', '.join(counted)}"), soft_wrap=True)
        for one in refused[company]:
            why = f": {one.reason}" if one.reason else ""
            what = f"{one.reference or 'a document without a number'}, by {one.party}{why}"
            line = f"  {local_time(one.at)} rejected {what}"
            console.print(_text(line, "red"), soft_wrap=True)


def file_classification(console: Console, found: FileClassification) -> None:
    """Print what one file is, and why."""
    console.print(_text(f"{found.path}: {found.kind}", "bold"), soft_wrap=True)
    console.print(_text(f"  {found.reason}"), soft_wrap=True)
    for warning in found.warnings:
        console.print(_text(f"  warning: {warning}"), soft_wrap=True)
    for one in found.evidence:
        console.print(_text(f"  {one.candidate}"), soft_wrap=True)
        for said in one.supports:
            console.print(_text(f"    for: {said}"), soft_wrap=True)
        for said in one.contradicts:
            console.print(_text(f"    against: {said}"), soft_wrap=True)


def tree(console: Console, folder: Path) -> None:
    """Print a folder and what lies in it but for hidden files, long lists shortened."""
    root = Tree(_text(str(folder)))
    _add_branch(root, folder)
    console.print(root)


def _add_branch(tree_: Tree, folder: Path) -> None:
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in inside if path.is_file()]
    for path in inside:
        if path.is_dir():
            _add_branch(tree_.add(_text(path.name, "bold")), path)
    for path in files[:MAX_FILES]:
        tree_.add(_text(path.name))
    if len(files) > MAX_FILES:
        tree_.add(f"and {len(files) - MAX_FILES:,} more")


def _print_documents(console: Console, title: str, documents: Sequence[Undelivered]) -> None:
    if not documents:
        return
    console.print(f"{title}: {len(documents):,}", style="bold")
    for kept in documents[:MAX_LINES]:
        console.print(_text(f"  {kept.reason}"), soft_wrap=True)
    if len(documents) > MAX_LINES:
        console.print(f"  and {len(documents) - MAX_LINES:,} more")


def _text(text: str, style: str = "") -> Text:
    """Text that may come from outside, without the characters that control a terminal."""
    return Text(printable(text), style=style)


def _last_poll(at: float | None) -> str:
    if at is None:
        return "not read through to its end so far"
    return f"last read through {local_time(at)}"


def local_time(at: float | None) -> str:
    """A time as this machine has it."""
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
