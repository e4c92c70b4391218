"""The sentences that the program says to people, read from its source.

Any text with a space in it counts as one, wherever it stands: an error may be put together far from
where it is raised. Left out is what nobody reads as a reason or a remedy, each with why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache

from tests.helpers.imports import ROOT, sources

#: Files (by patterns) of which nothing is read on the page or in an alert, and why.
ELSEWHERE = {
    "pipeline/app/*": "commands, and the start of the program: at a terminal",
    "pipeline/alerts/*": "texts.py has its catalog; why an alert can't be sent is for the log",
    "pipeline/cluster/[!d]*": "the node does not start, or ends, as it says at a terminal",
    "pipeline/config/*": "a configuration is refused at a terminal, before it is in force",
    "pipeline/control/[!aw]*": "the socket, and the commands that use it: at a terminal",
    "pipeline/language/*": "it says what others have said",
    "pipeline/monitor/[!r]*": "the page has its catalog; the others are answers to programs",
    "pipeline/ledger/carrying.py": "`synqup cluster adopt`",
    "pipeline/ledger/database.py": "at a terminal: the service does not start",
    "pipeline/ledger/migration.py": "as database.py",
    "pipeline/ledger/place.py": "as database.py",
    "pipeline/ledger/postgres_schema.py": "as database.py",
    "pipeline/ledger/postgres_settings.py": "as database.py",
    "pipeline/ledger/postgres_connection.py": "expressions of SQL; a wrong dsn: at the start",
    "pipeline/ledger/postgres_store.py": "as database.py; names of sessions",
    "pipeline/ledger/sqlite_connection.py": "expressions of SQL; the rest as summary.py",
    "pipeline/ledger/summary.py": "`synqup status`",
    "pipeline/ledger/terms.py": "names of months; actions.py says that something is no day",
    "pipeline/network/kept_server.py": "why a server can't listen is for the log",
    "pipeline/hints.py": "why a push is refused is for the log",
    "pipeline/push/*": "as pipeline/hints.py",
    "stages/check.py": "`synqup check`",
    "pipeline/shared_folder.py": "`synqup check`",
    "stages/configuration.py": "as pipeline/config",
    "stages/settings.py": "as pipeline/config",
    "stages/*settings.py": "as pipeline/config",
    "stages/naming/templates.py": "as pipeline/config",
    "stages/values/identifiers.py": "as pipeline/config",
    "stages/sources/registry.py": "as pipeline/config",
    "stages/sources/sftp/patterns.py": "as pipeline/config",
    "stages/sources/http/company_keys.py": "as pipeline/config",
    "stages/sources/*push.py": "as pipeline/hints.py",
    "stages/sources/*questions.py": "the set-up asks in three languages of its own",
    "stages/sources/*sandbox*.py": "the sandbox, for trials",
    "stages/sources/*sign_in.py": "`synqup sign-in`",
    "stages/sources/http/authorization.py": "`synqup sign-in`",
    "stages/sources/http/known_companies.py": "`synqup check`",
    "stages/sources/http/probe.py": "`synqup check`",
    "stages/rendering/sheet.py": "operators of PDF",
    "stages/rendering/typeface.py": "operators of PDF",
    "stages/rendering/words.py": "the renderings have their texts in three languages",
    "stages/sandbox/*": "the sandbox, for trials",
    "stages/setup/*": "the set-up has its texts in three languages",
}
#: Files within those that people do read.
READ_ALL_THE_SAME = (
    "pipeline/app/control.py",
    "pipeline/config/secrets.py",
    "pipeline/monitor/readiness.py",
)
#: Calls whose texts are no sentences for people, by the last part of their names.
LOGGED = {"debug", "info", "warning", "error", "exception", "critical"}
NO_SENTENCES = {
    "compile",
    "execute",
    "executemany",
    "executescript",
    "fullmatch",
    "sub",
    "_",
    "both",
}
#: What only statements of SQL, expressions of XPath, patterns and the like hold.
NO_PROSE = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|PRAGMA|BEGIN|WHERE|FROM|ORDER|LIKE|AND|NULL)\b"
    r"|\bIN \(|state = |[=>] \?|%Y|\bcoalesce\(|\binstr\(|, staged = "
    r"|_at - \?\d|ESCAPE '|descendant-or-self|\\\d|\\s|\|\||\(\?:|application/"
)
#: Texts that nobody reads on the page or in an alert, and why.
QUIET = {
    "a bug: a traceback for the log, and nothing else": (
        "{} is not in flight",
        "{} results of {} documents",
        "{} is no result",
        "the last format recognises any document",
        "the last try has returned or raised",
        "these are calls of Windows",
    ),
    "what PostgreSQL says, by which a refusal is recognised": (
        "authentication failed",
        "does not exist",
        "no pg_hba.conf",
    ),
    "for the log, or the name of a thread": (
        "document delivered",
        "free space",
        "invoice {}",
        "lane to {}",
        "{} of {} rows: {} …",
        ", behind an entry that can't be read",
    ),
    "told to the service manager": (
        "{} holds {} document{}",
        "{} and has finished none",
        "{} for {} s",
    ),
    "`synqup sign-in`, at a terminal": (
        "{}; sign in: {}",
        " as {}",
        "signed in{}; the platform does not say until when",
        "the sign-in{} ended {}; sign in again: {}",
        "signed in{} until {} ({} left)",
        "{} days",
        "{} hours",
        "1 hour",
        "{} minutes",
    ),
    "`synqup check` and `synqup classify`, at a terminal": (
        'the feed "{}" is registered',
        'the feed "{}" will be registered; only what is exported then is in it',
        "to be fetched: {} documents of the inbox",
        "signed in; {}; {}",
        "signed in; to be fetched: {}",
        (
            "signed in; {}; its feeds may be asked for every {} s, and this check has not asked"
            " for them"
        ),
        " taken; {}",
        "key is",
        "keys are",
        ", left out, as no [[companies]] names them: {}",
        "signed in; {}to be fetched: {}",
        "{} documents{}",
        ", which takes about {} minutes, as Scrada takes {} a minute",
        "signed in; {}",
        "signed in at {} ({}), whose key {} is the pinned one; {} files are there",
        "left out: {}",
        "the server has folders of {} companies, {} are configured",
        "; not configured, and left alone: {}",
        "no folder is of {}",
        "{} of {}",
        "this can't be empty; write the company's number",
        "the company",
    ),
    "`synqup show --pdf` where no service runs, at a terminal": (
        "no service runs that could fetch it",
        "Start the service",
    ),
    "a configuration is refused at a terminal": (
        'this is none of "system", "none" and an address like "http://host:port"',
        "this {}",
        (
            "an address may not hold a user or a password; write proxy_user, and where the"
            " password is as proxy_password"
        ),
        "a user's name can't hold a colon or control characters",
    ),
    "of HTTP": ("Basic {}", "gzip, deflate"),
    "the subject of an error, all of it names": (
        "{} to {}",
        "{} to {}, {}",
        "source {}, acknowledgement of {} {}",
        "source {}, {} {}",
    ),
    "what two things are compared by": ("account {}", "file number"),
    "a command": ("synqup sign-in {}",),
    "a type": ("ItemsView[str, str]",),
    "the answer is quoted in its place": ("there is no {}",),
}
#: Sentences that are put together of more than one text, and what they are in whole.
PUT_TOGETHER = {
    "{} is polled now": ("source {} is polled now", "each of {} sources is polled now"),
    "{} could not be {}: {}": (
        "1 document could not be tried again: {}",
        "{} of {} documents could not be tried again: {}",
        "1 document could not be delivered again: {}",
        "{} of {} documents could not be delivered again: {}",
        "1 document could not be delivered to {} by hand: {}",
        "{} of {} documents could not be delivered to {} by hand: {}",
    ),
    "{} of {} wait: {}": ("{} of {} documents wait: {}",),
    "{} will be {} when {}": (
        "1 document will be tried again when its source lists it",
        "{} documents will be tried again when they are listed",
        "1 document will be delivered again when its source lists it",
        "{} documents will be delivered again when they are listed",
    ),
    "its source lists it": (),
    "they are listed": (),
    "{} {} being {}": (
        "1 document is being tried again",
        "{} documents are being tried again",
        "1 document is being delivered again",
        "{} documents are being delivered again",
        "1 document is being delivered to {} by hand",
        "{} documents are being delivered to {} by hand",
        "1 document was tried again",
        "{} documents were tried again",
        "1 document was delivered again",
        "{} documents were delivered again",
        "1 document was delivered to {} by hand",
        "{} documents were delivered to {} by hand",
    ),
    "no secure connection can be made{} ({})": (
        "no secure connection can be made ({})",
        "no secure connection can be made by way of the proxy {} ({})",
    ),
    "{} does not answer in time{}": (
        "the source does not answer in time",
        "the source does not answer in time by way of the proxy {}",
    ),
    "{} does not answer{} ({}:{}: {})": (
        "the source does not answer ({}:{}: {})",
        "the source does not answer by way of the proxy {} ({}: {})",
    ),
    "the connection failed{} ({})": (
        "the connection failed ({})",
        "the connection failed by way of the proxy {} ({})",
    ),
    "the list's": ("the list's {}",),
    "credit note": ("credit note {}", "credit note {} of {}"),
    "documents delivered from {}": (
        "documents delivered from {} to {}",
        "documents delivered from {} to {} to {}",
        "documents delivered from the first day to {}",
        "documents delivered from the first day to {} to {}",
    ),
    "{} came in place of the document{}": (
        "a web page came in place of the document",
        "a JSON message came in place of the document",
        'a web page came in place of the document ("{}")',
        'a JSON message came in place of the document ("{}")',
    ),
    "{} keeps all after it{} from being acknowledged: {}": (
        "{} keeps all after it from being acknowledged: {}",
        "{} keeps all after it in {} from being acknowledged: {}",
    ),
    "its list{} shows {} documents at once, and {} of them wait: newer ones can't be seen": (
        "its list shows {} documents at once, and {} of them wait: newer ones can't be seen",
        "its list of {} shows {} documents at once, and {} of them wait: newer ones can't be seen",
    ),
    "have files {} {}": (
        "have files moved",
        "have files removed",
        "have files moved in the folder {}",
        "have files removed in the folder {}",
    ),
}


@cache
def sentences() -> dict[str, str]:
    """All sentences, each with a place where it is said; {} stands for each value.

    A full stop at the end is left out. One that begins or ends with a space or a comma is a piece.
    """
    found: dict[str, str] = {}
    for path in sources("pipeline", "stages").values():
        place = path.relative_to(ROOT).as_posix()
        elsewhere = any(fnmatchcase(place, one) for one in ELSEWHERE)
        if elsewhere and place not in READ_ALL_THE_SAME:
            continue
        for line, text in texts_in(ast.parse(path.read_text("utf-8"))):
            found.setdefault(text, f"{place}:{line}")
    return found


def texts_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The sentences of a module, and their lines."""
    for line, text in _texts(tree):
        if " " in text.strip() and re.search("[a-z]", text) and not NO_PROSE.search(text):
            yield line, text.removesuffix(".")


def skeleton(text: str) -> str:
    """A sentence or a pattern of a catalog, with {} for each value."""
    return re.sub(r"(?:\{\w*\})+", "{}", text)


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Assert():
            return
        case ast.Call() if _is_no_sentence(node.func):
            return
        case ast.Constant(value=str(text)):
            yield node.lineno, text
        case ast.JoinedStr():
            yield node.lineno, _joined(node)
            for one in node.values:
                if isinstance(one, ast.FormattedValue):
                    yield from _texts(one.value)
        case _:
            for child in ast.iter_child_nodes(node):
                is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
                if not is_docstring:
                    yield from _texts(child)


def _is_no_sentence(function: ast.AST) -> bool:
    if not isinstance(function, ast.Attribute):
        return getattr(function, "id", "") in NO_SENTENCES
    is_log = getattr(function.value, "id", "") == "log" and function.attr in LOGGED
    return is_log or function.attr in NO_SENTENCES


def _joined(node: ast.JoinedStr) -> str:
    parts = (str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return skeleton("".join(parts))
