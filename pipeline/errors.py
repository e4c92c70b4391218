"""Every error that Synqup raises on purpose: a sentence that its reader can act on.

A class has a reason of its own, for whoever raises it without knowing a better one. What is not
of this hierarchy is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.text import LONGEST, printable_lines, sanitized, truncated

#: Characters of what an error concerns and of its remedy, and problems of one file.
SHORT = 1000
PROBLEMS = 100


class SynqupError(Exception):
    """What its reader can mend, or has to wait for.

    Whatever it is made of may come from a document or a server, and it goes to the terminal, the
    log, the ledger, the quarantine and the platform: so it is made fit to be shown here, once.
    """

    reason = "it could not be done"
    remedy = ""

    def __init__(self, subject: str, reason: str = "", remedy: str = "") -> None:
        """Say what failed.

        subject: the file, key, source or document it concerns, as its owner knows it.
        reason: why, as the middle of a sentence, without a full stop.
        remedy: what to do about it, as a whole sentence without its full stop.
        """
        self.subject = sanitized(subject, SHORT)
        self.reason = sanitized(reason or type(self).reason, LONGEST)
        self.remedy = sanitized(remedy or type(self).remedy, SHORT)
        super().__init__(self.subject, self.reason, self.remedy)

    def __str__(self) -> str:
        sentence = f"{self.subject}: {self.reason}."
        return f"{sentence} {self.remedy}." if self.remedy else sentence


class ConfigurationError(SynqupError):
    """A file that the user wrote, with all that is wrong in it."""

    reason = "the configuration can't be used"

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        """Name every problem of one file at once, each a sentence that starts with its key."""
        self.problems = tuple(
            printable_lines(truncated(problem)) for problem in problems[:PROBLEMS]
        )
        if len(problems) > PROBLEMS:
            self.problems += (f"and {len(problems) - PROBLEMS:,} more",)
        super().__init__(subject)

    def __str__(self) -> str:
        return "\n  - ".join((f"{self.subject}: {self.reason}", *self.problems))


class StateError(SynqupError):
    """The state folder or what lies in it; without it nothing may go on."""

    reason = "the state folder can't be used"


class StateInUse(StateError):
    """Another process works with the state folder."""

    reason = "another synqup already works with this state folder"
    remedy = "Stop that one first, or give this one a state_dir of its own"


class RetryableError(SynqupError):
    """What is worth trying again."""

    reason = "it failed for now and may well succeed later"

    def __init__(
        self, subject: str, reason: str = "", remedy: str = "", *, retry_after: float | None = None
    ) -> None:
        """As SynqupError; retry_after: seconds that the other side asked us to wait."""
        self.retry_after = retry_after
        super().__init__(subject, reason, remedy)


class InternalError(RetryableError):
    """A bug of ours, in the words of what it kept from being done."""

    reason = "a fault of synqup's own"
    remedy = "Send the log to support; it will be retried"


class SourceUnavailable(RetryableError):
    """No answer, or none that is of the source."""

    reason = "the source does not answer"
    remedy = "Check the address, the network and the firewall; it will be retried"


class WebPage(SourceUnavailable):
    """A page of a proxy, or of a platform under repair."""

    reason = "the source answered with a web page"
    remedy = (
        "Check the address of the source, and see in a browser what it says; it will be retried"
    )


class SourceError(SynqupError):
    """An answer that no next one betters."""

    reason = "the source answers, but not as it should"


class SignInRefused(SourceError):
    """Credentials that are not taken."""

    reason = "the sign-in was refused"
    remedy = "Check the client id and secret, and that the platform has approved this application"


class Skipped(SynqupError):
    """A document that is acknowledged without a file."""

    reason = "it is not to be delivered"


class AlreadyDelivered(Skipped):
    """A document that has come by another route."""

    reason = "it was delivered before, by another route"


class Rejected(SynqupError):
    """A document that goes to the quarantine."""

    reason = "the document can't be delivered, however often it is tried"


class Corrupt(Rejected):
    """A document that is worth fetching again."""

    reason = "what arrived is not what the source holds"
    remedy = "Ask for the document to be sent again"
