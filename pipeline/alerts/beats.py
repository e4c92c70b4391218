"""Heartbeats: when a monitor is called, and with what. What they say names nobody."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from pipeline.alerts import texts
from pipeline.alerts.addresses import template
from pipeline.alerts.errors import NotSent
from pipeline.alerts.requests import Requests, address, as_url
from pipeline.alerts.settings import HEALTHCHECKS, AlertSettings, HeartbeatSettings
from pipeline.health.model import Health

#: Seconds between two heartbeats while all is well, at least.
MIN_INTERVAL = 60.0
#: What a monitor by template is told (Uptime Kuma's words).
UP, DOWN = "up", "down"


class Beat(Struct, frozen=True):
    """One call. suffix: of a monitor of the healthchecks kind. is_start: it only says so."""

    suffix: str
    is_good: bool
    text: str
    is_start: bool = False


START = Beat("/start", True, texts.BEAT_START, is_start=True)
CRASH = Beat("/fail", False, texts.BEAT_CRASH)


class Rhythm(Struct, frozen=True):
    """What monitors were told last. polled: the good poll of which they know; at: when."""

    polled: float = 0.0
    at: float = 0.0
    is_failing: bool = False


def next_beat(
    before: Rhythm, health: Health, settings: AlertSettings, now: float
) -> tuple[Rhythm, Beat | None]:
    """The call that is due, if one is: after each good poll of all sources; once when any fails."""
    parts = _failing(health, settings, now)
    if parts:
        beat = Beat("/fail", False, texts.BEAT_FAIL.format(parts=", ".join(parts)))
        after = Rhythm(before.polled, now, is_failing=True)
        return after, None if before.is_failing else beat
    polls = [one.last_good_poll for one in health.sources]
    # A source that hangs without a word ends the heartbeats, as no later poll of it ends.
    polled = min((one or 0.0 for one in polls), default=0.0)
    if polled <= before.polled or (now - before.at < MIN_INTERVAL and not before.is_failing):
        return before, None
    said = texts.BEAT_OK.format(
        sources=f"{len(polls):,}",
        quarantined=f"{health.quarantined:,}",
        waiting=f"{health.waiting:,}",
    )
    return Rhythm(polled, now), Beat("", True, said)


def exit_beat(status: int, text: str) -> Beat:
    """The call for a command that has ended. status: 0 to 255."""
    return Beat(f"/{status}", status == 0, text)


def _failing(health: Health, settings: AlertSettings, now: float) -> list[str]:
    """What fails, counted."""
    failing = []
    for text, parts in (
        (texts.BEAT_SOURCES, health.sources),
        (texts.BEAT_FOLDERS, health.destinations),
    ):
        if count := sum(one.trouble is not None for one in parts):
            failing.append(text.format(count=f"{count:,}", all=f"{len(parts):,}"))
    if health.state is not None:
        failing.append(texts.BEAT_STATE)
    if now - health.progress_at >= settings.stuck:
        failing.append(texts.BEAT_STUCK)
    return failing


class Monitor:
    """One monitor that is called. name: for the log and the terminal."""

    def __init__(self, settings: HeartbeatSettings, number: int, requests: Requests) -> None:
        """number: of the row in [[alerts.heartbeats]], from 1."""
        self.name = f"heartbeat {number}"
        self._settings = settings
        self._requests = requests

    async def call(self, beat: Beat) -> None:
        """Call once. Raises NotSent, or another SynqupError."""
        settings = self._settings
        text = await address(settings.url, settings.url_secret, self.name)
        if settings.style == HEALTHCHECKS:
            url = as_url(_with_suffix(text, beat.suffix), self.name)
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            await self._requests.send("POST", url, self.name, beat.text.encode(), headers)
        elif not beat.is_start:
            url = as_url(self._filled(text, beat), self.name)
            await self._requests.send("GET", url, self.name, b"", {})

    def _filled(self, text: str, beat: Beat) -> str:
        try:
            template(text)
        except ValueError as error:
            raise NotSent(self.name, f"url_secret: {error}", "Correct the secret") from None
        status = UP if beat.is_good else DOWN
        return text.format(status=quote(status, safe=""), message=quote(beat.text, safe=""))


def _with_suffix(text: str, suffix: str) -> str:
    """An address with more of a path, before its query."""
    path, mark, query = text.partition("?")
    return f"{path.rstrip('/')}{suffix}{mark}{query}"
