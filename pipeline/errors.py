"""Error hierarchy: every error that Synqup raises on purpose, as a sentence for its user.

Each class has a default reason and remedy (class attributes). An exception that is not of this
hierarchy is a bug and keeps its traceback. What the engine does with the document of an error:
Corrupt: it is fetched again, and quarantined in the end. Rejected: it is quarantined. Skipped: it
is acknowledged without a file. Any other one: it waits for a later poll.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.note import Note
from pipeline.text import LONGEST, printable_lines, sanitized, truncated

#: Characters of a subject or a remedy, and problems of one file, at most.
MAX_SHORT = 1000
MAX_PROBLEMS = 100


class SynqupError(Exception):
    """A failure that its user can repair or has to wait for.

    Its texts may come from a document or a server, and go to the terminal, the log, the ledger, the
    quarantine and the platform: so they are sanitized here, once for all of them.
    """

    reason = "it could not be done"
    remedy = ""

    def __init__(self, subject: str, reason: str = "", remedy: str = "") -> None:
        """Make an error; without a reason or a remedy it has those of its class.

        subject: the file, key, source or document that it concerns, as the user knows it.
        reason: why, as the middle of a sentence, without a full stop.
        remedy: what to do about it, as a whole sentence without its full stop.
        """
        self.subject = sanitized(subject, MAX_SHORT)
        self.reason = sanitized(reason or type(self).reason, LONGEST)
        self.remedy = sanitized(remedy or type(self).remedy, MAX_SHORT)
        super().__init__(self.subject, self.reason, self.remedy)

    def __str__(self) -> str:
        sentence = f"{self.subject}: {self.reason}."
        return f"{sentence} {self.remedy}." if self.remedy else sentence


class ConfigurationError(SynqupError):
    """A configuration file that can't be used, with all of its problems."""

    reason = "the configuration can't be used"

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        """problems: of one file, each a sentence that starts with its key."""
        self.problems = tuple(
            printable_lines(truncated(problem)) for problem in problems[:MAX_PROBLEMS]
        )
        if len(problems) > MAX_PROBLEMS:
            self.problems += (f"and {len(problems) - MAX_PROBLEMS:,} more",)
        super().__init__(subject)

    def __str__(self) -> str:
        return "\n  - ".join((f"{self.subject}: {self.reason}", *self.problems))


class StateError(SynqupError):
    """The state folder or a file in it can't be used; the program ends, for it can't go on."""

    reason = "the state folder can't be used"


class StateInUse(StateError):
    """Another process uses the state folder."""

    reason = "another synqup already works with this state folder"
    remedy = "Stop that one first, or give this one a state_dir of its own"


class StateCopied(StateError):
    """The state folder is likely to be a copy of one that is in use elsewhere."""

    reason = "this state folder is a copy"
    remedy = (
        "If the other one does not run any more, start once with --take-over; else stop here, or"
        " give this one a state_dir of its own"
    )


class RetryableError(SynqupError):
    """A failure that may pass: it is retried."""

    reason = "it failed for now and may well succeed later"

    def __init__(
        self, subject: str, reason: str = "", remedy: str = "", *, retry_after: float | None = None
    ) -> None:
        """As SynqupError. retry_after: seconds to wait, if the other side has asked for that."""
        self.retry_after = retry_after
        super().__init__(subject, reason, remedy)


class InternalError(RetryableError):
    """A bug of synqup, with what it has kept from being done."""

    reason = "a fault of synqup's own"
    remedy = "Send the log to support; it will be retried"


class SourceUnavailable(RetryableError):
    """The source does not answer, or something else answers in its place."""

    reason = "the source does not answer"
    remedy = "Check the address, the network and the firewall; it will be retried"


class WebPage(SourceUnavailable):
    """A web page in place of the answer: of a proxy, or of a platform under maintenance."""

    reason = "the source answered with a web page"
    remedy = (
        "Check the address of the source, and see in a browser what it says; it will be retried"
    )


class SourceError(SynqupError):
    """An answer of the source that repeating the request does not change."""

    reason = "the source answers, but not as it should"


class SourceUnreachable(SourceError):
    """Nothing of a source can be had until somebody mends the way to it."""

    reason = "the way to the source is barred"


class SignInRefused(SourceError):
    """The source refuses the credentials."""

    reason = "the sign-in was refused"
    remedy = "Check the client id and secret, and that the platform has approved this application"


class ControlError(SynqupError):
    """Something that a person asked for, and that can't be done as things are."""

    reason = "that can't be done as things are"


class NotKnown(ControlError):
    """Something was asked for of a source, a document or a company that is none."""

    reason = "there is no such thing"


class Skipped(SynqupError):
    """A document that is acknowledged, and not delivered."""

    reason = "it is not to be delivered"


class AlreadyDelivered(Skipped):
    """A document that was delivered before, from another source or under another id."""

    reason = "it was delivered before, by another route"


class Noted(Skipped):
    """A document that only says something of others: the ledger notes it, and that is all."""

    reason = "it only says something of other documents"

    def __init__(self, subject: str, reason: str, notes: Sequence[Note]) -> None:
        """As SynqupError. notes: what it says."""
        self.notes = tuple(notes)
        super().__init__(subject, reason)


class Rejected(SynqupError):
    """A document that can't be delivered: it is quarantined."""

    reason = "the document can't be delivered, however often it is tried"


class Corrupt(Rejected):
    """A document that arrived damaged: it is fetched again, and quarantined if that goes on."""

    reason = "what arrived is not what the source holds"
    remedy = "Ask for the document to be sent again"
