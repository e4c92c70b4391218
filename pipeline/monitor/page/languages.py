"""Languages: the catalogs, which one a reader wants, and numbers and dates as he writes them.

The texts stand in English in the code and the templates; `locale/` has a catalog of gettext (.po)
for each other language, read at the start. Reasons and remedies that other parts of synqup say are
known as sentences: see `sentences`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from babel import Locale, dates, numbers
from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from pipeline.monitor.page.model import Label, Moment, Sentence, Text, Value
from pipeline.monitor.page.sentences import Sentences

#: The languages of the page by their codes, with the locale of numbers and dates.
LOCALES: Mapping[str, str] = {"nl": "nl_BE", "fr": "fr_BE", "en": "en_GB"}
#: How each language names itself.
NAMES: Mapping[str, str] = {"nl": "Nederlands", "fr": "Français", "en": "English"}
DEFAULT = "en"
#: The domains: texts of the page; sentences of other parts.
PAGE, SENTENCES = "page", "sentences"
#: The id at the end of a label.
_ID = re.compile(r" \(id [^()]*\)$")
#: Characters of Accept-Language that are read.
MAX_HEADER = 500


class Language:
    """One language of the page."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.name = NAMES[code]
        self.locale = Locale.parse(LOCALES[code])
        self.catalog = catalog(code, PAGE)
        self._sentences = Sentences(dict(messages(code, SENTENCES)), self)

    def say(self, text: Text | Sentence | str | None) -> str:
        """A text with its values, in this language."""
        if text is None:
            return ""
        if isinstance(text, str):
            return text
        if isinstance(text, Sentence):
            return self.sentence(text.text)
        if text.plural:
            found = self.catalog.ungettext(text.id, text.plural, text.n)
        else:
            found = self.catalog.ugettext(text.id)
        return found.format(**{name: self.value(one) for name, one in text.values.items()})

    def value(self, value: Value) -> str:
        """What fills a text."""
        if isinstance(value, Label):
            return self.label(value.text)
        if isinstance(value, Moment):
            return self.moment(value.at)
        if isinstance(value, Sentence):
            return self.sentence(value.text)
        return value if isinstance(value, str) else self.number(value)

    def sentence(self, text: str) -> str:
        """A sentence of another part of synqup, translated where it is known; no full stop."""
        return self._sentences.translated(text)

    def label(self, label: str) -> str:
        """The label of a document, without the id that its source has for it."""
        return self.sentence(_ID.sub("", label))

    def number(self, value: float) -> str:
        """A number."""
        return numbers.format_decimal(value, locale=self.locale)

    def amount(self, value: Any, currency: str = "EUR") -> str:
        """An amount of money."""
        return numbers.format_currency(value, currency or "EUR", locale=self.locale)

    def moment(self, at: float) -> str:
        """A time of today as a time, another one with its date; in the zone of this machine."""
        when, now = _local(at), _local(None)
        time = dates.format_time(when, "HH:mm", locale=self.locale)
        if when.date() == now.date():
            return time
        pattern = "d MMM" if when.year == now.year else "d MMM y"
        return f"{dates.format_date(when, pattern, locale=self.locale)} {time}"

    def full(self, at: float) -> str:
        """A time with its date and its seconds."""
        return dates.format_datetime(_local(at), "EEE d MMM y HH:mm:ss", locale=self.locale)

    def day(self, text: str) -> str:
        """A day that is written YYYY-MM-DD; any other text as it is."""
        try:
            return dates.format_date(
                datetime.strptime(text, "%Y-%m-%d"),  # noqa: DTZ007 - a day has no zone
                "d MMM y",
                locale=self.locale,
            )
        except ValueError:
            return text


def negotiated(header: str) -> str:
    """The code of the language that an Accept-Language header wants most (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for part in header[:MAX_HEADER].split(","):
        tag, _, parameters = part.strip().partition(";")
        name, _, weight = parameters.strip().partition("=")
        try:
            quality = float(weight) if name.strip().lower() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if tag and quality > 0:
            wanted.append((-quality, tag.strip().replace("-", "_")))
    tags = [tag for _, tag in sorted(wanted, key=lambda one: one[0])]
    return (negotiate_locale(tags, list(LOCALES), sep="_") or DEFAULT).lower()


@cache
def languages() -> Mapping[str, Language]:
    """All of them by their codes; reading them takes some 50 ms."""
    return {code: Language(code) for code in LOCALES}


def catalog(code: str, domain: str) -> NullTranslations:
    """The translations of a domain; of English there are none."""
    if code == DEFAULT:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.StringIO(_source(code, domain)), locale=code))
    compiled.seek(0)
    return Translations(compiled, domain)


def messages(code: str, domain: str) -> Mapping[str, str]:
    """What a catalog says for each text without a plural."""
    if code == DEFAULT:
        return {}
    found = read_po(io.StringIO(_source(code, domain)), locale=code)
    return {
        one.id: one.string
        for one in found
        if one.id and isinstance(one.id, str) and isinstance(one.string, str)
    }


def _source(code: str, domain: str) -> str:
    place = files("pipeline.monitor.page") / "locale" / code / f"{domain}.po"
    return place.read_text("utf-8")


def _local(at: float | None) -> datetime:
    if at is None:
        return datetime.now()  # noqa: DTZ005 - the reader's time is the machine's
    return datetime.fromtimestamp(at)  # noqa: DTZ006
