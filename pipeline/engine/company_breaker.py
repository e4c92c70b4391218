"""Circuit breaker of companies: gives up one company of a source which may well serve the others.

A platform may hang for the documents of one company alone. They would have all workers of their
source soon, and its own breaker would open for them, before the documents of anybody else have been
tried. So where a source is polled for several companies, each has its failures counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.errors import SynqupError

#: Documents of a company that fail in a row before one try of each further one is enough.
SUSPECT_AFTER = 8
#: Tries that fail in a row, over so many seconds at least, before a company is given up for this
#: poll. It costs little if that was wrong: what waits is listed again by the next poll.
GIVE_UP_TRIES = 4
GIVE_UP_SECONDS = 30.0


class _Row:
    """Failures in a row of one company.

    since: when the first of these tries began. is_on_trial: whether it was given up by an earlier
    poll, and has not been served since. turn: the number, in the list, of the document that is
    tried then; is_tried: whether it has been; refused: how many others have not.
    """

    def __init__(self, since: float, latest: SynqupError) -> None:
        self.documents = 0
        self.tries = 0
        self.since = since
        self.latest = latest
        self.is_on_trial = self.is_tried = False
        self.turn = self.refused = 0

    @property
    def is_met(self) -> bool:
        """Whether there has been anything of the company in this poll."""
        return self.is_tried or self.refused > 0 or not self.is_on_trial


class CompanyBreaker:
    """The circuit breakers of the companies of all sources that are polled for several.

    One that was given up is on trial in the next poll: a single document of it is tried, and only
    where that is answered the others are. In each poll it is another document, as one of them may
    be the cause.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._several: set[str] = set()
        self._rows: dict[tuple[str, str], _Row] = {}

    def counts(self, source: str, company: str) -> bool:
        """Whether what happens to a document of this company says nothing of its source yet."""
        return bool(company) and source in self._several

    def record_document(self, source: str, company: str) -> None:
        """Count a document that has to wait, after its tries have been counted."""
        if (row := self._rows.get((source, company))) is not None:
            row.documents += 1

    def record_try(self, source: str, company: str, error: SynqupError, began: float) -> bool:
        """Count a try that has failed, and began then; whether that gives the company up."""
        if not self.counts(source, company):
            return False
        row = self._rows.get((source, company))
        if row is None:
            row = self._rows[source, company] = _Row(began, error)
        row.tries += 1
        row.since = min(row.since, began)
        row.latest = error
        return self._is_given_up(row)

    def record_success(self, source: str, company: str) -> None:
        """The source has served a document of the company."""
        if self._rows:
            self._rows.pop((source, company), None)

    def record_answer(self, source: str, company: str) -> None:
        """The source has answered for the company, if not with a document: a trial ends."""
        row = self._rows.get((source, company))
        if row is not None and row.is_on_trial:
            del self._rows[source, company]

    def is_suspect(self, source: str, company: str) -> bool:
        """Whether one try of each document is enough, until one is served."""
        row = self._rows.get((source, company))
        return row is not None and (row.is_on_trial or row.documents >= SUSPECT_AFTER)

    def refusal(self, source: str, company: str) -> SynqupError | None:
        """Why a document is not tried that would be tried now: the latest failure of its company.

        None if it is; of one that is on trial the document whose turn it is.
        """
        row = self._rows.get((source, company))
        if row is None or not self._is_given_up(row):
            return None
        if row.is_on_trial and not row.is_tried and row.refused == row.turn:
            row.is_tried = True
            return None
        row.refused += 1
        return row.latest

    def given_up(self, source: str) -> Mapping[str, SynqupError]:
        """The companies of a source that are given up, with the latest failure of each."""
        return {
            company: row.latest
            for (name, company), row in self._rows.items()
            if name == source and row.is_met and self._is_given_up(row)
        }

    def reset(self, source: str, *, several: bool) -> None:
        """Begin a new poll of a source. several: whether it is polled for several companies."""
        (self._several.add if several else self._several.discard)(source)
        for key in [one for one in self._rows if one[0] == source]:
            row = self._rows[key]
            if several and row.is_met and self._is_given_up(row):
                row.turn = row.turn + 1 if row.is_tried and row.turn < row.refused else 0
                row.is_on_trial, row.is_tried, row.refused = True, False, 0
            else:
                del self._rows[key]

    def _is_given_up(self, row: _Row) -> bool:
        lasting = self._clock() - row.since >= GIVE_UP_SECONDS
        return row.is_on_trial or (row.tries >= GIVE_UP_TRIES and lasting)
