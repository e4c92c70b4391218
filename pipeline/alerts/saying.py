"""Saying: what there is to tell, in the language of whoever gets it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo

from pipeline.alerts.message import Message, News
from pipeline.alerts.texts import ALERTS
from pipeline.language.languages import Language
from pipeline.language.texts import Sentence
from pipeline.text import sanitized

#: Characters of a subject, and of a line of details.
MAX_SUBJECT = MAX_LINE = 800


def languages(codes: Iterable[str], zone: tzinfo | None = None) -> Mapping[str, Language]:
    """The languages by their codes. zone: of times; None: this machine's.

    It blocks: to read the catalogs of one takes some 50 ms.
    """
    return {code: Language(code, ALERTS, dated=True, zone=zone) for code in set(codes)}


def said(news: News, language: Language) -> Message:
    """The message that tells this news in a language."""
    remedy = language.say(news.remedy)
    return Message(
        id=news.id,
        incident=news.incident,
        cause=news.cause,
        state=news.state,
        at=news.at,
        machine=news.machine,
        subject=sanitized(language.say(news.subject), MAX_SUBJECT),
        text=_capitalised(language.say(news.text)),
        remedy=f"{remedy}." if remedy and isinstance(news.remedy, Sentence) else remedy,
        details=tuple(sanitized(language.say(one), MAX_LINE) for one in news.details),
        language=language.code,
    )


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
