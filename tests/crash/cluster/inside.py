"""What a node meets inside its own process: it hangs or dies at a step, or is of a naive design.

A step is passed when a function of the program has returned, or before it is called. A node that
hangs stops all of its process (SIGSTOP); somebody outside has to wake it.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.ledger import takeover
from pipeline.ledger.ledger import Ledger
from stages.delivery import forward, publish_group
from stages.delivery.recovery_shared import RecoveryShared
from stages.delivery.temporary_files import TemporaryFiles
from tests.crash.naive import ALL

#: The steps by name: where the function is, its name, and whether it is passed before the call.
STEPS: dict[str, tuple[Any, str, bool]] = {
    "written": (TemporaryFiles, "flush", False),
    "stage": (Ledger, "stage", True),
    "staged": (Ledger, "stage", False),
    "renamed": (forward, "rename_in_one_step", False),
    "visible": (publish_group, "flush_names", True),
    "flushed": (publish_group, "flush_names", False),
    "delivered": (Ledger, "delivered", False),
    "told": (Ledger, "acknowledged", True),
    "claimed": (RecoveryShared, "_taken_up", False),
    "resumed": (RecoveryShared, "_record", True),
    "swept": (takeover, "retire", False),
}
#: At these, and at no others, a document is staged that nobody has brought to its end.
OPEN = ("staged", "renamed", "visible", "flushed")
#: These are passed where a document is resumed that another process has left.
RESUMING = ("claimed", "resumed")


#: TerminateProcess on Windows.
KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)


class Fate(NamedTuple):
    """What a node meets. step: at which it stops, the number-th time that it passes it; "" none.

    how: the signal. then: what strikes it from outside before it is woken: "cut" or "postgres"; ""
    it is left until another has taken over what it had in hand. naive: the name of a design that is
    known to be wrong. hidden: a folder in whose place it sees an empty one, as where a volume is
    not mounted.
    """

    step: str = ""
    number: int = 1
    how: signal.Signals = KILL
    then: str = ""
    naive: str = ""
    hidden: Path | None = None


def send_itself(fate: Fate) -> None:
    """Strike this process by a signal."""
    os.kill(os.getpid(), fate.how)


def meet(fate: Fate, strike: Callable[[Fate], object] = send_itself) -> None:
    """Prepare this process for what it is to meet. strike: what is done to it at its step."""
    if fate.hidden is not None:
        hide(fate.hidden)
    if fate.naive:
        ALL[fate.naive]()
    if fate.step:
        owner, name, before = STEPS[fate.step]
        setattr(owner, name, _watched(getattr(owner, name), fate, strike, before=before))


def _watched(function: Any, fate: Fate, strike: Callable[[Fate], object], *, before: bool) -> Any:
    lock = threading.Lock()
    count = 0

    def passed() -> None:
        nonlocal count
        with lock:
            count += 1
            if count == fate.number:
                strike(fate)

    if inspect.iscoroutinefunction(function):

        async def later(*arguments: Any, **named: Any) -> Any:
            if before:
                passed()
            result = await function(*arguments, **named)
            # A recovery that finds nothing to be resumed has passed no step.
            if not before and result != []:
                passed()
            return result

        return later

    def now(*arguments: Any, **named: Any) -> Any:
        if before:
            passed()
        result = function(*arguments, **named)
        if not before:
            passed()
        return result

    return now


def hide(folder: Path) -> None:
    """See an empty folder in the place of this one from now on, in this process alone."""
    library = ctypes.CDLL(None, use_errno=True)
    new_namespace, private = 0x20000, 0x40000 | 0x4000
    for answer in (
        library.unshare(new_namespace),
        library.mount(b"none", b"/", None, private, None),
        library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, None),
    ):
        if answer:
            raise OSError(ctypes.get_errno(), "a folder can't be hidden")
