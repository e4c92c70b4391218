"""Answers to invoices: acknowledged, noted once, and shown; or delivered, or set aside."""

from __future__ import annotations

import json
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline.app import output as report
from pipeline.app.catch_up import CatchUpResult
from pipeline.app.cli import app
from pipeline.app.exit_codes import ExitCode, exit_code_of_result
from pipeline.app.wiring import Config, load_config
from pipeline.ledger.summary import MAX_REFUSED
from stages.check import examine
from stages.sandbox import Mailbox
from stages.sandbox.answers import Answer
from stages.sandbox.state_index import State
from tests.helpers.services import often, running, until
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio

RULES = {
    "record": "",
    "deliver": 'answers = "deliver"\nothers_path = "out/answers/[enterprise_identifier]"',
    "quarantine": 'answers = "quarantine"',
}


def mailbox(documents: int = 700) -> Mailbox:
    return Mailbox(documents, companies=2, seed=7, answers=True)


def answers(it: Trial) -> list[Answer]:
    return [one.content for one in it.mailbox if isinstance(one.content, Answer)]


def ruled(it: Trial, rule: str) -> Config:
    """The configuration of a trial, with a rule for answers in place of the one before."""
    text = it.path.read_text("utf-8")
    for other in filter(None, RULES.values()):
        text = text.replace(f"[delivery]\n{other}\n", "[delivery]\n")
    it.path.write_text(text.replace("[delivery]\n", f"[delivery]\n{RULES[rule]}\n"), "utf-8")
    return it.config()


def ends(it: Trial) -> Counter[str]:
    """What the platform was told of the answers, at last."""
    told = it.journal()
    return Counter(
        told[one.id][-1] for one in it.mailbox if isinstance(one.content, Answer) and one.id in told
    )


def said(it: Trial) -> Counter[str]:
    counted = Counter[str]()
    for one in it.summary().answers:
        counted[one.says] += one.notes
    return counted


def printed(it: Trial, outcome: CatchUpResult) -> str:
    console = Console(width=200, record=True, file=StringIO())
    report.result(console, outcome, it.summary())
    report.summary(console, it.summary(), {})
    return console.export_text()


async def test_a_hundred_are_acknowledged_and_noted_and_none_is_quarantined(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, mailbox=mailbox()) as it:
        held = answers(it)
        assert len(held) >= 100
        outcome = await it.bring(ruled(it, "record"))
        assert exit_code_of_result(outcome) is ExitCode.OK
        counters = outcome.counters
        assert (counters.quarantined, counters.skipped) == (0, len(held))
        assert counters.delivered == len(it.mailbox) - len(held)
        assert ends(it) == {"FORWARDED": len(held)}
        summary = it.summary()
        assert not summary.quarantine
        assert said(it).total() == len(held)
        refused = [one for one in held if one.code == "RE"]
        assert said(it)["rejected"] == len(refused) > 0
        shown = Counter(one.company for one in summary.refused)
        expected = Counter(one.invoice.supplier.identifier for one in refused)
        assert shown == {key: min(count, MAX_REFUSED) for key, count in expected.items()}
        one = summary.refused[0]
        assert any(
            (one.reference, one.party) == (r.invoice.number, r.invoice.customer.name)
            for r in refused
        )
        text = printed(it, outcome)
        assert f"rejected {one.reference}, by {one.party}: {one.reason}" in text
        assert f"answers to {one.company}: " in text
        result = CliRunner().invoke(app, ["status", "--json", "--config", str(it.path)])
        assert result.exit_code == 0
        told = json.loads(result.output)
        assert sum(one["notes"] for one in told["answers"]) == len(held)
        assert told["refused"][0]["reference"] == one.reference


async def test_listed_again_after_a_restart_they_are_noted_once(tmp_path: Path) -> None:
    async with trial(tmp_path, mailbox=mailbox(100)) as it:
        config = ruled(it, "record")
        await it.bring(config)
        before = it.summary()
        for document in it.mailbox:
            it.mailbox.set_state(document, State.PENDING)
        outcome = await it.bring(config)
        assert exit_code_of_result(outcome) is ExitCode.OK
        assert (it.summary().answers, it.summary().refused) == (before.answers, before.refused)
        assert ends(it) == {"FORWARDED": len(answers(it))}


async def test_they_are_delivered_and_noted(tmp_path: Path) -> None:
    async with trial(tmp_path, mailbox=mailbox(100)) as it:
        outcome = await it.bring(ruled(it, "deliver"))
        assert exit_code_of_result(outcome) is ExitCode.OK
        assert it.delivered() == it.held()
        files = {path.name for path in (it.folder / "out" / "answers").rglob("*.xml")}
        assert len(files) == len(answers(it)) == said(it).total()
        one = answers(it)[0]
        number = one.invoice.number.replace("/", "_")
        assert any(name.startswith(f"{one.issued}_{number}_") for name in files)


async def test_they_are_set_aside_where_the_user_wants_that(tmp_path: Path) -> None:
    async with trial(tmp_path, mailbox=mailbox(40)) as it:
        outcome = await it.bring(ruled(it, "quarantine"))
        assert exit_code_of_result(outcome) is ExitCode.INCOMPLETE
        assert outcome.counters.quarantined == len(answers(it))
        assert ends(it) == {"ERROR": len(answers(it))}
        assert 'With answers = "record"' in it.summary().quarantine[0].reason


async def test_an_edit_of_the_rule_counts_from_the_next_document_on(tmp_path: Path) -> None:
    async with trial(tmp_path, mailbox=mailbox(40)) as it:
        async with running(often(ruled(it, "quarantine"))) as service:
            await until(lambda: ends(it) == {"ERROR": len(answers(it))})
            service.apply(often(ruled(it, "record")))
            for document in it.mailbox:
                it.mailbox.set_state(document, State.PENDING)
            await until(lambda: ends(it) == {"FORWARDED": len(answers(it))})
        assert said(it).total() == len(answers(it))
        assert not it.summary().quarantine


async def test_a_check_shows_their_folder_and_wants_one(tmp_path: Path) -> None:
    async with trial(tmp_path, mailbox=mailbox(1)) as it:
        sentences = [one.sentence for one in await examine(ruled(it, "deliver"))]
        assert any(", answers: " in one and str(Path("out/answers")) in one for one in sentences)
        both = it.path.read_text("utf-8").replace("[delivery]\n", '[delivery]\nothers="deliver"\n')
        it.path.write_text(both, "utf-8")
        sentences = [one.sentence for one in await examine(load_config(it.path))]
        assert any(", others and answers: " in one for one in sentences)
