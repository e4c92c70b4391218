"""Sign-in contract: what is known of the sign-in of a source, and how its user signs in anew."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct

from pipeline.errors import SignInRefused, SynqupError

DAY = 86_400.0
#: Seconds left below which hours are told, and not days.
FEW_HOURS = 2 * DAY
#: What a shell takes for one word.
WORD = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")


class SignInState(Struct, frozen=True):
    """What is known of the sign-in of one source.

    account: as which user; "" if the issuer does not say. ends_at: when one has to sign in again at
    the latest, in seconds since 1970; None if the issuer does not say, or never. problem: why
    nobody is signed in, and what to do; "" if somebody is, as far as can be told without asking.
    is_missing: whether all that is wrong is that nobody has signed in so far.
    """

    source: str
    account: str = ""
    ends_at: float | None = None
    problem: str = ""
    is_missing: bool = False


class NotSignedIn(SignInRefused):
    """Nobody is signed in to the source, as far as one can tell without asking it."""

    reason = "nobody has signed in yet"
    remedy = "A service that is running goes on with it; nothing has to be restarted"


class UnusableAnswer(SynqupError):
    """A text that is no answer to the sign-in that is running; another one may be."""

    reason = "this is no answer of the platform"


def stored_state(source: str, read: Callable[[], SignInState]) -> SignInState:
    """What a store tells of a sign-in. read: reads it, or raises why it can't be used."""
    try:
        return read()
    except NotSignedIn as error:
        sentence = f"{error.reason}; sign in: {sign_in_command(source)}"
        return SignInState(source, problem=sentence, is_missing=True)
    except SignInRefused as error:
        return SignInState(source, problem=f"{error.subject}: {error.reason}")


class ListenAddress(Struct, frozen=True):
    """Where a browser on this machine is sent back to. port: 0 for any that is free."""

    host: str
    port: int
    path: str


class InteractiveSignIn(ABC):
    """A sign-in of a person: from what there is to do first to the answer and its end.

    listen: where the browser comes back; None where that is not on this machine, or needs none.
    instructions: what to do where there is no address to open, as whole sentences.
    """

    listen: ListenAddress | None = None
    instructions: str = ""

    async def begin(self) -> None:  # noqa: B027 - most have nothing to do first
        """Ask the platform for what the answer needs, such as a mail. Raises SynqupError."""

    def address(self, port: int) -> str:  # noqa: ARG002 - sign-ins use it
        """The address to open in a browser, "" if there is none.

        port: the one that is listened at, 0 if none is.
        """
        return ""

    @abstractmethod
    def code_of(self, answer: str) -> str:
        """The code in an answer: the address that the browser was sent to, or the code alone.

        UnusableAnswer; SignInRefused if the platform says that nothing will come.
        """

    @abstractmethod
    async def finish(self, code: str) -> SignInState:
        """Exchange the code for the sign-in, and keep that.

        UnusableAnswer if another code may do; any other SynqupError ends it.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""


def sign_in_command(source: str) -> str:
    """The command by which a source's user signs in, as it is typed."""
    return f"synqup sign-in {source if WORD.fullmatch(source) else _quoted(source)}"


def described(state: SignInState, now: float | None = None) -> str:
    """The middle of a sentence about a sign-in. now: seconds since 1970, if not the clock's."""
    if state.problem:
        return state.problem
    by = f" as {state.account}" if state.account else ""
    if state.ends_at is None:
        return f"signed in{by}; the platform does not say until when"
    left = state.ends_at - (time.time() if now is None else now)
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.ends_at))
    if left <= 0:
        return f"the sign-in{by} ended {at}; sign in again: {sign_in_command(state.source)}"
    return f"signed in{by} until {at} ({_left(left)} left)"


def has_ended(state: SignInState) -> bool:
    """Whether nobody is signed in, as far as one can tell without asking the platform."""
    return bool(state.problem) or _is_over(state)


def needs_sign_in(state: SignInState) -> bool:
    """Whether a sign-in is all that is needed: nobody has signed in, or its time is over."""
    return state.is_missing or (not state.problem and _is_over(state))


def _is_over(state: SignInState) -> bool:
    return state.ends_at is not None and state.ends_at <= time.time()


def _left(seconds: float) -> str:
    if seconds >= FEW_HOURS:
        return f"{round(seconds / DAY)} days"
    hours, minutes = divmod(int(seconds / 60), 60)
    if not hours:
        return f"{minutes} minutes"
    return f"{hours} hours" if hours > 1 else "1 hour"


def _quoted(source: str) -> str:
    return '"' + source.replace("\\", "\\\\").replace('"', '\\"') + '"'
