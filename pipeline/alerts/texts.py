"""Alert texts: every sentence that alerts, recoveries and summaries say, as templates.

Each has named placeholders; what fills them in is never read as a template. {name}: of the one
thing that a message is about. {count}: of several. {since}, {at}: moments. {reason}: the middle of
a sentence. Those that are marked stand in the catalogs, in other languages; what a heartbeat says
does not, for programs and whoever looks after the machine read it.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from msgspec import Struct
from rich.filesize import decimal

from pipeline.language.catalogs import Domain
from pipeline.language.texts import both, mark as _

#: The texts of alerts.
ALERTS = Domain("pipeline.alerts", "alerts")


class Words(Struct, frozen=True):
    """A message. subject: without a full stop. remedy: where the cause does not bring its own."""

    subject: str
    text: str
    remedy: str = ""


class Texts(Struct, frozen=True):
    """The messages on one cause: it begins for one or for several, and it is over for them."""

    one: Words
    many: Words
    one_over: Words
    many_over: Words


def _single(one: Words, over: Words) -> Texts:
    """The texts of a cause that never concerns several."""
    return Texts(one, one, over, over)


CAUSES = {
    "source": Texts(
        Words(
            _("source {name} can't be read"),
            _("Since {since}: {reason}. Its documents wait, and none is lost."),
        ),
        Words(
            _("{count} sources can't be read"),
            _("The first since {since}: {reason}. Their documents wait, and none is lost."),
        ),
        Words(_("source {name} can be read again"), _("It could not be read since {since}.")),
        Words(_("{count} sources can be read again"), _("They could not be read since {since}.")),
    ),
    "folder": Texts(
        Words(
            _("a folder takes no documents"),
            _("{name}: since {since}, {reason}. Documents for it wait, and none is lost."),
        ),
        Words(
            _("{count} folders take no documents"),
            _("The first since {since}: {reason}. Documents for them wait, and none is lost."),
        ),
        Words(_("a folder takes documents again"), _("{name} took none since {since}.")),
        Words(_("{count} folders take documents again"), _("They took none since {since}.")),
    ),
    "state": _single(
        Words(
            _("nothing is brought, because the state folder can't be written"),
            _("Since {since}: {reason}. All documents wait, and none is lost."),
        ),
        Words(
            _("documents are brought again"),
            _("The state folder could not be written since {since}."),
        ),
    ),
    "stuck": _single(
        Words(
            _("nothing moves"),
            _("Since {since}, {reason}. What is under way waits, and none is lost."),
            _("Restart the service, and send the log to support if it happens again."),
        ),
        Words(_("documents move again"), _("Nothing had moved since {since}.")),
    ),
    "disk": Texts(
        Words(
            _("a disk runs low"),
            _("{name}: {reason}."),
            _("Make room. When a disk is full, documents wait; none is lost."),
        ),
        Words(
            _("a disk with {count} folders, or several disks, run low"),
            _("The first of them: {reason}."),
            _("Make room. When a disk is full, documents wait; none is lost."),
        ),
        Words(_("a disk has room again"), _("{name} ran low since {since}.")),
        Words(
            _("there is room again for {count} folders"), _("Their disks ran low since {since}.")
        ),
    ),
    "ended": _single(
        Words(
            _("synqup was ended without a stop"),
            _(
                "It was ended at about {since}, {reason}. It has started again, and goes on where"
                " it was; no document is lost."
            ),
            _(
                "If nobody has ended it: see whether the machine had lost its power or its memory"
                " had run out; the log shows its last lines."
            ),
        ),
        Words(
            _("synqup works again"),
            _("It was ended without a stop at about {since}, and runs again."),
        ),
    ),
    "sign-in": _single(
        Words(
            _("the sign-in of source {name} ends soon"),
            _("It {reason}. Then nothing more is brought from this source."),
            _("Sign in again: synqup sign-in {name}"),
        ),
        Words(_("source {name} is signed in again"), _("Its sign-in is good until {until}.")),
    ),
    "quarantine": Texts(
        Words(
            _("one document could not be delivered"),
            _("It lies in the quarantine, and the platform has been told."),
            _(
                "Remove the cause, and put the document back to be fetched;"
                " synqup status lists all."
            ),
        ),
        Words(
            _("{count} documents could not be delivered"),
            _("They lie in the quarantine, and the platform has been told."),
            _("Remove the cause, and put them back to be fetched; synqup status lists all."),
        ),
        *[Words(_("the quarantine is empty again"), _("No document lies in it any more."))] * 2,
    ),
    "quiet": Texts(
        Words(
            _("{name} gets no documents"),
            _("{reason}."),
            _(
                "Ask the company whether that is so. If not, see whether the platform still"
                " receives for it, and whether it has approved synqup."
            ),
        ),
        Words(
            _("{count} companies get no documents"),
            _("The first of them: {reason}."),
            _(
                "If that is no coincidence: see whether the platform still receives for them, and"
                " whether they have approved synqup."
            ),
        ),
        Words(_("{name} gets documents again"), _("It had got none since {since}.")),
        Words(_("{count} companies get documents again"), _("They had got none since {since}.")),
    ),
    "node": Texts(
        Words(
            _("node {name} is silent"),
            _("Nothing has been heard of it since {since}, and {reason}. No document is lost."),
            _("See whether its machine runs and reaches the database, and start synqup there."),
        ),
        Words(
            _("{count} nodes are silent"),
            _(
                "Nothing has been heard of the first since {since}, and {reason}. No document is"
                " lost."
            ),
            _("See whether their machines run and reach the database, and start synqup there."),
        ),
        Words(_("node {name} works again"), _("It was silent since {since}.")),
        Words(_("{count} nodes work again"), _("They were silent since {since}.")),
    ),
    "configuration": _single(
        Words(
            _("the nodes are configured differently"),
            _("Since {since}: {reason}. What one node does another may do otherwise."),
            _("Give all nodes the same configuration; synqup status names the differences."),
        ),
        Words(
            _("the nodes are configured alike again"),
            _("Their configurations differed since {since}."),
        ),
    ),
    "overdue": Texts(
        Words(
            _("source {name} is not polled in time"),
            _("Since {since}: {reason}. Its documents wait, and none is lost."),
            _("See in synqup status what the nodes do, and in their logs what keeps them."),
        ),
        Words(
            _("{count} sources are not polled in time"),
            _("The first since {since}: {reason}. Their documents wait, and none is lost."),
            _("See in synqup status what the nodes do, and in their logs what keeps them."),
        ),
        Words(_("source {name} is polled in time again"), _("It was overdue since {since}.")),
        Words(_("{count} sources are polled in time again"), _("They were overdue since {since}.")),
    ),
}

#: Where a node that was silent is not waited for any more.
NODE_GONE = Words(
    _("node {name} is forgotten"),
    _("It was silent since {since}; the other nodes have its work, and do not wait for it."),
)
#: Where something is over because nobody asks for it any more.
GONE = Words(
    _("{name} is not in the configuration any more"),
    _("What was wrong with it since {since} is not looked at any more."),
)
#: Where a sign-in goes on after the end that was known of it.
STILL_SIGNED_IN = Words(
    _("source {name} is signed in again"),
    _("It is read, and its sign-in has no end that is known."),
)
TEST = Words(_("this is a test"), _("synqup alert --test has sent this message; nothing is wrong."))
SUMMARY = both("{n} document since {since}", "{n} documents since {since}")
ALL_WELL = _("Everything works.")
NOT_WELL = _("Not everything works:")

#: Lines of messages.
LINE = _("{name}: {reason}")
MORE = _("and {count} more")
OPEN = _("{what} ({since})")
SOURCE = _("source {name}: last read at {at}")
NOT_READ = _("source {name}: not read yet")
SIGN_IN = _("source {name}: its sign-in ends at {at}")
COMPANY = both("{name}: {n} document ({kinds})", "{name}: {n} documents ({kinds})")
LEFT = _("{quarantined} in quarantine, {waiting} waiting, {unacknowledged} to be acknowledged")
DISK = _("{free} free on the disk of the state folder")
#: How many of the documents of a company are of one kind.
KINDS = {
    "purchase": _("{count} purchase"),
    "sales": _("{count} sales"),
    "statement": _("{count} statement"),
    "unknown": _("{count} unknown"),
    "": _("{count} others"),
}

#: The middles of sentences, which are kept: the catalogs of what errors say have them.
FREE = "{free} free"
FULL = "{free} free, and {reason}"
NO_MOVE = "nothing has moved for {minutes} minutes, though documents are under way"
NO_MOVE_ON = (
    "nothing has moved on node {node} for {minutes} minutes, though documents are under way"
)
SILENT = "the other nodes take over its work"
OVERDUE = "it should have been polled {minutes} minutes ago"
OVERDUE_PARTS = (
    "{overdue} of its {parts} parts should have been polled, the first of them {minutes} minutes"
    " ago"
)
KILLED_NODE = "on node {node}, by a kill, an error, a crash of the machine or the like"
KILLED = "by a kill, an error, a crash of the machine or the like"
ENDS = "ends at {at}, within {days} days"
QUIET = "no document has come since {since}; usually one comes within {days} days"

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
    """A time as sentences say it, in a zone; None: that of this machine."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M")


def size(free: int) -> str:
    """A number of bytes as sentences say it."""
    return decimal(free)
