"""Delivering commands: `run`, the service, and `catch-up`, which brings the whole backlog once."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from pipeline.app import output
from pipeline.app.catch_up import CatchUp
from pipeline.app.cli_common import ConfigFile, end_with, leave_with, stopped_by_signals
from pipeline.app.dry_run import perform_dry_run
from pipeline.app.exit_codes import ExitCode
from pipeline.app.identity import check_state, claim_state
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.loop import exit_now, run_loop
from pipeline.app.progress import Display
from pipeline.app.service import serve
from pipeline.app.wiring import Config, ledger_path, load_config
from pipeline.ledger.summary import Summary, summarise

TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over", help="Use a state folder of another machine, which is at work no more."
    ),
]


def run(config: ConfigFile, take_over: TakeOver = False) -> None:
    """Run as a service: poll every source until stopped, and apply edits of the configuration."""
    path = config.resolve()
    with stopped_by_signals(ExitCode.OK):
        settings = load_config(path)
        with single_instance(settings.service.state_dir):
            log = configure_logging(settings.service.state_dir / "logs", settings.service)
            claim_state(settings.service.state_dir, path, take_over=take_over)
            run_loop(lambda: serve(path, settings, partial(exit_now, ExitCode.OK), log))


def catch_up(
    config: ConfigFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be brought.")
    ] = False,
    take_over: TakeOver = False,
) -> None:
    """Bring the whole backlog once, then end.

    Exit status: 0 all delivered, 1 some quarantined, failed or unreadable in a list,
    2 configuration or usage, 3 a source unreachable or sign-in refused, 70 a fault of synqup's own.
    """
    with stopped_by_signals(ExitCode.INCOMPLETE):
        settings = load_config(config.resolve())
        console = Console()
        if dry_run:
            _dry_run(settings, console)
            return
        running = CatchUp(settings)

        def abandon() -> None:
            # The ledger may be what hangs: the output does without it.
            empty = Summary((), (), 0, (), ())
            exit_now(ExitCode.INCOMPLETE, lambda: output.result(console, running.result(), empty))

        with single_instance(settings.service.state_dir):
            folder = settings.service.state_dir / "logs"
            log = configure_logging(folder, settings.service, quiet=True)
            claim_state(settings.service.state_dir, config.resolve(), take_over=take_over)
            result = run_loop(lambda: running.run(Display(console).show, abandon, log.record))
        output.result(console, result, summarise(ledger_path(settings.service.state_dir)))
        end_with(result)


def _dry_run(settings: Config, console: Console) -> None:
    configure_logging(None, quiet=True)
    with ExitStack() as stack:
        if any(source.exclusive_sign_in for source in settings.sources):
            # The token is good for one sign-in, and a service that runs needs it.
            stack.enter_context(single_instance(settings.service.state_dir))
            check_state(settings.service.state_dir)
        found = run_loop(lambda: perform_dry_run(settings))
    output.dry_run(console, found)
    leave_with(ExitCode.SOURCE if found.failures else ExitCode.OK)
