"""Feed walk: what came of the feeds of one walk, each of which may fail by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import SignInRefused, SourceError, SourceUnreachable, SynqupError
from stages.sources.codabox.client import TooEarly


class FeedWalk:
    """What came of the feeds of one walk. brought: whether any of them has documents."""

    def __init__(self, subject: str) -> None:
        self.brought = False
        self._subject = subject
        self._asked = False
        self._read = 0
        self._failures: list[SynqupError] = []

    @property
    def asked(self) -> bool:
        """Whether any feed has been asked for."""
        return self._asked

    @property
    def may_ask(self) -> bool:
        """Whether it is of use to ask for another feed, and no harm."""
        return not any(isinstance(error, TooEarly) for error in self._failures)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read one feed. A failure that is of this feed alone is raised at the end."""
        self._asked = True
        try:
            yield
        except (SignInRefused, SourceUnreachable):
            raise
        except (SourceError, TooEarly) as error:
            self._failures.append(error)
        else:
            self._read += 1

    def fail(self, feed: str, problem: str, remaining: float) -> None:
        """Count a feed whose latest list was not read, and that must not be asked for yet."""
        self._failures.append(
            SourceError(
                f"{self._subject}, feed of {feed}",
                problem,
                f"It may be asked for again in {remaining:,.0f} s, and will be",
            )
        )

    def end(self) -> None:
        """Raise what has failed; as an error of a part of the source if there were other parts."""
        if not self._failures:
            return
        first, count = self._failures[0], len(self._failures)
        if count == 1 and (isinstance(first, SourceError) or not (self._read or self.brought)):
            raise first
        feeds = "a feed" if count == 1 else f"{count} feeds"
        raise SourceError(
            self._subject,
            f"{feeds} can't be read, the first one because: {first.subject}: {first.reason}",
            first.remedy,
        )
