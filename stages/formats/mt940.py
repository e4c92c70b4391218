"""MT940 reader: the customer statement message of SWIFT (category 9), with or without envelope.

Field 20 begins a message, 25 states the account, 28C the statement's number, 60F and 62F the
balances (60M and 62M between the pages of one statement), 61 a movement. A movement that can't be
read only means that the balances can't be checked, for nothing else depends on it.
"""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec import Struct, field as made_by, structs

from pipeline.payload import Payload
from stages.formats.balances import bears_number, spelt_balance
from stages.formats.content import (
    UNKNOWN_PAGE,
    AccountStatement,
    Content,
    Hostile,
    Other,
    Reading,
    Statement,
    Unreadable,
    check_count,
)
from stages.formats.mt940_fields import (
    END,
    ENVELOPE,
    HEAD,
    LINE_END,
    Balance,
    Field,
    balance,
    breaks_off,
    fields,
    movement,
)
from stages.values.accounts import account_number, is_iban
from stages.values.text import plain

#: Bytes of a file that is read within a few milliseconds.
QUICK = 4096
#: Problems of one file that are reported, and warnings.
MAX_PROBLEMS = 8

#: Characters of field 25 that are read; it should have 35, and some banks write more.
MAX_ACCOUNT = 80
#: Numbers of one account in one message: it may come in several spellings.
MAX_ACCOUNTS = 4

#: How a document begins: blocks of the envelope, or the few lines that some banks write instead
#: (which are not those of a mail message), and the first field.
_START = re.compile(
    rb"(?:\xef\xbb\xbf)*[\s\x01]*+"
    rb"(?:\{1:[^{}]{0,64}\}[\s\S]{0,300}?\{4:(?:\s|" + LINE_END + rb")*+"
    rb"|(?:(?![\w-]{1,40}: |\")[^{<%@\\\0-\x08\n-\x1f]{1,99}" + LINE_END + rb"++){1,12}?)??"
    rb"[ \t]*:[ ]*(2[0158])[A-Za-z]?[ ]*:"
)
#: The account and the opening balance at the beginning of a line, as no ordinary text has them.
_HAS_ACCOUNT = re.compile(LINE_END + rb"[ \t]*:[ ]*25[Pp]?[ ]*:[\s\S]")
_HAS_BALANCE = re.compile(LINE_END + rb"[ \t]*:[ ]*60[FMfm][ ]*:[\s\S]")
#: Bytes of the end of a file in which an unfinished tag or envelope would stand.
TAIL = 512
_ENDED = re.compile(LINE_END + rb"\Z")
#: An amount that goes no further, because it has all of its decimals.
_COMPLETE = re.compile(r"[.,][0-9]{2}$")


class _Page(Struct):
    """One page of a statement, while it is read.

    has_account: whether it has a field 25 of its own. page: its number within the statement.
    running: the opening balance and the movements so far; None where they aren't known. expected:
    of the movements that may not be in the balance yet. continues, is_continued: whether there are
    pages before and after it. has_ended: whether a line with a dash has ended it. is_interim:
    whether it is of a report of movements (MT942).
    """

    accounts: tuple[str, ...] = ()
    has_account: bool = False
    number: str = ""
    page: str = ""
    opening: Balance | None = None
    closing: Balance | None = None
    running: Decimal | None = None
    expected: Decimal = Decimal()
    continues: bool = False
    is_continued: bool = False
    has_ended: bool = False
    is_interim: bool = False


class _Reader(Struct):
    """What has been read of a file. page: None before the first field. last: the last field.

    pages: for each of the parts, the numbers of its pages.
    """

    parts: list[AccountStatement] = made_by(default_factory=list)
    pages: list[list[str]] = made_by(default_factory=list)
    problems: list[str] = made_by(default_factory=list)
    warnings: list[str] = made_by(default_factory=list)
    page: _Page | None = None
    before: _Page | None = None
    balance: str = ""
    last: Field | None = None
    is_unchecked: bool = False
    is_interim: bool = False


def recognises(head: bytes) -> bool:
    """Whether the document begins with field 20 and states an account soon after.

    Where field 20 is missing, or words stand before it, it has to state a balance too.
    """
    start = _START.match(head)
    if start is None:
        return False
    before = head[: start.start(1)]
    if (start[1] != b"20" or before != before.upper()) and not _HAS_BALANCE.search(
        head, start.end()
    ):
        return False
    return start[1] == b"25" or _HAS_ACCOUNT.search(head, start.end()) is not None


def is_quick(data: bytes) -> bool:
    """Whether the document has at most some dozens of movements."""
    return len(data) <= QUICK


def read(payload: Payload) -> Reading:
    """Return the statements, where they don't add up, and what can't be checked.

    The format has no identifiers of a holder. A file that only begins like MT940, or has no end, is
    an Other that says so.
    """
    reader = _Reader()
    content: Content
    try:
        _read_all(reader, payload)
        content = _content(reader)
    except Hostile:
        raise
    except Unreadable as error:
        content = Other("mt940-like", f"a text that resembles MT940, but {error}")
    return Reading(content, tuple(_reported(reader.problems)), tuple(_reported(reader.warnings)))


def _read_all(reader: _Reader, payload: Payload) -> None:
    try:
        for field in fields(payload):
            if field.tag != ENVELOPE:
                _take(reader, field)
    except Unreadable as error:
        reader.problems.append(str(error))
        raise
    _end_page(reader)
    _check_end(reader, payload)


def _content(reader: _Reader) -> Content:
    if reader.is_interim and not reader.balance:
        return Other(
            "mt942", "an interim report of movements (MT942), which is no statement", is_known=True
        )
    if not reader.balance.startswith("62"):
        raise Unreadable("its end is missing (field 62F)")
    parts = [
        structs.replace(part, page=",".join(pages))
        for part, pages in zip(reader.parts, reader.pages, strict=True)
    ]
    return Statement("mt940", tuple(parts), "sta")


def _take(reader: _Reader, field: Field) -> None:
    """Add a field to the page that it belongs to."""
    reader.last = field
    if field.tag == END:
        if reader.page is not None:
            reader.page.has_ended = True
        return
    page = _page_of(reader, field)
    match field.tag:
        case "25" | "25P":
            account = _account(field)
            own = page.accounts if page.has_account else ()
            page.accounts = tuple(dict.fromkeys(filter(None, (*own, account))))
            page.has_account = True
        case "28" | "28C":
            page.number, page.page = _numbers(field.value)
        case "34F":
            page.is_interim = reader.is_interim = True
        case "60F" | "60M":
            page.continues = field.tag == "60M"
            page.opening = _balance(reader, field)
            page.running = page.opening.amount
            reader.balance = field.tag
        case "61":
            _move(reader, page, field)
        case "62F" | "62M":
            page.is_continued = field.tag == "62M"
            _close(reader, page, _balance(reader, field))
            reader.balance = field.tag


def _numbers(value: str) -> tuple[str, str]:
    """Return the number of a statement and of its page.

    A slash stands between them; where there are more slashes, all but the last are of the number.
    """
    stated = value.rstrip(" /")
    number, _, page = stated.rpartition("/") if "/" in stated else (stated, "", "")
    return number.strip(), page.strip()


def _page_of(reader: _Reader, field: Field) -> _Page:
    """Return the page that a field belongs to, a new one if it begins one.

    A field that comes again begins another page; that is of the same account if it states none.
    """
    page = reader.page
    following = _Page()
    if page is not None:
        match field.tag:
            case "20":
                begins = page != following
            case "25" | "25P":
                begins = _is_of_another(page, field)
            case "28" | "28C":
                begins = page.closing is not None
                following = _Page(page.accounts)
            case "60F" | "60M":
                begins = page.opening is not None
                # A page without a number is of the statement before it; a statement is another one.
                is_same = field.tag == "60M" or page.closing is None
                following = _Page(page.accounts, number=page.number if is_same else "")
            case _:
                begins = False
        if not begins:
            return page
        _end_page(reader)
    reader.page = following
    return following


def _is_of_another(page: _Page, field: Field) -> bool:
    """Whether a field 25 is of another page than the current one, whose account it may repeat."""
    if page.closing is not None or page.has_ended:
        return True
    if page.opening is not None and page.has_account:
        return _account(field) not in page.accounts
    return len(page.accounts) >= MAX_ACCOUNTS


def _account(field: Field) -> str:
    """Return the account of a field 25: its IBAN if that is certain, else as it is written.

    "" if it has no number. The bank beside a number tells it from the same number at another one.
    """
    for text in (field.value, "".join(field.lines)):
        stated = text[:MAX_ACCOUNT]
        account = account_number(stated)
        if bears_number(account):
            return account if is_iban(account) else plain(stated)
    return ""


def _balance(reader: _Reader, field: Field) -> Balance:
    found = balance(field)
    if found is None:
        _note(reader.problems, f'an MT940 balance is malformed: "{field.value[:40]}"')
    return found or Balance()


def _move(reader: _Reader, page: _Page, field: Field) -> None:
    """Add a movement to the running balance of a page."""
    if page.opening is None or page.closing is not None:
        if not page.is_interim:
            _note(reader.problems, "a movement stands in no statement")
        return
    found = movement(field)
    if found is None:
        page.running = None
    elif page.running is not None and found.is_expected:
        page.expected += found.amount
    elif page.running is not None:
        page.running += found.amount


def _close(reader: _Reader, page: _Page, stated: Balance) -> None:
    """Compare a closing balance with the opening one and the movements."""
    if page.opening is None or page.closing is not None:
        page.closing = page.closing or stated
        what = f"statement {page.number} has a closing balance and no opening one"
        _note(reader.problems, what)
        return
    page.closing = stated
    if page.running is None or stated.amount is None:
        reader.is_unchecked = True
        what = f"whether the balances of statement {page.number} add up can't be checked"
        _note(reader.warnings, f"{what}, because an amount in it is spelt in an unknown way")
    # Banks differ in whether what is expected is in the balance.
    elif stated.amount not in (page.running, page.running + page.expected):
        what = f"the opening balance and the movements of statement {page.number} give"
        total = page.running + page.expected
        _note(reader.problems, f"{what} {total:,}, and its closing balance is {stated.amount:,}")


def _end_page(reader: _Reader) -> None:
    """Add a page to the statements, or to the one before it if both are of one statement."""
    page = reader.page
    if page is None:
        return
    reader.page = None
    is_missing = page.opening is not None or not (page.has_ended or page.is_interim)
    if page.closing is None and is_missing:
        what = f"statement {page.number} has no closing balance (field 62F)"
        _note(reader.problems, what)
    if not (page.has_account or page.opening or page.closing):
        return
    part = _part(page)
    before, reader.before = reader.before, page
    if before is not None and _is_next(reader, before, page):
        whole = reader.parts[-1]
        day = part.issue_date or whole.issue_date
        reader.parts[-1] = structs.replace(whole, closing=part.closing, issue_date=day)
        reader.pages[-1].append(part.page)
        return
    reader.parts.append(part)
    reader.pages.append([part.page])
    check_count(reader.parts)


def _is_next(reader: _Reader, before: _Page, page: _Page) -> bool:
    """Whether two pages are of one statement, and none is missing between them."""
    if not (
        before.is_continued
        and page.continues
        and (not page.has_account or page.accounts == before.accounts)
        and (not page.number or page.number == before.number)
    ):
        return False
    left, right = (before.closing or Balance()).amount, (page.opening or Balance()).amount
    if left is None or right is None or left == right:
        return True
    what = f"a page of statement {before.number} seems to be missing: one ends with {left:,}"
    _note(reader.warnings, f"{what}, and the following one begins with {right:,}")
    return False


def _part(page: _Page) -> AccountStatement:
    opening, closing = page.opening or Balance(), page.closing or Balance()
    # Both are in one currency, and some banks state it once.
    currency = opening.currency or closing.currency
    is_whole = not (page.continues or page.is_continued)
    return AccountStatement(
        page.accounts,
        number=page.number,
        issue_date=closing.day,
        opening=spelt_balance(opening.day, currency, opening.amount),
        closing=spelt_balance(closing.day, closing.currency or currency, closing.amount),
        page=page.page if is_whole or bears_number(page.page) else UNKNOWN_PAGE,
    )


def _check_end(reader: _Reader, payload: Payload) -> None:
    """Note if the file breaks off between fields, or in a balance where nothing else shows it."""
    with payload.open() as stream:
        stream.seek(max(payload.size - TAIL, 0))
        tail = stream.read(TAIL)
    head = payload.head(HEAD)
    start = _START.match(head)
    if breaks_off(tail, head[: start.start(1)].rstrip(b" :") if start else b""):
        _note(reader.problems, "it breaks off at the beginning of a field or a message")
    last = reader.last
    if not reader.is_unchecked or last is None or last.tag not in ("62F", "62M"):
        return
    if not _ENDED.search(tail) and not _COMPLETE.search(last.lines[-1].strip()):
        _note(reader.problems, "its last line has no end (field 62F)")


def _note(found: list[str], what: str) -> None:
    """Add what has been found, unless there is more of it than anyone reads."""
    if len(found) <= MAX_PROBLEMS:
        found.append(what)


def _reported(found: list[str]) -> list[str]:
    if len(found) < MAX_PROBLEMS:
        return found
    return [*found[:MAX_PROBLEMS], "and more of the kind"]
