"""Live updates: server-sent events, made every two seconds at most for all readers together.

Nothing is made while nobody reads. Who reads slowly is sent the latest state and not what was in
between; who does not read at all is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import msgspec
import structlog

log = structlog.get_logger(__name__)

M = TypeVar("M")

#: Readers at once, at most.
MAX_READERS = 16
#: Seconds between two updates, at least.
INTERVAL = 2.0
#: An update is good for so many times as long as it took to make: whatever it costs, that never
#: takes more than a hundredth of the event loop's time, which documents need.
MAX_SHARE = 100
#: Seconds without a change after which a reader is sent a sign of life.
BEAT = 15.0
#: What a sign of life looks like (HTML, 9.2.5).
SIGN_OF_LIFE = b": \n\n"

#: Of what a reader is sent the sections: the language, and whether he may act.
Variant = tuple[str, bool]


class TooMany(Exception):
    """There are MAX_READERS already."""


class Live(Generic[M]):
    """The updates of one page. For the event loop alone; run() makes them."""

    def __init__(
        self,
        make: Callable[[], Awaitable[tuple[M, float]]],
        render: Callable[[M, Variant], dict[str, str]],
    ) -> None:
        """make: makes the model, and says how many seconds of the event loop that took.

        render: the sections of a model by their names, for one variant.
        """
        self._make = make
        self._render = render
        self._model: M | None = None
        #: Of which the sections are.
        self._rendered: M | None = None
        self._good_until = 0.0
        self._making = anyio.Lock()
        self._version = 0
        #: Of each variant, the sections, and the version in which each has changed last.
        self._sections: dict[Variant, dict[str, tuple[str, int]]] = {}
        self._readers: dict[Variant, int] = {}
        self._joined = anyio.Event()
        self._changed = anyio.Event()
        #: Messages of the present version, by the variant and the version that a reader has.
        self._messages: dict[tuple[Variant, int], bytes] = {}

    @property
    def readers(self) -> int:
        """How many read at present."""
        return sum(self._readers.values())

    async def current(self) -> M:
        """The model: at most INTERVAL old, or older where it takes long to make."""
        async with self._making:
            if self._model is None or time.perf_counter() >= self._good_until:
                await self._refresh()
            assert self._model is not None
            return self._model

    def outdate(self) -> None:
        """Have the model made anew for whoever looks next."""
        self._good_until = 0.0

    async def run(self) -> None:
        """Make updates while somebody reads, until cancelled."""
        is_logged = False
        while True:
            if not self._readers:
                self._joined = anyio.Event()
                await self._joined.wait()
            try:
                self._update(await self.current())
            except Exception as error:
                if not is_logged:
                    is_logged = True
                    log.error("the page can't be kept up to date", exc_info=error)
            await anyio.sleep(max(INTERVAL, self._good_until - time.perf_counter()))

    def join(self, variant: Variant) -> Reader[M]:
        """Begin to read; leave() ends it. Raises TooMany."""
        if self.readers >= MAX_READERS:
            raise TooMany
        self._readers[variant] = self._readers.get(variant, 0) + 1
        if self._model is not None and variant not in self._sections:
            self._update(self._model)
        self._joined.set()
        return Reader(self, variant)

    def leave(self, variant: Variant) -> None:
        """End to read."""
        self._readers[variant] -= 1
        if not self._readers[variant]:
            del self._readers[variant]
            self._sections.pop(variant, None)

    async def next(self, variant: Variant, version: int) -> tuple[bytes, int]:
        """What a reader who has a version is to be sent, and the version that he has then."""
        with anyio.move_on_after(BEAT):
            while version == self._version or variant not in self._sections:
                await self._changed.wait()
            return self._message(variant, version), self._version
        return SIGN_OF_LIFE, version

    async def _refresh(self) -> None:
        self._model, spent = await self._make()
        self._good_until = time.perf_counter() + max(INTERVAL, MAX_SHARE * spent)

    def _update(self, model: M) -> None:
        """Render what readers are to see, and tell them if anything has changed."""
        if model == self._rendered and self._readers.keys() <= self._sections.keys():
            return
        began = time.perf_counter()
        version, self._rendered = self._version + 1, model
        changed = False
        for variant in self._readers:
            before = self._sections.get(variant, {})
            found: dict[str, tuple[str, int]] = {}
            for name, text in self._render(model, variant).items():
                known = before.get(name)
                found[name] = known if known and known[0] == text else (text, version)
                changed = changed or found[name][1] == version
            self._sections[variant] = found
        spent = MAX_SHARE * (time.perf_counter() - began)
        self._good_until = max(self._good_until, time.perf_counter() + spent)
        if changed:
            self._version = version
            self._messages.clear()
            event, self._changed = self._changed, anyio.Event()
            event.set()

    def _message(self, variant: Variant, version: int) -> bytes:
        found = self._messages.get((variant, version))
        if found is None:
            sections = {
                name: text
                for name, (text, since) in self._sections[variant].items()
                if since > version
            }
            data = msgspec.json.encode(sections)
            found = self._messages[variant, version] = b"event: update\ndata: " + data + b"\n\n"
        return found


class Reader(Generic[M]):
    """One who reads; it is given each message once, and may take its time."""

    def __init__(self, live: Live[M], variant: Variant) -> None:
        self._live = live
        self._variant = variant
        self._version = 0

    async def next(self) -> bytes:
        """The next message, or a sign of life where nothing changes."""
        message, self._version = await self._live.next(self._variant, self._version)
        return message

    def leave(self) -> None:
        """End to read."""
        self._live.leave(self._variant)
