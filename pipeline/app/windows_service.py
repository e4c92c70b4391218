"""Windows service: the program as the Service Control Manager starts it.

`synqup service install` registers `python -m pipeline.app.windows_service --config FILE`. It runs
as `synqup run` does; a stop is the signal that `run` gets elsewhere.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import typer
from msgspec import Struct

from pipeline.app.cli_common import stopped_by_signals
from pipeline.app.command_run import run_service
from pipeline.app.exit_codes import ExitCode, exit_code_of_error
from pipeline.app.process import exit_now
from pipeline.app.service_manager.checked import read_variables
from pipeline.app.service_manager.link import Link
from pipeline.app.service_manager.windows_host import Scm, WindowsHost
from pipeline.app.streams import prepare_process
from pipeline.errors import SynqupError


class Ended(Struct, frozen=True):
    """How the program has ended. reason: a sentence, unless all is well."""

    code: int
    reason: str = ""


def run_hosted(
    name: str,
    scm: Scm,
    work: Callable[[Link, Callable[[], object]], Ended],
    connect: Callable[[WindowsHost], None],
) -> NoReturn:
    """Run a service and end the process, after the SCM has been told how it has ended.

    work: takes the link, and what ends the process although a thread hangs. connect: has the SCM
    control this host from now on.
    """
    host = WindowsHost(
        name, scm, partial(signal.raise_signal, signal.SIGTERM), misconfigured=ExitCode.USAGE
    )

    def leave(ended: Ended) -> NoReturn:
        # Whoever ends without that has crashed, to Windows.
        host.stopped(ended.code, ended.reason)
        exit_now(ended.code)

    ended = Ended(ExitCode.OK)
    with suppress(typer.Exit), stopped_by_signals(ExitCode.OK):
        connect(host)
        ended = work(host, partial(leave, ended))
    leave(ended)


def run_configured(
    config: Path, environment: Path | None, link: Link, abandon: Callable[[], object]
) -> Ended:
    """Run the service of a configuration until it is stopped."""
    try:
        if environment is not None:
            os.environ.update(read_variables(environment))
        run_service(config, link, abandon)
    except typer.Exit as left:
        return Ended(left.exit_code)
    except SynqupError as error:
        return Ended(exit_code_of_error(error), str(error))
    except Exception:  # noqa: BLE001 - a bug: its traceback is what support needs
        return Ended(ExitCode.INTERNAL_ERROR, traceback.format_exc())
    return Ended(ExitCode.OK)


def main() -> NoReturn:
    """Run as Windows has started it."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--environment", type=Path)
    given = parser.parse_args()
    prepare_process()
    from pipeline.app.service_manager.windows_scm import Pywin32Scm  # noqa: PLC0415 - Windows alone

    scm = Pywin32Scm()
    try:
        scm.connect()
    except OSError as error:
        print(f"synqup: {error}; use `synqup run`.", file=sys.stderr)
        sys.exit(ExitCode.USAGE)

    def connect(host: WindowsHost) -> None:
        scm.on_control = host.control

    run_hosted(scm.name, scm, partial(run_configured, given.config, given.environment), connect)


if __name__ == "__main__":
    main()
