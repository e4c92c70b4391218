"""Languages: says texts in the language of their reader, with numbers and dates as he writes them.

The texts stand in English in the code and the templates; a folder `locale/` beside them has a
catalog for each other language. Reasons and remedies that other parts of synqup say are known as
sentences: see `sentences`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from babel import Locale, dates, numbers

from pipeline.language.catalogs import SENTENCES, Domain, catalog, messages
from pipeline.language.codes import LOCALES, NAMES
from pipeline.language.sentences import Sentences
from pipeline.language.texts import Label, Moment, Sentence, Text, Value

#: The id at the end of a label.
_ID = re.compile(r" \(id [^()]*\)$")


class Language:
    """One language. domain: of the texts that it says."""

    def __init__(self, code: str, domain: Domain) -> None:
        self.code = code
        self.name = NAMES[code]
        self.locale = Locale.parse(LOCALES[code])
        self.catalog = catalog(code, domain)
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


def _local(at: float | None) -> datetime:
    if at is None:
        return datetime.now()  # noqa: DTZ005 - the reader's time is the machine's
    return datetime.fromtimestamp(at)  # noqa: DTZ006
