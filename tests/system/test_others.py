"""What is neither an invoice nor a statement: set aside, skipped or delivered, as its user says."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.app import output as report
from pipeline.app.catch_up import CatchUpResult
from pipeline.app.exit_codes import exit_code_of_result
from pipeline.app.wiring_sandbox import serve_sandbox
from pipeline.errors import Rejected, Skipped
from pipeline.ledger.models import State
from stages.check import examine
from stages.kind import Kind
from stages.model import Classified
from stages.sandbox import Mailbox, write_config
from tests.helpers.camt import camt, one as one_statement
from tests.helpers.documents import SUPPLIER, classified, configured
from tests.helpers.invoices import ubl
from tests.helpers.mt940 import STATEMENT as MT940
from tests.helpers.trial import Trial
from tests.helpers.writing import visible

pytestmark = pytest.mark.anyio

ORDER = ubl(root="Order")
PDF = "%PDF-1.7\nprinted\n%%EOF\n"
PAGE = "<!DOCTYPE html><html><body>Back soon</body></html>"
DELIVER = 'others = "deliver"\nothers_path = "others/[enterprise_identifier]"'
SKIP = 'others = "skip"'

OTHERS = {
    "order": ORDER,
    "reminder": ubl(root="Reminder"),
    "despatch": ubl(root="DespatchAdvice"),
    "response": ubl(root="OrderResponse"),
    "soda": "<SocialDocument><a/></SocialDocument>",
    "zip": "PK\3\4" + "x" * 40 + "PK\5\6",
    "mail": "From: a@b.be\nSubject: x\nMessage-ID: 1\n\ntext\n",
}

#: Those of them whose content does not say what they are.
UNREAD = ("zip", "mail")


async def ruled(folder: Path, delivery: str, data: str, **hints: object) -> Classified:
    return (await classified(configured(folder, delivery), data, **hints)).meta


@pytest.mark.parametrize("what", OTHERS)
async def test_by_default_it_is_set_aside_with_the_way_out(tmp_path: Path, what: str) -> None:
    with pytest.raises(Rejected, match=r"it is .*others in \[delivery\]"):
        await ruled(tmp_path, "", OTHERS[what], company=SUPPLIER)


@pytest.mark.parametrize("what", OTHERS)
async def test_it_is_skipped_and_the_rule_is_named(tmp_path: Path, what: str) -> None:
    kind = None if what in UNREAD else Kind.SALES
    with pytest.raises(Skipped, match=r'it is .*, and others = "skip"'):
        await ruled(tmp_path, SKIP, OTHERS[what], company=SUPPLIER, kind=kind)


@pytest.mark.parametrize("what", UNREAD)
@pytest.mark.parametrize("kind", [Kind.PURCHASE, Kind.SALES, Kind.STATEMENT])
async def test_what_the_list_calls_something_and_nobody_could_read_is_never_skipped(
    tmp_path: Path, what: str, kind: Kind
) -> None:
    with pytest.raises(Rejected, match=r"it is .*others in \[delivery\]"):
        await ruled(tmp_path, SKIP, OTHERS[what], company=SUPPLIER, kind=kind)


@pytest.mark.parametrize("what", OTHERS)
async def test_it_is_delivered_to_its_mailboxs_company(tmp_path: Path, what: str) -> None:
    meta = await ruled(tmp_path, DELIVER, OTHERS[what], company=SUPPLIER, number="O-1")
    assert (meta.kind, meta.company.identifier) == (Kind.UNKNOWN, SUPPLIER)
    assert meta.number == "O-1"
    assert meta.extension
    assert not meta.warnings


async def test_without_a_mailbox_nobody_knows_whose_it_is(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="and nothing says which company it is of"):
        await ruled(tmp_path, DELIVER, ORDER)


@pytest.mark.parametrize("rule", [SKIP, DELIVER])
@pytest.mark.parametrize("data", [PAGE, '{"message": "no"}', " \n"])
async def test_what_came_in_place_of_a_document_is_not_for_the_rule(
    tmp_path: Path, rule: str, data: str
) -> None:
    with pytest.raises(Rejected, match="came instead of it"):
        await ruled(tmp_path, rule, data, company=SUPPLIER)


@pytest.mark.parametrize("data", ["<a/>", "\1\2\3", ubl().replace("Invoice-2", "Invoice-1.0")])
async def test_what_nobody_recognises_is_delivered_and_never_skipped(
    tmp_path: Path, data: str
) -> None:
    with pytest.raises(Rejected):
        await ruled(tmp_path, SKIP, data, company=SUPPLIER, kind=None)
    meta = await ruled(tmp_path, DELIVER, data, company=SUPPLIER, kind=None)
    assert meta.kind is Kind.UNKNOWN


async def test_what_the_list_calls_an_invoice_is_never_skipped(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"Add the company to \[\[companies\]\]"):
        await ruled(tmp_path, SKIP, PDF, kind=Kind.PURCHASE)
    meta = await ruled(tmp_path, SKIP, PDF, kind=Kind.PURCHASE, company=SUPPLIER)
    assert meta.kind is Kind.PURCHASE
    with pytest.raises(Skipped):
        await ruled(tmp_path, SKIP, PDF, kind=None, company=SUPPLIER)


@pytest.mark.parametrize("rule", ["", SKIP, DELIVER])
async def test_an_invoice_of_strangers_is_never_for_the_rule(tmp_path: Path, rule: str) -> None:
    strangers = ubl().replace("0403170701", "0202239951")
    with pytest.raises(Rejected, match=r"\[\[companies\]\]"):
        await ruled(tmp_path, rule, strangers, company=SUPPLIER)


# Through the whole pipeline: files of a folder, of whose kind the list says no word.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    held = tmp_path / "held"
    held.mkdir()
    for name, text in {**OTHERS, "invoice": ubl(), "page": PAGE}.items():
        (held / name).write_text(text)
    return held


async def brought(folder: Path, rule: str) -> tuple[Trial, CatchUpResult]:
    mailbox = Mailbox.of_files(folder, SUPPLIER)
    work = folder.parent
    async with serve_sandbox(mailbox, journal=work / "journal.jsonl") as sandbox:
        one = Trial(work, mailbox, sandbox, faults=None)  # type: ignore[arg-type] # none needed
        write_config(one.path, sandbox, mailbox)
        text = one.path.read_text("utf-8")
        one.path.write_text(text.replace("[delivery]\n", f"[delivery]\n{rule}\n"), "utf-8")
        return one, await one.bring(one.config())


def statuses(one: Trial) -> dict[str, str]:
    told = one.journal()
    return {
        document.content.name: told[document.id][-1]
        for document in one.mailbox
        if isinstance(document.content, Path)
    }


def printed(one: Trial, outcome: CatchUpResult) -> str:
    console = Console(width=200, record=True, file=StringIO())
    report.result(console, outcome, one.summary())
    report.summary(console, one.summary(), {})
    return console.export_text()


async def test_skipped_they_are_told_forwarded_and_counted(folder: Path) -> None:
    one, outcome = await brought(folder, SKIP)
    assert (outcome.counters.skipped, outcome.counters.delivered) == (len(OTHERS), 1)
    forwarded = dict.fromkeys((*OTHERS, "invoice"), "FORWARDED")
    assert statuses(one) == {**forwarded, "page": "ERROR"}
    counts = [one for one in one.summary().counts if one.state is State.SKIPPED]
    assert sum(count.documents for count in counts) == len(OTHERS)
    said = printed(one, outcome)
    assert f"{len(OTHERS)} skipped by a rule, 1 quarantined" in said
    assert f"{len(OTHERS)} skipped by a rule, acknowledged" in said
    assert one.delivered().total() == 1


async def test_delivered_they_stand_in_their_own_folder(folder: Path) -> None:
    one, outcome = await brought(folder, DELIVER.replace("others/", "out/others/"))
    assert outcome.counters.delivered == len(OTHERS) + 1
    there = {path.read_text() for path in visible(one.folder / "out/others" / SUPPLIER)}
    assert there == set(OTHERS.values())
    assert set(statuses(one).values()) == {"FORWARDED", "ERROR"}


async def test_by_default_they_are_errors_at_the_platform(folder: Path) -> None:
    one, outcome = await brought(folder, "")
    assert outcome.counters.quarantined == len(OTHERS) + 1
    assert statuses(one)["order"] == "ERROR"
    assert "skipped" not in printed(one, outcome)


@pytest.mark.parametrize("rule", ["", SKIP, DELIVER.replace("others/", "out/others/")])
async def test_statements_without_an_account_are_refused_whatever_becomes_of_others(
    tmp_path: Path, rule: str
) -> None:
    folder = tmp_path / "held"
    folder.mkdir()
    (folder / "none.xml").write_bytes(camt())
    (folder / "without.xml").write_bytes(camt(one_statement("")))
    (folder / "without.sta").write_text(MT940.format(account="KREDBEBB/EUR", number="1"))
    one, outcome = await brought(folder, rule)
    assert outcome.counters.quarantined == 3
    reasons = " ".join(kept.reason for kept in one.summary().quarantine)
    assert "holds no statement of account" in reasons
    assert reasons.count("whose account has no number") == 2
    assert exit_code_of_result(outcome) == 1


async def test_a_check_shows_their_folder_and_the_forms(tmp_path: Path) -> None:
    async def said(delivery: str, more: str = "") -> str:
        found = await examine(configured(tmp_path, delivery, more))
        return "\n".join(one.sentence for one in found if one.about == "folder")

    assert "others" not in await said("")
    assert "sales as ubl: " in await said("")
    told = await said(DELIVER + '\nformats = "pdf"')
    assert f"Supplier ({SUPPLIER}), others: {tmp_path / 'others' / SUPPLIER}" in told
    assert "purchase as pdf: " in told
    assert "sales as ubl+pdf: " in await said("", 'formats = "ubl+pdf"\n')
