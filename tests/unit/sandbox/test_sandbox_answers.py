"""The sandbox's answers: every second sale, where they are asked for, and no document otherwise."""

from __future__ import annotations

from stages.formats.content import Answer as Content
from stages.formats.xml import content_of
from stages.kind import Kind
from stages.sandbox import Mailbox
from stages.sandbox.answers import SAYINGS, Answer
from stages.sandbox.invoices import Invoice


def test_each_answers_the_sale_before_it() -> None:
    mailbox = Mailbox(400, companies=2, seed=3, answers=True)
    answers = [one for one in mailbox if isinstance(one.content, Answer)]
    sales = {
        (one.company.identifier, one.number): one.content
        for one in mailbox
        if one.kind is Kind.SALES and isinstance(one.content, Invoice)
    }
    assert len(answers) == len(sales)
    assert {one.content.code for one in answers if isinstance(one.content, Answer)} == {
        code for code, *_ in SAYINGS
    }
    for one in answers:
        content = content_of(one.read())
        assert isinstance(content, Content)
        sale = sales[one.company.identifier, content.answered]
        assert content.receiver.identifiers[0].value == sale.supplier.number
        assert content.sender.name == sale.customer.name
        assert one.media_type == "application/xml"
    assert len({one.read() for one in answers}) == len(answers)


def test_nothing_else_changes_and_by_default_there_are_none() -> None:
    plain, answering = Mailbox(200, seed=3), Mailbox(200, seed=3, answers=True)
    assert not any(isinstance(one.content, Answer) for one in plain)
    for before, now in zip(plain, answering, strict=True):
        assert before.id == now.id
        assert isinstance(now.content, Answer) or before.read() == now.read()


def test_another_content_under_its_id_is_another_answer() -> None:
    mailbox = Mailbox(200, seed=3, answers=True)
    one = next(one for one in mailbox if isinstance(one.content, Answer))
    mailbox.revise(one.id)
    again = mailbox.find(one.id)
    assert again is not None
    assert again.read() != one.read()
