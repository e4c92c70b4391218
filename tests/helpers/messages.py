"""The sentences that errors of the program say, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.helpers.imports import ROOT, sources

#: What is never read on the page: commands, set-up, the sandbox, the start of the program, and what
#: alerts say of themselves.
ELSEWHERE = (
    "pipeline/app/",
    "pipeline/alerts/",
    "pipeline/config/",
    "pipeline/ledger/database.py",
    "pipeline/ledger/migration.py",
    "pipeline/ledger/summary.py",
    "stages/check",
    "stages/configuration",
    "stages/sandbox/",
    "stages/settings",
    "stages/setup/",
)
#: Errors by the names of their classes; what they are given after their subject is read.
ERRORS = frozenset(
    (
        *("Corrupt", "Rejected", "Skipped", "AlreadyDelivered", "RetryableError", "InternalError"),
        *("SourceUnavailable", "SourceError", "SourceUnreachable", "SignInRefused", "WebPage"),
        *("IncompleteBody", "Trouble"),
    )
)


def error_sentences() -> dict[str, str]:
    """The reasons and remedies that are written out, and where; X stands for each value."""
    found: dict[str, str] = {}
    for path in sources("pipeline", "stages").values():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(ELSEWHERE):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for text in _said(node):
                found.setdefault(text.rstrip(". "), place)
    return {text: place for text, place in found.items() if " " in text}


def _said(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        if _name(node.func) in ERRORS:
            for argument in node.args[1:]:
                if (text := _text(argument)) is not None:
                    yield text
    elif isinstance(node, ast.ClassDef):
        for one in node.body:
            if not isinstance(one, ast.Assign) or _name(one.targets[0]) not in ("reason", "remedy"):
                continue
            if text := _text(one.value):
                yield text


def _name(node: ast.AST) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _text(node: ast.AST) -> str | None:
    """The text of a literal, with an X for each value; None if it is not one from the start."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values
        )
    return None
