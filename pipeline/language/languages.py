"""Languages: says texts in the language of their reader, with numbers and dates as he writes them.

The texts stand in English in the code and the templates; a folder `locale/` beside them has a
catalog for each other language. Reasons and remedies that other parts of synqup say are known as
sentences: see `sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from typing import Any

from babel import Locale, dates, numbers
from rich.filesize import decimal

from pipeline.language.catalogs import SENTENCES, Domain, catalog, messages
from pipeline.language.codes import LOCALES, NAMES
from pipeline.language.reasons import reason_and_remedy
from pipeline.language.sentences import Sentences
from pipeline.language.texts import (
    Label,
    Listed,
    Moment,
    Recorded,
    Sentence,
    Size,
    Text,
    Value,
)

#: The id at the end of a label.
_ID = re.compile(r" \(id [^()]*\)$")
#: Times of a message, which may be read on another day: by CLDR's patterns (UTS 35, part 4).
#: English readers have many ways; this one all of them know.
DATED = {
    "nl": "d MMMM y 'om' HH:mm",
    "fr": "d MMMM y 'à' HH:mm",
    "en": "yyyy-MM-dd HH:mm",
}
#: Units of sizes where they are not those of English.
UNITS: Mapping[str, Mapping[str, str]] = {
    "fr": {"bytes": "octets", "kB": "ko", "MB": "Mo", "GB": "Go", "TB": "To"}
}


class Language:
    """One language. domain: of the texts that it says.

    dated: whether each time has its date, as in messages. zone: of times; None: this machine's.
    """

    def __init__(
        self, code: str, domain: Domain, *, dated: bool = False, zone: tzinfo | None = None
    ) -> None:
        self.code = code
        self._dated = dated
        self._zone = zone
        self.name = NAMES[code]
        self.locale = Locale.parse(LOCALES[code])
        self.semicolon, self.colon = (" ; ", " : ") if code == "fr" else ("; ", ": ")
        self.catalog = catalog(code, domain)
        self._sentences = Sentences(_known(code), self)

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
        match value:
            case Text() | Sentence() | str():
                return self.say(value)
            case Label():
                return self.label(value.text)
            case Recorded():
                return self.recorded(value.text, value.label)
            case Listed():
                return ", ".join(map(self.say, value.texts))
            case _:
                return self._quantity(value)

    def _quantity(self, value: Moment | Size | float) -> str:
        match value:
            case Moment():
                return self.moment(value.at)
            case Size():
                number, _, unit = decimal(value.bytes).partition(" ")
                return self.size(float(number.replace(",", "")), unit)
            case _:
                return self.number(value)

    def sentence(self, text: str) -> str:
        """A sentence of another part of synqup, translated where it is known; no full stop."""
        return self._sentences.translated(text)

    def recorded(self, text: str, label: str) -> str:
        """The reason and the remedy of what was recorded of an error. label: of its document."""
        reason, remedy = reason_and_remedy(text, label)
        said = (self.sentence(one) for one in (reason, remedy) if one)
        return ". ".join(said) + ("." if remedy else "")

    def label(self, label: str) -> str:
        """The label of a document, without the id that its source has for it."""
        return self.sentence(_ID.sub("", label))

    def number(self, value: float) -> str:
        """A number."""
        return numbers.format_decimal(value, locale=self.locale)

    def amount(self, value: Any, currency: str = "EUR") -> str:
        """An amount of money."""
        return numbers.format_currency(value, currency or "EUR", locale=self.locale)

    def size(self, value: float, unit: str) -> str:
        """A number of "bytes", "kB", "MB", "GB" or "TB"."""
        return f"{self.number(value)} {UNITS.get(self.code, {}).get(unit, unit)}"

    def moment(self, at: float) -> str:
        """A time of today as a time, another one with its date; see `dated`."""
        return self.when(self._local(at))

    def when(self, at: datetime) -> str:
        """As moment(), of a time in the zone of this language."""
        if self._dated:
            pattern = DATED[self.code]
            if self.code == "fr" and at.day == 1:
                pattern = pattern.replace("d", "d'er'", 1)
            return dates.format_datetime(at, pattern, locale=self.locale)
        now = self._local(None)
        time = dates.format_time(at, "HH:mm", locale=self.locale)
        if at.date() == now.date():
            return time
        pattern = "d MMM" if at.year == now.year else "d MMM y"
        return f"{dates.format_date(at, pattern, locale=self.locale)} {time}"

    def full(self, at: float) -> str:
        """A time with its date and its seconds."""
        return dates.format_datetime(self._local(at), "EEE d MMM y HH:mm:ss", locale=self.locale)

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

    def _local(self, at: float | None) -> datetime:
        if at is None:
            return datetime.now(self._zone)
        return datetime.fromtimestamp(at, self._zone)


@cache
def _known(code: str) -> Mapping[str, str]:
    return {id_: text for domain in SENTENCES for id_, text in messages(code, domain).items()}
