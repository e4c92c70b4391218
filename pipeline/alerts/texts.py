"""Alert texts: every sentence that alerts, recoveries and summaries say, as templates.

Each has named placeholders; what fills them in is never read as a template. {name}: of the one
thing that a message is about. {count}: of several. {since}, {at}: moments. {reason}: the middle of
a sentence.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from msgspec import Struct
from rich.filesize import decimal


class Text(Struct, frozen=True):
    """A message. subject: without a full stop. remedy: where the cause does not bring its own."""

    subject: str
    text: str
    remedy: str = ""


class Texts(Struct, frozen=True):
    """The messages on one cause: it begins for one or for several, and it is over for them."""

    one: Text
    many: Text
    one_over: Text
    many_over: Text


def _single(one: Text, over: Text) -> Texts:
    """The texts of a cause that never concerns several."""
    return Texts(one, one, over, over)


_WAIT = "Its documents wait, and none is lost."
_FOLDER_WAIT = "Documents for it wait, and none is lost."

CAUSES = {
    "source": Texts(
        Text("source {name} can't be read", "Since {since}: {reason}. " + _WAIT),
        Text(
            "{count} sources can't be read",
            "The first since {since}: {reason}. Their documents wait, and none is lost.",
        ),
        Text("source {name} can be read again", "It could not be read since {since}."),
        Text("{count} sources can be read again", "They could not be read since {since}."),
    ),
    "folder": Texts(
        Text("a folder takes no documents", "{name}: since {since}, {reason}. " + _FOLDER_WAIT),
        Text(
            "{count} folders take no documents",
            "The first since {since}: {reason}. Documents for them wait, and none is lost.",
        ),
        Text("a folder takes documents again", "{name} took none since {since}."),
        Text("{count} folders take documents again", "They took none since {since}."),
    ),
    "state": _single(
        Text(
            "nothing is brought, because the state folder can't be written",
            "Since {since}: {reason}. All documents wait, and none is lost.",
        ),
        Text("documents are brought again", "The state folder could not be written since {since}."),
    ),
    "stuck": _single(
        Text(
            "nothing moves",
            "Since {since}, {reason}. What is under way waits, and none is lost.",
            "Restart the service, and send the log to support if it happens again.",
        ),
        Text("documents move again", "Nothing had moved since {since}."),
    ),
    "disk": Texts(
        Text(
            "a disk runs low",
            "{name}: {reason}.",
            "Make room. When a disk is full, documents wait; none is lost.",
        ),
        Text(
            "a disk with {count} folders, or several disks, run low",
            "The first of them: {reason}.",
            "Make room. When a disk is full, documents wait; none is lost.",
        ),
        Text("a disk has room again", "{name} ran low since {since}."),
        Text("there is room again for {count} folders", "Their disks ran low since {since}."),
    ),
    "ended": _single(
        Text(
            "synqup was ended without a stop",
            "It was ended at about {since}, {reason}. It has started again, and goes on where it"
            " was; no document is lost.",
            "If nobody has ended it: see whether the machine had lost its power or its memory had"
            " run out; the log shows its last lines.",
        ),
        Text("synqup works again", "It was ended without a stop at about {since}, and runs again."),
    ),
    "sign-in": _single(
        Text(
            "the sign-in of source {name} ends soon",
            "It {reason}. Then nothing more is brought from this source.",
            "Sign in again: synqup sign-in {name}",
        ),
        Text("source {name} is signed in again", "Its sign-in is good until {until}."),
    ),
    "quarantine": Texts(
        Text(
            "one document could not be delivered",
            "It lies in the quarantine, and the platform has been told.",
            "Remove the cause, and put the document back to be fetched; synqup status lists all.",
        ),
        Text(
            "{count} documents could not be delivered",
            "They lie in the quarantine, and the platform has been told.",
            "Remove the cause, and put them back to be fetched; synqup status lists all.",
        ),
        *[Text("the quarantine is empty again", "No document lies in it any more.")] * 2,
    ),
    "quiet": Texts(
        Text(
            "{name} gets no documents",
            "{reason}.",
            "Ask the company whether that is so. If not, see whether the platform still receives"
            " for it, and whether it has approved synqup.",
        ),
        Text(
            "{count} companies get no documents",
            "The first of them: {reason}.",
            "If that is no coincidence: see whether the platform still receives for them, and"
            " whether they have approved synqup.",
        ),
        Text("{name} gets documents again", "It had got none since {since}."),
        Text("{count} companies get documents again", "They had got none since {since}."),
    ),
}

#: Where something is over because nobody asks for it any more.
GONE = Text(
    "{name} is not in the configuration any more",
    "What was wrong with it since {since} is not looked at any more.",
)
#: Where a sign-in goes on after the end that was known of it.
STILL_SIGNED_IN = Text(
    "source {name} is signed in again", "It is read, and its sign-in has no end that is known."
)
TEST = Text("this is a test", "synqup alert --test has sent this message; nothing is wrong.")
SUMMARY = Text("{delivered} documents since {since}", "{state}")
ALL_WELL = "Everything works."
NOT_WELL = "Not everything works:"

#: The middles of sentences.
FREE = "{free} free"
FULL = "{free} free, and {reason}"
NO_MOVE = "nothing has moved for {minutes} minutes, though documents are under way"
KILLED = "by a kill, an error, a crash of the machine or the like"
ENDS = "ends at {at}, within {days} days"
QUIET = "no document has come since {since}; usually one comes within {days} days"

#: Lines of a summary.
SOURCE = "source {name}: last read at {at}"
NOT_READ = "source {name}: not read yet"
SIGN_IN = "source {name}: its sign-in ends at {at}"
COMPANY = "{name}: {documents} documents ({kinds})"
MORE = "and {count} more"
LEFT = "{quarantined} in quarantine, {waiting} waiting, {unacknowledged} to be acknowledged"
DISK = "{free} free on the disk of the state folder"
NO_KIND = "others"

#: What a heartbeat says: it names nobody.
BEAT_OK = "ok: {sources} sources, {quarantined} in quarantine, {waiting} waiting"
BEAT_FAIL = "failing: {parts}"
BEAT_SOURCES = "{count} of {all} sources"
BEAT_FOLDERS = "{count} of {all} folders"
BEAT_STATE = "the state folder"
BEAT_STUCK = "nothing moves"
BEAT_START = "synqup has started"
BEAT_CRASH = "synqup ends by an error"
BEAT_ERROR = "exit status {status}: it ended by an error"
BEAT_ENDED = (
    "exit status {status}: {delivered} delivered, {quarantined} quarantined, {waiting} waiting,"
    " {failures} sources failed"
)


def moment(at: float, zone: tzinfo | None) -> str:
    """A time as people read it, in a zone; None: that of this machine."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M")


def size(free: int) -> str:
    """A number of bytes as people read it."""
    return decimal(free)
