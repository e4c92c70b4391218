"""Exit codes: what the status of each command says, and which error or result leads to which.

docs/operations.md shows users the same table.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from pipeline.errors import (
    ConfigurationError,
    InternalError,
    NotKnown,
    RetryableError,
    SourceError,
    StateCopied,
    SynqupError,
)

if TYPE_CHECKING:
    from pipeline.app.catch_up import CatchUpResult
    from pipeline.app.wiring import Finding


class ExitCode(IntEnum):
    """The exit status of the process."""

    OK = 0
    #: Documents were quarantined, left for a later run or could not be read in a list; or a folder
    #: can't be used; or a service can't be installed, started or stopped, or does not run; or what
    #: was to be written was not agreed to.
    INCOMPLETE = 1
    #: The configuration, the command line, an answer or a list of companies has to be corrected.
    USAGE = 2
    #: A source does not answer, or refuses the sign-in.
    SOURCE = 3
    #: A bug of synqup's own.
    INTERNAL_ERROR = 70
    #: Ctrl-C, where a command does not handle it otherwise.
    INTERRUPTED = 128 + signal.SIGINT


def exit_code_of_error(error: SynqupError) -> ExitCode:
    """The exit code of a command that has raised this error."""
    match error:
        case ConfigurationError() | StateCopied() | NotKnown():
            return ExitCode.USAGE
        case InternalError():
            return ExitCode.INTERNAL_ERROR
        case SourceError() | RetryableError():
            return ExitCode.SOURCE
        case _:
            return ExitCode.INCOMPLETE


def exit_code_of_result(result: CatchUpResult) -> ExitCode:
    """The exit code of a catch-up that has ended so."""
    if result.fault:
        return ExitCode.INTERNAL_ERROR
    if result.failures:
        return ExitCode.SOURCE
    left = result.counters.quarantined or result.counters.waiting or result.unreadable
    if left or result.stopped:
        return ExitCode.INCOMPLETE
    return ExitCode.OK


def exit_code_of_findings(findings: Iterable[Finding]) -> ExitCode:
    """The exit code of a check that has found this; a source weighs more than a folder."""
    failed = {finding.about for finding in findings if not finding.ok}
    if failed & {"source", "sign-in"}:
        return ExitCode.SOURCE
    return ExitCode.INCOMPLETE if failed else ExitCode.OK
