"""Ledger search: finds documents for people, and tells one document's story.

It reads beside the writer, who never waits for it, and changes nothing. A search reads the ledger
once through, a second for each million rows or so; one that takes longer than PATIENCE is given up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.connection import Dialect
from pipeline.ledger.details import Details, decoded
from pipeline.ledger.folding import folded
from pipeline.ledger.models import State, columns
from pipeline.ledger.orders import AGAIN, ActionRecord, OrderRecord, actions_of, orders_of
from pipeline.ledger.place import LedgerPlace, reading
from pipeline.ledger.terms import Term, terms_of
from pipeline.text import printable

#: Documents of one answer, at most.
MAX_FOUND = 500
#: Seconds that one question may take.
PATIENCE = 20.0
#: Companies whose name fits that are looked for, at most.
MAX_COMPANIES = 500
#: Digits of a SHA-256 that are enough to name a document.
ENOUGH = 8
#: Digits that may be a part of an enterprise number, which people write with points.
ENOUGH_DIGITS = 6

_COLUMNS = (
    "source, id, revision, label, state, company, kind, details, path, sha256,"
    " coalesce(delivered_at, changed_at), reason"
)
#: The texts of a row in which a word is looked for.
_TEXTS = ("label", "details", "path", "company", "id")
#: Letters that often have an accent, and how many others a word needs so that few rows fit.
_ACCENTED = (frozenset("aceiou"), frozenset("aeiou"))
_ENOUGH_OTHERS = 2
#: SQL: what stands between two lines of details.
_NEW_LINE = "'\n'"


class FoundDocument(Struct, frozen=True):
    """A document as a list shows it. at: when it was delivered, else when its state last changed.

    date: its own, ISO 8601. path: as it was delivered; of an old one it is not kept.
    """

    key: Key
    label: str
    state: State
    company: str
    kind: str
    number: str
    counterparty: str
    date: str
    amount: str
    path: str
    sha256: str
    at: float
    reason: str
    currency: str = ""


class Story(Struct, frozen=True):
    """All that the ledger knows of one document. Times: in seconds since 1970, None for not so far.

    checksum: what has confirmed its bytes, "structure" if nothing else could. why: the reason for
    its kind and company. again: each time that it was asked for again, with what came of it.
    actions: what people have asked for of it. Both with the latest first.
    """

    document: FoundDocument
    size: int | None
    checksum: str
    warnings: tuple[str, ...]
    why: str
    account: str
    seen_at: float
    verified_at: float | None
    delivered_at: float | None
    acknowledged_at: float | None
    again: tuple[OrderRecord, ...] = ()
    actions: tuple[ActionRecord, ...] = ()


def find(
    place: LedgerPlace,
    text: str,
    *,
    limit: int = 50,
    offset: int = 0,
    companies: Mapping[str, str] | None = None,
) -> list[FoundDocument]:
    """Find documents, the latest first. Raises StateError.

    text: words that a document has to have, all of them: in its number, counterparty, label, path,
    id, company, SHA-256; a day or a month (of its own, or of its delivery), an amount. companies:
    names of companies by their identifiers, which are looked for too.
    """
    terms = terms_of(text)
    if not terms:
        return []
    limit, offset = min(max(limit, 1), MAX_FOUND), max(offset, 0)
    with reading(place, PATIENCE) as connection:
        where, parameters = _conditions(connection.dialect, terms, companies or {})
        sql = (
            f"SELECT {_COLUMNS} FROM documents WHERE source <> ? AND {where}"  # noqa: S608 - columns
            " ORDER BY coalesce(delivered_at, changed_at) DESC, id LIMIT ? OFFSET ?"
        )
        rows = connection.execute(sql, (AGAIN, *parameters, limit, offset)).fetchall()
    return [_found(row) for row in rows]


def story(place: LedgerPlace, key: Key) -> Story | None:
    """Tell all of one document; None if the ledger has no such one. Raises StateError."""
    sql = (
        f"SELECT {_COLUMNS}, size, checksum, warnings, seen_at, verified_at, delivered_at,"  # noqa: S608 - columns
        " acknowledged_at FROM documents WHERE source = ? AND id = ? AND revision = ?"
    )
    with reading(place, PATIENCE) as connection:
        row = connection.execute(sql, columns(key)).fetchone()
        if row is None:
            return None
        again, actions = orders_of(connection, key), actions_of(connection, key)
    size, checksum, warnings, seen, verified, delivered, acknowledged = row[12:]
    details = decoded(row[7])
    return Story(
        document=_found(row[:12]),
        size=size,
        checksum=checksum,
        warnings=tuple(warnings.split("\n")) if warnings else (),
        why=details.why,
        account=details.account,
        seen_at=seen,
        verified_at=verified,
        delivered_at=delivered,
        acknowledged_at=acknowledged,
        again=again,
        actions=actions,
    )


def keys_of(place: LedgerPlace, name: str) -> list[Key]:
    """The documents that a person may mean by a name, the latest first, at most MAX_FOUND.

    name: an id of the ledger, what the source itself calls it, "SOURCE:ID", or a SHA-256, of which
    the first ENOUGH digits are enough. Raises StateError.
    """
    name = printable(name)
    source, colon, rest = name.partition(":")
    tried: list[tuple[str, tuple[object, ...]]] = [
        ("source IN (SELECT name FROM sources) AND id = ?", (name,)),
        ("id = ?", (name,)),
    ]
    if colon:
        tried.insert(0, ("source = ? AND id = ?", (source, rest)))
    if len(name) >= ENOUGH and not name.strip("0123456789abcdefABCDEF"):
        tried.append(("substr(sha256, 1, ?) = ?", (len(name), name.lower())))
    tried.append(("substr(id, length(id) - ?) = ?", (len(name), f"/{name}")))
    with reading(place, PATIENCE) as connection:
        for where, parameters in tried:
            rows = connection.execute(
                f"SELECT source, id, revision FROM documents WHERE source <> ? AND {where}"  # noqa: S608 - from above
                " ORDER BY changed_at DESC LIMIT ?",
                (AGAIN, *parameters, MAX_FOUND),
            ).fetchall()
            if rows:
                return [Key(*row) for row in rows]
    return []


def _conditions(
    dialect: Dialect, terms: list[Term], companies: Mapping[str, str]
) -> tuple[str, list[Any]]:
    parts: list[str] = []
    parameters: list[Any] = []
    for term in terms:
        ways, own = _ways(dialect, term, companies)
        parts.append(f"({' OR '.join(ways)})")
        parameters += own
    return " AND ".join(parts), parameters


def _ways(
    dialect: Dialect, term: Term, companies: Mapping[str, str]
) -> tuple[list[str], list[Any]]:
    """In which ways a row may have a term, as SQL, and the parameters of that."""
    ways: list[str] = []
    parameters: list[Any] = []
    together = f" || {_NEW_LINE} || ".join(_TEXTS)
    wanted = folded(term.text)
    like, contains = dialect.like, dialect.contains
    if term.text.isascii():
        pattern = f"%{_escaped(term.text)}%"
        ways += [f"{column} {like} ? ESCAPE '\\'" for column in _TEXTS]
        parameters += [pattern] * len(_TEXTS)
        if loose := _with_any_accents(wanted):
            ways.append(f"details {like} ? AND {contains(dialect.folded('details'), '?')}")
            parameters += [f"%{loose}%", wanted]
    else:
        # What is in ASCII of it is looked for first: that takes half the time.
        part = max(re.findall(r"[ -~]+", term.text), key=len, default="")
        has = contains(dialect.folded(together), "?")
        ways.append(f"{together} {like} ? ESCAPE '\\' AND {has}")
        parameters += [f"%{_escaped(part)}%", wanted]
    number = re.sub(r"[\s./-]", "", term.text)
    if number != term.text and sum(map(str.isdigit, number)) >= ENOUGH_DIGITS:
        ways.append(f"company {like} ? ESCAPE '\\'")
        parameters.append(f"%{_escaped(number)}%")
    if len(term.text) >= ENOUGH and not term.text.strip("0123456789abcdefABCDEF"):
        ways.append("sha256 LIKE ?")
        parameters.append(f"{term.text.lower()}%")
    if term.day:
        ways.append(contains("details", "?"))
        parameters.append(f"\n{term.day}")
    if term.delivered is not None:
        ways.append("delivered_at >= ? AND delivered_at < ?")
        parameters += term.delivered
    for amount in term.amounts:
        has = contains(f"details || {_NEW_LINE}", "?")
        ways.append(f"{has} OR {has}")
        parameters += [f"\n{amount}\n", f"\n-{amount}\n"]
    named = [key for key, name in companies.items() if wanted in folded(name)][:MAX_COMPANIES]
    if named:
        ways.append(f"company IN ({', '.join('?' * len(named))})")
        parameters += named
    return ways, parameters


def _with_any_accents(word: str) -> str:
    """What LIKE takes for a word of ASCII with or without accents; empty if too many rows fit."""
    for letters in _ACCENTED:
        loose = "".join("_" if one in letters or not one.isalnum() else one for one in word)
        if loose != word and len(loose) - loose.count("_") >= _ENOUGH_OTHERS:
            return loose
    return ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _found(row: tuple[Any, ...]) -> FoundDocument:
    source, id_, revision, label, state, company, kind, text, path, sha256, at, reason = row
    details: Details = decoded(text)
    return FoundDocument(
        *(Key(source, id_, revision), label, State(state), company, kind, details.number),
        *(details.counterparty, details.date, details.amount, path, sha256, at, reason),
        details.currency,
    )
