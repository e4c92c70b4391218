"""Interactive sign-in: a browser on this machine, or an address to open elsewhere and a code.

Whichever answer comes first counts: the browser's, which is sent back to this machine, or a line
that is typed.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import anyio
import anyio.to_thread

from pipeline.app.redirect_listener import Shown, listening
from pipeline.errors import SignInRefused, SourceError, SynqupError
from pipeline.files import os_reason
from pipeline.sign_in import (
    InteractiveSignIn,
    ListenAddress,
    SignInState,
    UnusableAnswer,
    described,
)

#: Seconds that a person is given.
TIMEOUT = 900.0

Say = Callable[[str], None]
#: Opens an address in a browser; returns whether there is one.
Open = Callable[[str], bool]


async def sign_in(
    source: str,
    flow: InteractiveSignIn,
    typed: AsyncIterator[str],
    open_browser: Open | None,
    say: Say,
) -> SignInState:
    """Have a person sign in to a source. SynqupError if nothing comes of it.

    typed: lines that may be an answer. open_browser: None for an address to open elsewhere.
    """
    attempt = _Attempt(source, flow)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(flow.close)
        port = 0
        if flow.listen is not None:
            try:
                port = await stack.enter_async_context(listening(flow.listen, attempt.take))
            except OSError as error:
                if open_browser is not None:
                    raise _is_taken(source, flow.listen, error) from None
        await flow.begin()
        if address := flow.address(port):
            by_browser = bool(port and open_browser) and await _opened(open_browser, address)
            _explain(say, address, by_browser=by_browser)
        else:
            say(flow.instructions)
        async with anyio.create_task_group() as group:
            group.start_soon(_take_typed, attempt, typed, say, bool(port))
            with anyio.move_on_after(TIMEOUT):
                await attempt.ended.wait()
            group.cancel_scope.cancel()
    return attempt.result()


def open_in_browser(address: str) -> bool:
    """Open an address in a browser with windows; one in this terminal would take it over."""
    named = os.environ.get("BROWSER")
    has_windows = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return bool(named or has_windows) and webbrowser.open(address)


class _Attempt:
    """One sign-in: takes answers until one of them has come to an end."""

    def __init__(self, source: str, flow: InteractiveSignIn) -> None:
        self.ended = anyio.Event()
        self._source = source
        self._flow = flow
        self._lock = anyio.Lock()
        self._end: SignInState | SynqupError | None = None

    async def take(self, answer: str) -> Shown:
        """Use an answer, and return what to show to whoever gave it."""
        try:
            code = self._flow.code_of(answer)
        except UnusableAnswer as error:
            return Shown(400, str(error), is_end=False)
        except SignInRefused as error:
            return self._ended(error)
        async with self._lock:
            if self._end is None:
                try:
                    return self._ended(await self._flow.finish(code))
                except UnusableAnswer as error:
                    return Shown(400, str(error), is_end=False)
                except SynqupError as error:
                    return self._ended(error)
            return self._ended(self._end)

    def result(self) -> SignInState:
        """The sign-in, or its error."""
        if isinstance(self._end, SynqupError):
            raise self._end
        if self._end is None:
            raise SignInRefused(
                f"source {self._source}", "nobody has signed in", "Begin anew, and give the answer"
            )
        return self._end

    def give_up(self) -> None:
        """End without an answer."""
        self.ended.set()

    def _ended(self, end: SignInState | SynqupError) -> Shown:
        self._end = self._end or end
        self.ended.set()
        if isinstance(end, SynqupError):
            return Shown(400, str(end))
        return Shown(200, f"Source {self._source}: {described(end)}.")


async def _take_typed(
    attempt: _Attempt, typed: AsyncIterator[str], say: Say, is_listening: bool
) -> None:
    async for line in typed:
        if not line.strip():
            continue
        shown = await attempt.take(line)
        if shown.is_end:
            return
        say(shown.sentence)
    if not is_listening:
        attempt.give_up()


async def _opened(open_browser: Open | None, address: str) -> bool:
    # A browser may take its time to start.
    return open_browser is not None and await anyio.to_thread.run_sync(
        open_browser, address, abandon_on_cancel=True
    )


def _explain(say: Say, address: str, *, by_browser: bool) -> None:
    if by_browser:
        say("A browser opens; sign in there. If none does, open this address in one:")
    else:
        say("Open this address in a browser, on any machine, and sign in there:")
    say(f"\n{address}\n")
    say(
        "If the browser ends at a page that can't be shown, or at one with a code, paste the whole"
        " address of that page, or the code, here and press Enter."
    )


def _is_taken(source: str, listen: ListenAddress, error: OSError) -> SourceError:
    return SourceError(
        f"source {source}",
        f"the browser could not come back to {listen.host}:{listen.port} ({os_reason(error)})",
        "End the program that listens there, or sign in with --no-browser",
    )
