"""One synqup process, forked where synqup has been imported already: it starts in milliseconds."""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from . import hook
from .plan import Plan

hook.install()

# Both commands, and what a source is opened by, are imported once for all processes.
from pipeline.app import command_catch_up, command_run  # noqa: E402, F401
from pipeline.app.cli import main  # noqa: E402 - the calls are wrapped before they are imported
from stages.delivery import lanes  # noqa: E402
from stages.sources.registry import CONNECTORS  # noqa: E402

for connector in CONNECTORS:
    resolve_name(connector.source)


def be(
    arguments: list[str],
    output: Path,
    plan: Plan | None,
    mortal: bool,
    prepare: Callable[[], object] | None = None,
) -> None:
    """Be `synqup ARGUMENTS` as planned, with both outputs in a file.

    mortal: permissions hold, also for root. prepare: called before synqup begins.
    """
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["synqup", *arguments]
    if mortal:
        _obey_permissions()
    if plan is not None:
        lanes.TIMEOUT = plan.patience
    hook.arm(plan)
    if prepare is not None:
        prepare()
    try:
        main()
    finally:
        # A process of multiprocessing ends without what a program does at its exit.
        logging.shutdown()


def _obey_permissions() -> None:
    """Give up what lets root write where nobody may: capset(2), version 3."""
    library = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    held = ctypes.create_string_buffer(24)
    assert library.capget(header, held) == 0
    low_effective, low_permitted, *rest = struct.unpack("=6I", held.raw)
    kept = ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    wanted = struct.pack("=6I", low_effective & kept, low_permitted & kept, *rest)
    assert library.capset(header, ctypes.create_string_buffer(wanted)) == 0
