"""Memberships: compares the companies that a source knows with those that are configured for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.source import FoundCompany
from pipeline.text import enumerated
from stages.matching.evidence import named
from stages.settings import Company


def compared(
    found: Sequence[FoundCompany],
    configured: Sequence[Company],
    is_same: Callable[[FoundCompany, Company], bool],
) -> str:
    """What the platform knows, which of that is left alone, and what it does not know: a sentence.

    configured: the companies whose documents the source is to bring. is_same: whether a company of
    the platform is that one.
    """
    strange = [one for one in found if not any(is_same(one, company) for company in configured)]
    missing = [one for one in configured if not any(is_same(other, one) for other in found)]
    count = len(found)
    companies = "1 company" if count == 1 else f"{count:,} companies"
    known = count - len(strange)
    verb = "is" if known == 1 else "are"
    sentences = [f"the platform knows {companies}, {known:,} of them {verb} configured"]
    if strange:
        names = enumerated([called(one) for one in strange])
        sentences.append(f"left alone, as they are not in [[companies]]: {names}")
    if missing:
        names = enumerated([named(one) for one in missing])
        sentences.append(f"configured, and not known there: {names}")
    return "; ".join(sentences)


def called(company: FoundCompany) -> str:
    """A company as people know it, with what it is called at the platform."""
    name, id_ = company.name, company.file_number or company.id
    return f"{name} ({id_})" if name and name != id_ else id_
