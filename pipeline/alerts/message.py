"""Alert message: what one alert, one recovery or one summary says, whichever way it goes.

News is in no language yet; a message is what its receiver reads.
"""

from __future__ import annotations

from msgspec import Struct

from pipeline.language.codes import DEFAULT
from pipeline.language.texts import Sentence, Text

#: What a message tells: something goes wrong, it is over, or only that something has happened.
PROBLEM, OVER, NOTICE = "problem", "over", "notice"


class News(Struct, frozen=True):
    """What there is to tell; each part as that of a message, but in no language."""

    id: str
    incident: str
    cause: str
    state: str
    at: float
    machine: str
    subject: Text
    text: Text
    remedy: Text | Sentence | None = None
    details: tuple[Text, ...] = ()


class Message(Struct, frozen=True):
    """One message. It holds no content of documents, and no secrets.

    id: the same however often it is sent, so that receivers can leave out what they have. incident:
    the same in all messages on one cause. at: in seconds since 1970. machine: which installation.
    subject: a sentence without a full stop. text, remedy: whole sentences. details: lines.
    language: the code of what they are in.
    """

    id: str
    incident: str
    cause: str
    state: str
    at: float
    machine: str
    subject: str
    text: str
    remedy: str = ""
    details: tuple[str, ...] = ()
    language: str = DEFAULT

    @property
    def title(self) -> str:
        """The subject, with the installation that it concerns."""
        return f"{self.machine}: {self.subject}"

    @property
    def body(self) -> str:
        """All but the subject, as plain text."""
        parts = [self.text, "\n".join(f"- {line}" for line in self.details), self.remedy]
        return "\n\n".join(part for part in parts if part)
