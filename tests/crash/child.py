"""One synqup process, forked where synqup has been imported already: it starts in milliseconds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import hook

hook.install()

from pipeline.cli import main  # noqa: E402 - the calls are wrapped before they are imported


def be(arguments: list[str], output: Path, plan: hook.Plan | None, user: int | None) -> None:
    """Be `synqup ARGUMENTS`, with both outputs in a file, as planned, and as another user."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["synqup", *arguments]
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    hook.arm(plan)
    main()
