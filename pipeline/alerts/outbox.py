"""Alert outbox: the messages that are still to be sent, and by which channels.

It is bounded. Each channel sends the oldest first, and one that can't send holds up no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct, structs

from pipeline.alerts.message import Message

#: Messages that are kept, at most.
MAX_KEPT = 500


class Entry(Struct, frozen=True):
    """A message, and the channels that have not sent it."""

    message: Message
    channels: tuple[str, ...]


Outbox = tuple[Entry, ...]


def with_message(
    outbox: Outbox,
    message: Message,
    channels: Collection[str],
    still_wrong: Collection[str],
    most: int = MAX_KEPT,
) -> Outbox:
    """The outbox with one message more.

    still_wrong: the incidents that are not over. Where there is no room, the oldest message on a
    cause that is over goes first; if there is none, the oldest of all.
    """
    if not channels:
        return outbox
    kept = [*outbox, Entry(message, tuple(channels))]
    while len(kept) > most:
        over = (at for at, one in enumerate(kept) if one.message.incident not in still_wrong)
        del kept[next(over, 0)]
    return tuple(kept)


def first_for(outbox: Outbox, channel: str) -> Message | None:
    """The message that a channel has to send next."""
    return next((one.message for one in outbox if channel in one.channels), None)


def without(outbox: Outbox, channel: str, id_: str) -> Outbox:
    """The outbox after a channel has sent a message, or has given it up."""
    return _kept(
        structs.replace(one, channels=tuple(name for name in one.channels if name != channel))
        if one.message.id == id_
        else one
        for one in outbox
    )


def only_for(outbox: Outbox, channels: Collection[str]) -> Outbox:
    """The outbox where no other channels are configured any more."""
    return _kept(
        structs.replace(one, channels=tuple(name for name in one.channels if name in channels))
        for one in outbox
    )


def _kept(entries: Iterable[Entry]) -> Outbox:
    return tuple(one for one in entries if one.channels)
