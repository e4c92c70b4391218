"""Bundles: what one file is that holds several documents, of which some may be one and the same."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from stages.formats.content import Answer, Bundle, Content, Invoice, Statement
from stages.formats.party import Party
from stages.values.amounts import same_amount
from stages.values.identifiers import compact


def combined(
    contents: Iterable[Content], format_: str, description: str, extension: str
) -> Invoice | Statement | Bundle | Answer | None:
    """Return what several contents of one file make together, the most important first.

    One invoice or statement is what the file is, whatever lies beside it; several are a bundle. An
    answer counts where there is neither. None if there is nothing of all that. The other arguments
    are those of a bundle.
    """
    parts: list[Invoice | Statement] = []
    answers: list[Answer] = []
    for content in contents:
        match content:
            case Bundle():
                found: tuple[Invoice | Statement, ...] = content.parts
            case Invoice() | Statement():
                found = (content,)
            case Answer():
                answers.append(content)
                continue
            case _:
                continue
        parts += [one for one in found if not any(_is_same(one, other) for other in parts)]
    if len(parts) > 1:
        return Bundle(format_, description, tuple(parts), extension)
    return next(iter([*parts, *answers]), None)


def _is_same(one: Invoice | Statement, other: Invoice | Statement) -> bool:
    """Whether two are one document: in two syntaxes, say, or attached twice."""
    if not isinstance(one, Invoice) or not isinstance(other, Invoice):
        return one == other
    if _said(one) == _said(other):
        return True
    return (
        one.details is not None
        and other.details is not None
        and one.details.vocabulary != other.details.vocabulary
        and compact(one.number) == compact(other.number)
        and one.issue_date == other.issue_date
        and same_amount(one.total) == same_amount(other.total)
        and _may_be_same(one.supplier, other.supplier)
        and _may_be_same(one.customer, other.customer)
    )


def _said(invoice: Invoice) -> Invoice:
    return structs.replace(
        invoice, format="", extension="", supplier_element="", customer_element=""
    )


def _may_be_same(one: Party, other: Party) -> bool:
    """Whether two parties share a number, or one of them has none."""
    numbers, others = (
        {compact(number.value) for number in party.identifiers} for party in (one, other)
    )
    return not numbers or not others or not numbers.isdisjoint(others)
