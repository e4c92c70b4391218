"""What `synqup find` and `synqup show` do: they read the ledger, beside whoever writes it."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipeline.app.output import in_json
from pipeline.app.wiring import ledger_place, load_config
from pipeline.document import Key
from pipeline.errors import NotKnown, StateError
from pipeline.ledger.orders import OrderRecord
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.search import FoundDocument, Story, find, keys_of, story
from pipeline.text import printable

#: Documents that are named where a name fits several.
FEW = 5


def print_found(path: Path, text: str, limit: int, *, as_json: bool) -> None:
    """Print the documents that a text finds, the latest first."""
    settings = load_config(path)
    names = {one.identifier: one.name for one in settings.companies}
    ledger = _existing(ledger_place(settings))
    found = find(ledger, text, limit=limit, companies=names)
    if as_json:
        print(in_json(found))
        return
    console = Console()
    if not found:
        console.print("No document found.")
        return
    for one in found:
        facts = (
            *(_time(one.at), one.state.value, names.get(one.company, one.company), one.kind),
            *(one.number, one.counterparty, one.date, f"{one.amount} {one.currency}".strip()),
        )
        console.print(Text(printable("  ".join(filter(None, facts)))), soft_wrap=True)
        console.print(Text(printable(f"    {one.key.source}:{one.key.id}")), soft_wrap=True)
    if len(found) == limit:
        console.print("There may be more: see --limit.")


def print_story(path: Path, name: str, *, as_json: bool) -> None:
    """Print all that is known of one document."""
    settings = load_config(path)
    ledger = _existing(ledger_place(settings))
    told = story(ledger, one_key(ledger, name))
    if told is None:
        raise _unknown(name)
    if as_json:
        print(in_json(told))
        return
    names = {one.identifier: one.name for one in settings.companies}
    console = Console()
    for label, text in _lines(told, names):
        console.print(Text(f"{label:14}{printable(text)}"), soft_wrap=True)


def one_key(ledger: LedgerPlace, name: str) -> Key:
    """The one document that a person means. NotKnown if there is none, or there are several."""
    keys = keys_of(_existing(ledger), name)
    if not keys:
        raise _unknown(name)
    if len({(key.source, key.id) for key in keys}) > 1:
        few = ", ".join(f"{key.source}:{key.id}" for key in keys[:FEW])
        raise NotKnown(name, f"several documents are called so ({few} …)", "Name one of these")
    return keys[0]


def _lines(told: Story, names: dict[str, str]) -> list[tuple[str, str]]:
    one = told.document
    company = names.get(one.company, "")
    amount = f"{one.amount} {one.currency}".strip()
    lines = [
        ("document", one.label),
        ("id", f"{one.key.source}:{one.key.id}"),
        ("state", f"{one.state.value}{f': {one.reason}' if one.reason else ''}"),
        ("company", f"{company} {one.company}".strip()),
        ("kind", one.kind),
        ("why", told.why),
        ("number", one.number),
        ("counterparty", one.counterparty),
        ("date", one.date),
        ("amount", amount),
        ("account", told.account),
        ("listed", _time(told.seen_at)),
        ("verified", _verified(told)),
        ("delivered", _delivered(one, told)),
        ("platform told", _time(told.acknowledged_at)),
        ("sha256", one.sha256),
    ]
    lines += [("warning", warning) for warning in told.warnings]
    lines += [("asked", _asked(order)) for order in told.again]
    return [(label, text) for label, text in lines if text]


def _verified(told: Story) -> str:
    if told.verified_at is None:
        return ""
    return f"{_time(told.verified_at)}, by {told.checksum or 'a check'}; {told.size or 0:,} bytes"


def _delivered(one: FoundDocument, told: Story) -> str:
    return f"{_time(told.delivered_at)} {one.path}" if told.delivered_at is not None else ""


def _asked(order: OrderRecord) -> str:
    what = {"retry": "try again", "redeliver": "deliver again", "assign": "put by hand"}
    wanted = f"{_time(order.at)} {order.who}: {what.get(order.verb, order.verb)}"
    if order.company:
        wanted += f" to {order.company}, {order.kind}"
    if order.reason:
        wanted += f" ({order.reason})"
    if order.ended_at is None:
        waits = f", but waits: {order.result}" if order.result else ""
        return f"{wanted}; it is under way{waits}"
    came = order.result if order.done else f"not done: {order.result}"
    return f"{wanted}; {_time(order.ended_at)} {came}"


def _unknown(name: str) -> NotKnown:
    return NotKnown(name, "the ledger has no such document", "Look for it: synqup find TEXT")


def _existing(ledger: LedgerPlace) -> LedgerPlace:
    if isinstance(ledger, Path) and not ledger.exists():
        raise StateError(str(ledger), "there is no ledger so far", "Start synqup first")
    return ledger


def _time(at: float | None) -> str:
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
