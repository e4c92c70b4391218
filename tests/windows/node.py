"""A node that meets a fate; runs on Windows.

    python -m tests.windows.node FATE SIGN STOP COMMAND [ARGUMENT]...

FATE: step,number,how,naive, as tests/crash/cluster/inside.py has it; how: die or hang. At its step
it makes the file SIGN, and ends by TerminateProcess, or lets all of its threads stand still. Once
there is a file STOP, it is asked to end, as by Ctrl-Break.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from pipeline.app.cli import main as synqup
from tests.crash.cluster.inside import Fate, meet, send_itself

HANG = "hang"


def main() -> None:
    """Be synqup."""
    (step, number, how, naive), sign, stop = sys.argv[1].split(","), *map(Path, sys.argv[2:4])
    del sys.argv[1:4]

    def strike(fate: Fate) -> None:
        sign.touch()
        if how == HANG:
            stand_still()
        else:
            send_itself(fate)

    meet(Fate(step, int(number), naive=naive), strike)
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    synqup()


def stand_still() -> None:
    """Suspend this process, until another one resumes it."""
    assert sys.platform == "win32"
    import ctypes  # noqa: PLC0415 - windll exists nowhere else

    ctypes.windll.ntdll.NtSuspendProcess(ctypes.c_void_p(-1))


def wake(handle: int) -> None:
    """Resume a process that has suspended itself."""
    assert sys.platform == "win32"
    import ctypes  # noqa: PLC0415 - as above

    ctypes.windll.ntdll.NtResumeProcess(ctypes.c_void_p(handle))


def _watch(stop: Path) -> None:
    while not stop.exists():
        time.sleep(0.1)
    assert sys.platform == "win32"
    signal.raise_signal(signal.SIGBREAK)


if __name__ == "__main__":
    main()
