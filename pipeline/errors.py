"""Every error that Synqup raises on purpose: a sentence that its reader can act on.

The docstring of a class is its reason, unless the one who raises it knows a better one.
What is not of this hierarchy is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class SynqupError(Exception):
    """it could not be done"""

    remedy = ""

    def __init__(self, subject: str, reason: str = "", remedy: str = "") -> None:
        """Say what failed.

        subject: the file, key, source or document it concerns, as its owner knows it.
        reason: why, as the middle of a sentence, without a full stop.
        remedy: what to do about it, as a whole sentence without its full stop.
        """
        self.subject = subject
        self.reason = reason or (type(self).__doc__ or "").strip()
        self.remedy = remedy or type(self).remedy
        super().__init__(subject, reason, remedy)

    def __str__(self) -> str:
        sentence = f"{self.subject}: {self.reason}."
        return f"{sentence} {self.remedy}." if self.remedy else sentence


class ConfigurationError(SynqupError):
    """the configuration can't be used"""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        """Name every problem of one file at once, each a sentence that starts with its key."""
        self.problems = tuple(problems)
        super().__init__(subject, "\n".join(("the configuration can't be used:", *self.problems)))

    def __str__(self) -> str:
        return "\n  - ".join((f"{self.subject}: the configuration can't be used", *self.problems))


class StateError(SynqupError):
    """the state folder can't be used"""


class StateInUse(StateError):
    """another synqup already works with this state folder"""

    remedy = "Stop that one first, or give this one a state_dir of its own"


class PassingError(SynqupError):
    """it failed for now and may well succeed later"""

    def __init__(
        self, subject: str, reason: str = "", remedy: str = "", *, retry_after: float | None = None
    ) -> None:
        """As SynqupError; retry_after: seconds that the other side asked us to wait."""
        self.retry_after = retry_after
        super().__init__(subject, reason, remedy)


class OwnFault(PassingError):
    """a fault of synqup's own"""

    remedy = "Send the log to support; it is tried again by itself"


class SourceUnreachable(PassingError):
    """the source does not answer"""

    remedy = "Check the address, the network and the firewall; it is tried again by itself"


class WebPage(SourceUnreachable):
    """the source answered with a web page"""

    remedy = (
        "Check the address of the source, and see in a browser what it says; it is tried again by"
        " itself"
    )


class SourceError(SynqupError):
    """the source answers, but not as it should"""


class SignInRefused(SourceError):
    """the sign-in was refused"""

    remedy = "Check the client id and secret, and that the platform has approved this application"


class LeftOut(SynqupError):
    """it is not to be delivered"""


class AlreadyDelivered(LeftOut):
    """it was delivered before, by another route"""


class DocumentRefused(SynqupError):
    """the document can't be delivered, however often it is tried"""


class DocumentDamaged(DocumentRefused):
    """what arrived is not what the source holds"""

    remedy = "Ask for the document to be sent again"
